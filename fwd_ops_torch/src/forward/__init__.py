"""Forward for scripts: PyTorch models to fast engines.

Everything here is re-exported. ``TorchBuilder`` and ``TorchEngine`` keep the interface of
Tencent's project Forward; ``build`` and ``load`` are the short way.
"""

from fwd_ops_torch import __version__
from fwd_ops_torch.api import TorchBuilder, TorchEngine, build, load

#: Names of calibration algorithms, for the int8 modes.
ENTROPY_CALIBRATION = "entropy"
ENTROPY_CALIBRATION_2 = "entropy_2"
MINMAX_CALIBRATION = "minmax"

__all__ = [
    "ENTROPY_CALIBRATION",
    "ENTROPY_CALIBRATION_2",
    "MINMAX_CALIBRATION",
    "TorchBuilder",
    "TorchEngine",
    "__version__",
    "build",
    "load",
]
