"""Engines beside the models that they are built of: whether both give the same."""

from fwd_core.self_check.check import SelfCheck
from fwd_core.self_check.messages import KEY, told

__all__ = ["KEY", "SelfCheck", "told"]
