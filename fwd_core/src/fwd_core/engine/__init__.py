"""Engines: running compiled models, and the files that hold them."""

from fwd_core.engine.device_arrays import DeviceArray
from fwd_core.engine.engine import Engine

__all__ = ["DeviceArray", "Engine"]
