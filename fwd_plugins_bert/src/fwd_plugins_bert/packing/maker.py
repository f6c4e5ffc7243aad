"""Which rows of a batch are tokens, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import InputError

#: Counts of tokens that there can be for one size of batch, at most: each is a shape, for which a
#: GPU's graph is recorded anew.
_COUNTS = 32
#: Under which engines name them.
NAME, NAME_OF_PADDING = "bert.packed_rows", "bert.packed_rows_of_padding"


def packed_rows(mask: NDArray[Any]) -> list[NDArray[np.int32]]:
    """Where tokens are, and where each place of the batch finds its own.

    Args:
        mask: [batch, length]; anything but 0 is a token.

    Returns:
        ``rows``, int32 [tokens]: places of tokens in the flat batch, in order, and the first
        again as often as makes the count a multiple of a 32nd of the places; and ``places``, int32
        [batch, length]: for each place its row among the tokens, 0 for padding.

    Raises:
        InputError: There is no token at all.
    """
    rows = np.flatnonzero(mask).astype(np.int32)
    if rows.size == 0:
        raise InputError(
            "the mask keeps no token",
            expected="at least one token in the batch",
            got=f"{list(mask.shape)} places of padding",
            hint="leave empty batches out",
        )
    places = np.zeros(mask.shape, np.int32)
    places.reshape(-1)[rows] = np.arange(rows.size, dtype=np.int32)
    step = -(-places.size // _COUNTS)
    more = min(-rows.size % step, places.size - rows.size)
    return [np.concatenate([rows, np.full(more, rows[0])]), places]


def packed_rows_of_padding(padding: NDArray[Any]) -> list[NDArray[np.int32]]:
    """:func:`packed_rows` for a mask that marks padding, as torch's ``src_key_padding_mask``."""
    return packed_rows(np.equal(padding, 0))
