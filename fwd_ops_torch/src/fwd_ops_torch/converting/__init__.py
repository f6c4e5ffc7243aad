"""What converters are made of. Third-party packs import from here."""

from fwd_ops_torch.converting.context import (
    ConversionContext,
    Number,
    Operand,
    UnsupportedArgumentError,
)
from fwd_ops_torch.converting.decorator import converts

__all__ = ["ConversionContext", "Number", "Operand", "UnsupportedArgumentError", "converts"]
