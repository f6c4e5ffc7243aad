"""Measurements on a GPU: Forward on TensorRT beside the ONNX parser of the same TensorRT and torch.

TensorRT and torch need not share a Python: they share files. ``python -m benchmarks.gpu`` runs
the steps: ``prepare`` (torch), ``measure`` (TensorRT) and ``torch_routes`` (torch), row by row.
"""
