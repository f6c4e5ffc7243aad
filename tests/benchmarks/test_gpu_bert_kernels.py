"""What is measured of the BERT pack's kernels, as far as it goes without a GPU."""

from __future__ import annotations

import pytest

from benchmarks.gpu import bert_kernels
from fwd_core.backends.tensorrt.runtime import device
from fwd_plugins_bert.kernels.norms import Norm


def test_each_type_of_operands_and_results_is_measured() -> None:
    found = list(bert_kernels.cases())
    assert len(set(found)) == len(found)
    kinds = {(norm.name, norm.half, norm.int8) for norm in found}
    sums = {("skip_norm", half, int8) for half in (False, True) for int8 in (False, True)}
    assert kinds == sums | {("embedding_norm", half, False) for half in (False, True)}


def test_bytes_are_those_of_operands_and_result() -> None:
    assert bert_kernels.moved(Norm(768), 10) == 10 * 768 * 12
    assert bert_kernels.moved(Norm(768, half=True, bias=True), 1) == 768 * 6
    assert bert_kernels.moved(Norm(768, half=True, int8=True), 1) == 768 * 5
    assert bert_kernels.moved(Norm(768, tables=2, added=1), 1) == 768 * 8 + 8


@pytest.mark.parametrize("norm", list(bert_kernels.cases()), ids=repr)
def test_sizes_are_beyond_the_cache(norm: Norm) -> None:
    cache = 50 << 20
    rows = bert_kernels.rows_of(norm, 16 * cache)
    total = bert_kernels.moved(norm, rows)
    assert total > 14 * cache
    assert norm.tables == 0 or rows <= bert_kernels.WORDS


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured() -> None:
    with pytest.raises(SystemExit, match="nothing to measure on: "):
        bert_kernels.main([])
