"""The precision that a graph computes in, as casts in the graph.

For ``typed`` backends the builder turns a float32 graph to half with :func:`to_half`, last of all
rewrites. Backends without float64 narrow it with :func:`narrow_float64`.
"""

from fwd_core.rewrite.precision.double import PrecisionWarning, narrow_float64
from fwd_core.rewrite.precision.half import to_half
from fwd_core.rewrite.precision.rules import RULES, Rule, rule_of

__all__ = ["RULES", "PrecisionWarning", "Rule", "narrow_float64", "rule_of", "to_half"]
