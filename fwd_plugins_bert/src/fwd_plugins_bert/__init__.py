"""Fused transformer encoders for Forward: their parts are recognised and made one operator each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwd_plugins_bert.streams import BertBatchStream

__version__ = "0.1.0"
__all__ = ["BertBatchStream", "__version__"]


def __getattr__(name: str) -> Any:
    # The pack itself needs no PyTorch, and is imported wherever Forward is.
    if name != "BertBatchStream":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from fwd_plugins_bert import streams
    except ModuleNotFoundError as error:
        if error.name != "forward":
            raise
        raise ImportError(
            "fwd_plugins_bert.BertBatchStream needs the package fwd-ops-torch, which is not "
            "installed. Hint: install it beside fwd-plugins-bert"
        ) from None
    return streams.BertBatchStream


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
