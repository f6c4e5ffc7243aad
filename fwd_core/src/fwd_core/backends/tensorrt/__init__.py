"""The backend for NVIDIA GPUs: TensorRT 8.6, 10 and 11, and TensorRT-RTX."""

from fwd_core.backends.tensorrt.backend import TensorRTBackend

__all__ = ["TensorRTBackend"]
