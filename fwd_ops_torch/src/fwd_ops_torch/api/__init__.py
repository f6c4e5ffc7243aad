"""The face that scripts see: ``import forward`` re-exports this."""

from fwd_ops_torch.api.builder import TorchBuilder, build
from fwd_ops_torch.api.engine import TorchEngine, load

__all__ = ["TorchBuilder", "TorchEngine", "build", "load"]
