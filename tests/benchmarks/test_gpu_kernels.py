"""Kernels of one call, as far as that goes without a GPU: what the profiler writes is read."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorrt_rtx")

from benchmarks.gpu import kernels

HEAD = '"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"'
ROWS = (
    '"0","7","gemm(int, float *)","gpu__time_duration.sum","us","1,002.50"',
    '"0","7","gemm(int, float *)","sm__cycles","cycle","9"',
    '"1","7","gelu","gpu__time_duration.sum","ns","500"',
    '"2","7","gemm(int, float *)","gpu__time_duration.sum","msecond","0.5"',
)


def test_kernels_of_a_kind_are_added_up_and_those_that_take_most_come_first() -> None:
    told = "\n".join(("==PROF== Connected", "what a program prints", HEAD, *ROWS))
    found = kernels.table(told)
    assert found == [("gemm(int, float *)", 2, 1502.5), ("gelu", 1, 0.5)]
    assert kernels.show(found).splitlines() == [
        "   1502.5 us     2 x  gemm(int, float *)",
        "      0.5 us     1 x  gelu",
        "   1503.0 us     3 kernels",
    ]
    assert kernels.table("nothing was run") == []


def test_a_variant_is_named_as_it_was_built(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kernels.main(["cases", "--variant", "forward:level=high"])
    assert "level is a whole number, not 'high'" in capsys.readouterr().err
