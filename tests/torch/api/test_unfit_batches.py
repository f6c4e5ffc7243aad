"""Data that does not fit: errors tell which batch it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from toy_program import fwd

import forward
from fwd_core import Plugins
from fwd_core.cli.codes import ExitCode
from fwd_core.errors import CalibrationError, InputError

GOOD = [torch.ones(4, 8), torch.rand(4, 8, generator=torch.Generator().manual_seed(2))]
AT = r"\n  at batch 2 \(the first is 0\)\n"


class Stream(forward.IPyBatchStream):
    """Gives what it is told to."""

    def __init__(self, given: list[Any]) -> None:
        forward.IPyBatchStream.__init__(self)
        self.given = list(given)

    def next(self) -> bool:
        return bool(self.given)

    def getBatchSize(self) -> int:  # noqa: N802
        return 4

    def getNumpyBatch(self) -> Any:  # noqa: N802
        return self.given.pop(0)


def _calibrate(batches: Any, **more: Any) -> Any:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    return forward.calibrate(net.eval(), batches, backend="openvino", **more)


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (torch.ones(4, 9), f"the size of axis 1 of .* is wrong{AT}"),
        (torch.ones(4), f"has the wrong rank{AT}"),
        (torch.ones(4, 8, dtype=torch.float64), f"has the wrong dtype{AT}"),
        ({"y": GOOD[0]}, f"missing 'input'; unknown 'y'{AT}"),
        ((GOOD[0], GOOD[0]), f"a batch holds another number of arrays .*{AT}"),
        ("text", f"input 'input' is no array{AT}"),
    ],
)
@pytest.mark.parametrize("after", [[], GOOD])
def test_a_batch_that_does_not_fit(batch: Any, text: str, after: list[Any]) -> None:
    with pytest.raises(InputError, match=text):
        _calibrate([*GOOD, batch, *after])


@pytest.mark.parametrize("after", [[], GOOD])
@pytest.mark.parametrize("before", [0, 2])
def test_numbers_that_are_none(before: int, after: list[Any]) -> None:
    """They are found out while the next batch runs, or after the last."""
    bad = torch.full((4, 8), torch.nan)
    text = rf"tensor 'input'\n  at batch {before} \(the first is 0\)\n(.|\n)*32 times NaN\n"
    text += r"  the first at \[0, 0\] of the batch\n"
    text += r"  Hint: mend the data: this is an input of the model$"
    with pytest.raises(CalibrationError, match=text):
        _calibrate([*GOOD[:before], bad, *after])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([np.ones(5)], f"another number of elements{AT}(.|\n)*Hint: give as many samples as get"),
        ([np.ones(32), np.ones(32)], f"gives another number of arrays .*{AT}(.|\n)*got:      2\n"),
        (
            np.ones(32),
            rf"another number of arrays .*{AT}(.|\n)*got:      an array of shape \[32\]\n"
            r"  Hint: return a list of one array for each input$",
        ),
        (
            [np.array(["a"] * 32)],
            rf"^input 'input': getNumpyBatch\(\) gives no numbers{AT}(.|\n)*got:      <U1\[32\]\n"
            r"  Hint: convert what it gives to numbers",
        ),
        (5, rf"gives a list of arrays, .*{AT}(.|\n)*got:      int\n  Hint: return \[array\]"),
        ([np.full(32, np.inf)], rf"tensor 'input'{AT}(.|\n)*32 times infinity"),
    ],
)
def test_a_stream_that_does_not_fit(given: Any, text: str) -> None:
    with pytest.raises(CalibrationError, match=text):
        _calibrate(Stream([[np.ones(32)], [np.zeros(32)], given]), example_inputs=GOOD[0])


def test_a_stream_of_one_array_of_arrays() -> None:
    stream = Stream([np.ones((1, 32)), np.zeros((1, 32))])
    assert _calibrate(stream, example_inputs=GOOD[0], algorithm="minmax")["input"] == 1


def test_the_first_batch_is_the_example() -> None:
    told = r"the first batch is the example here; example_inputs= gives another one\n"
    with pytest.raises(InputError, match=rf"no input 2\n(.|\n)*{told}  Hint: leave labels out"):
        _calibrate([(one, torch.zeros(4)) for one in GOOD])
    with pytest.raises(InputError, match=f"itself fails on the example inputs(.|\n)*{told}") as no:
        _calibrate([torch.ones(4, 9)])
    assert "labels" not in str(no.value)
    with pytest.raises(InputError, match="itself fails on the example inputs") as other:
        _calibrate(GOOD, example_inputs=torch.ones(4, 9))
    assert "first batch" not in str(other.value)


class Words(torch.nn.Module):
    """Two tables, one of a single row."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.kinds = torch.nn.Embedding(9, 8), torch.nn.Embedding(1, 8)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, ids: Any, kinds: Any) -> Any:
        return self.head(self.words(ids) + self.kinds(kinds))


@pytest.mark.parametrize("wrong", [-1, 9])
def test_ids_beyond_the_vocabulary(wrong: int) -> None:
    words, none = Words().eval(), torch.zeros(2, 3, dtype=torch.int64)
    good = torch.tensor([[0, 1, 2], [3, 4, 8]])
    with torch.no_grad():
        largest = float((words.words(good) + words.kinds(none)).abs().max())
    how: Any = {"backend": "openvino", "algorithm": "minmax"}
    cache = forward.calibrate(words, [(good, none)] * 2, **how)
    assert cache["add"] == pytest.approx(largest)
    bad = good.clone()
    bad[1, 0] = wrong
    with pytest.raises(IndexError):
        words(bad, none)
    text = rf"a table of 9{AT}  expected: 0 … 8\n  got:      {wrong} at \[1, 0\]\n.*words"
    with pytest.raises(InputError, match=text):
        forward.calibrate(words, [(good, none)] * 2 + [(bad, none)], **how)


def test_ids_that_are_made_up_tell_times(tmp_path: Path) -> None:
    """They are 0 or 1, where a table has one row."""
    none = torch.zeros(2, 3, dtype=torch.int64)
    path = str(tmp_path / "words.pt2")
    torch.export.save(torch.export.export(Words().eval(), (none, none)), path)
    given = ["-i", "ids=2x3:int64", "-i", "kinds=2x3:int64", "--iterations", "2"]
    result = fwd("bench", path, *given, "--modes", "float32,int8", packs=Plugins.discover())
    assert result.code == ExitCode.OK, result.err
