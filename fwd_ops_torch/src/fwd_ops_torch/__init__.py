"""PyTorch models for Forward: importers, converters, and engines that speak torch tensors."""

__version__ = "0.1.0"
