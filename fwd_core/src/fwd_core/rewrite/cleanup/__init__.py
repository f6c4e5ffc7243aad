"""Clean-up: what makes any graph simpler without changing what it computes."""

from __future__ import annotations

from fwd_core.rewrite.base import Rewrite
from fwd_core.rewrite.cleanup.branches import SimplifyBranches
from fwd_core.rewrite.cleanup.broadcasts import BroadcastLate, RemoveNeutralMasks
from fwd_core.rewrite.cleanup.chains import MergeReshapes, MergeTransposes
from fwd_core.rewrite.cleanup.constants import FoldConstants
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode
from fwd_core.rewrite.cleanup.duplicates import MergeDuplicates
from fwd_core.rewrite.cleanup.empty import RemoveEmpty
from fwd_core.rewrite.cleanup.identities import RemoveIdentities
from fwd_core.rewrite.cleanup.products import AbsorbTransposes, ReshapeBeforeLinear

__all__ = [
    "AbsorbTransposes",
    "BroadcastLate",
    "FoldConstants",
    "MergeDuplicates",
    "MergeReshapes",
    "MergeTransposes",
    "RemoveDeadCode",
    "RemoveEmpty",
    "RemoveIdentities",
    "RemoveNeutralMasks",
    "ReshapeBeforeLinear",
    "SimplifyBranches",
    "all_rewrites",
]


def all_rewrites() -> list[Rewrite]:
    """The clean-up stage in order."""
    return [
        RemoveDeadCode(),
        SimplifyBranches(),
        RemoveEmpty(),
        RemoveIdentities(),
        RemoveNeutralMasks(),
        BroadcastLate(),
        MergeReshapes(),
        MergeTransposes(),
        AbsorbTransposes(),
        ReshapeBeforeLinear(),
        FoldConstants(),
        MergeDuplicates(),
    ]
