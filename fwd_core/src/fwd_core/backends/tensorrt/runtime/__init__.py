"""Running engines on a GPU, over CUDA's runtime library and TensorRT's IO-tensor interface.

None of this runs in CI, which has no GPU: what is tested there is that a machine without one is
told so, and the conversions on the host.
"""
