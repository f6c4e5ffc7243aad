"""Rewrites: changes of a graph that keep what it computes."""

from fwd_core.rewrite.base import NodeRewrite, Refusal, Rewrite, run

__all__ = ["NodeRewrite", "Refusal", "Rewrite", "run"]
