"""The arrays of BertBatchStream and the inputs of models, which find one another by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from squad import SQUAD, VOCABULARY

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("openvino")

import forward
from fwd_core.errors import CalibrationError, InputError
from fwd_plugins_bert import BertBatchStream


class Two(torch.nn.Module):
    """Takes what DistilBERT takes. Its sums are as large as the ids of what is no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.head((input_ids * 10 + attention_mask).float()[:, :, None])


class Three(Two):
    """Takes all three, in an order of its own."""

    def forward(self, input_ids: Any, token_type_ids: Any, attention_mask: Any) -> Any:
        kinds = token_type_ids * 10_000
        return self.head((input_ids * 10 + attention_mask + kinds).float()[:, :, None])


class Other(Two):
    """Calls its inputs otherwise."""

    def forward(self, words: Any, real: Any) -> Any:
        return super().forward(words, real)


class Half(Two):
    """Knows one name."""

    def forward(self, attention_mask: Any, words: Any) -> Any:
        return super().forward(words, attention_mask)


def _stream(*names: str) -> BertBatchStream:
    given: Any = {"inputs": names} if names else {}
    return BertBatchStream(SQUAD, VOCABULARY, 2, 48, 8, **given)


def _ranges(model: Any, stream: Any, count: int) -> dict[str, float]:
    zeros = tuple(torch.zeros(2, 48, dtype=torch.int64) for _ in range(count))
    torch.manual_seed(0)
    model = model().eval()
    how: Any = {"backend": "openvino", "algorithm": "minmax", "example_inputs": zeros}
    return dict(forward.calibrate(model, stream, **how))


class Original:
    """The same stream by the methods of the original project alone."""

    def __init__(self, stream: BertBatchStream) -> None:
        self.input_names = stream.input_names
        self.next, self.getBatchSize = stream.next, stream.getBatchSize
        self.getNumpyBatch = stream.getNumpyBatch


@pytest.mark.parametrize("kind", [lambda stream: stream, Original])
def test_names_are_matched_in_any_order_and_the_rest_is_dropped(kind: Any) -> None:
    right = _ranges(Two, kind(_stream("input_ids", "attention_mask")), 2)
    ids = max(int(batch[0].max()) for batch in _stream("input_ids"))
    assert 10 * ids in [pytest.approx(amax, abs=1.5) for amax in right.values()]
    assert _ranges(Two, kind(_stream("attention_mask", "input_ids")), 2) == right
    assert _ranges(Two, kind(_stream()), 2) == right
    all_three = _ranges(Three, kind(_stream()), 3)
    ordered = _stream("input_ids", "token_type_ids", "attention_mask")
    assert all_three == _ranges(Three, kind(ordered), 3)
    assert max(all_three.values()) > 10_000  # the kinds are in it


def test_other_names_go_by_position() -> None:
    right = _ranges(Two, _stream("input_ids", "attention_mask"), 2)
    found = _ranges(Other, _stream("input_ids", "attention_mask"), 2)
    assert sorted(found.values()) == sorted(right.values())
    half = _ranges(Half, _stream("attention_mask", "input_ids"), 2)
    assert sorted(half.values()) == sorted(right.values())


@pytest.mark.parametrize("kind", [lambda stream: stream, Original])
@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Half, ("input_ids", "attention_mask")),
        (Other, ()),
        (Three, ("input_ids", "token_type_ids")),
    ],
)
def test_what_fits_in_neither_way_is_refused(model: Any, names: Any, kind: Any) -> None:
    count = 3 if model is Three else 2
    with pytest.raises(CalibrationError) as caught:
        _ranges(model, kind(_stream(*names)), count)
    text = str(caught.value)
    assert "the names of a batch's arrays are not those of the model's inputs" in text
    assert f"got:      {', '.join(_stream(*names).input_names)}\n" in text
    assert "Hint: name the arrays that the model takes, in its order: inputs=[...]" in text


def test_a_first_batch_that_is_no_example() -> None:
    with pytest.raises(InputError, match=r"Hint: name the arrays that .*: inputs=\[\.\.\.\]"):
        forward.calibrate(Two().eval(), _stream(), backend="openvino")


def test_the_two_constructors_of_calibrators(tmp_path: Path) -> None:
    example = tuple(torch.zeros(2, 48, dtype=torch.int64) for _ in range(2))
    model = Two().eval()
    wanted = None
    for number, names in enumerate([("input_ids", "attention_mask"), ()]):
        cache = tmp_path / f"{number}.cache"
        calibrator = forward.TrtInt8Calibrator(_stream(*names), cache, "minmax")
        forward.build(model, example, mode="int8", backend="openvino", calibrator=calibrator)
        wanted = wanted or cache.read_text()
        assert cache.read_text() == wanted
