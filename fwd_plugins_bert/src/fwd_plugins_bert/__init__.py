"""Fused transformer encoders for Forward. This version registers nothing yet."""

__version__ = "0.1.0"
