"""Kernels of the pack: CUDA C++ that is compiled where it is used, and launched by the driver.

Neither TensorRT nor PyTorch is needed: ``cuda-bindings`` and NVRTC are, when a kernel is first
used (``pip install nvidia-cuda-nvrtc``, which PyTorch for CUDA brings along too).
"""
