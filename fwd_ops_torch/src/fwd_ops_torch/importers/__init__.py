"""From PyTorch models to graphs."""
