"""OpenVINO: graphs on CPUs. The graph stays float32 and OpenVINO is told the precision."""

from fwd_core.backends.openvino.backend import OpenVINOBackend

__all__ = ["OpenVINOBackend"]
