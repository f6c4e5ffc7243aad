"""The face that scripts see: ``import forward`` re-exports this."""

from fwd_ops_torch.api.builder import TorchBuilder, build
from fwd_ops_torch.api.calibration import IPyBatchStream, TrtInt8Calibrator, calibrate
from fwd_ops_torch.api.engine import TorchEngine, load
from fwd_ops_torch.api.quantizing import quantize

__all__ = [
    "IPyBatchStream",
    "TorchBuilder",
    "TorchEngine",
    "TrtInt8Calibrator",
    "build",
    "calibrate",
    "load",
    "quantize",
]
