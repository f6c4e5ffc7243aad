"""Hooks of the pack: importers and converters of PyTorch."""
