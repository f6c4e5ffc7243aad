"""Forward for scripts: PyTorch models to fast engines.

Everything here is re-exported. ``TorchBuilder`` and ``TorchEngine`` keep the interface of
Tencent's project Forward; ``build`` and ``load`` are the short way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fwd_ops_torch import __version__

if TYPE_CHECKING:
    from fwd_ops_torch.api import (
        IPyBatchStream,
        TorchBuilder,
        TorchEngine,
        TrtInt8Calibrator,
        build,
        calibrate,
        load,
        quantize,
    )

#: Names of calibration algorithms, for the int8 modes.
ENTROPY_CALIBRATION = "entropy"
ENTROPY_CALIBRATION_2 = "entropy_2"
MINMAX_CALIBRATION = "minmax"

__all__ = [
    "ENTROPY_CALIBRATION",
    "ENTROPY_CALIBRATION_2",
    "MINMAX_CALIBRATION",
    "IPyBatchStream",
    "TorchBuilder",
    "TorchEngine",
    "TrtInt8Calibrator",
    "__version__",
    "build",
    "calibrate",
    "load",
    "quantize",
]
#: What needs PyTorch.
_API = (
    *("IPyBatchStream", "TorchBuilder", "TorchEngine", "TrtInt8Calibrator"),
    *("build", "calibrate", "load", "quantize"),
)


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from fwd_ops_torch import api
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from fwd_core.plugins.advice import pip_install

        raise ImportError(
            f"forward.{name} needs PyTorch, which is not installed. "
            f"Hint: {pip_install('torch', 'fwd-ops-torch')}"
        ) from None
    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
