"""Fused transformer encoders for Forward: their parts are recognised and made one operator each."""

__version__ = "0.1.0"
