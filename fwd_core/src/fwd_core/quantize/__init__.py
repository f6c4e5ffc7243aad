"""Int8: what ranges tensors have, the algorithms that choose them, and the files that hold them.

A tensor's range is symmetric: one number, ``amax``, says that int8 covers ``[-amax, amax]`` in
steps of ``amax / 127``. Backends that take uint8 have finer steps up to the same ``amax`` for what
is never much below 0.
"""

from fwd_core.quantize.algorithms import (
    ENTROPY_CALIBRATION,
    ENTROPY_CALIBRATION_2,
    MINMAX_CALIBRATION,
    MSE_CALIBRATION,
    PERCENTILE_CALIBRATION,
    Algorithm,
    algorithm_of,
)
from fwd_core.quantize.cache import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator
from fwd_core.quantize.histogram import Histogram

__all__ = [
    "ENTROPY_CALIBRATION",
    "ENTROPY_CALIBRATION_2",
    "MINMAX_CALIBRATION",
    "MSE_CALIBRATION",
    "PERCENTILE_CALIBRATION",
    "Algorithm",
    "CalibrationCache",
    "Calibrator",
    "Histogram",
    "algorithm_of",
]
