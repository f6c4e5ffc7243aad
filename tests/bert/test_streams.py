"""BertBatchStream: what it gives, and that int8 calibrated with it is near torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from squad import SQUAD, VOCABULARY

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("openvino")

import forward
import fwd_plugins_bert
from bert_helpers.data_preprocessing import convert_example_to_features, read_squad_json
from bert_helpers.tokenization import BertTokenizer
from fwd_core.errors import CalibrationError, InputError, OptionError
from fwd_plugins_bert import BertBatchStream


def _batches(stream: BertBatchStream) -> list[Any]:
    found = []
    while stream.next():
        found.append(stream.getNumpyBatch())
    assert stream.getNumpyBatch() is None
    return found


def _windows(length: int) -> list[Any]:
    tokenizer = BertTokenizer(VOCABULARY)
    return [
        window
        for one in read_squad_json(SQUAD)
        for window in convert_example_to_features(
            one.doc_tokens, one.question_text, tokenizer, length, 128, 64
        )
    ]


def test_it_is_a_stream_of_the_document() -> None:
    stream = BertBatchStream(SQUAD, VOCABULARY, 4, 48)
    assert isinstance(stream, forward.IPyBatchStream)
    assert stream.getBatchSize() == 4
    assert stream.size() == [4 * 48] * 3
    assert stream.bytesPerBatch() == [4 * 48 * 4] * 3
    for batch in _batches(stream):
        assert [(array.shape, array.dtype) for array in batch] == [((4, 48), np.int32)] * 3
        assert [array.nbytes for array in batch] == stream.bytesPerBatch()


def test_all_windows_come_in_order_and_the_first_fill_the_last_batch() -> None:
    windows = _windows(128)
    assert len(windows) % 4
    stream = BertBatchStream(SQUAD, VOCABULARY, 4, 128, 10_000)
    batches = _batches(stream)
    assert len(batches) == len(stream) == len(windows) // 4 + 1
    names = ("input_ids", "input_mask", "segment_ids")
    for name, arrays in zip(names, zip(*batches, strict=True), strict=True):
        wanted = np.stack([getattr(window, name) for window in windows])
        filled = np.concatenate([wanted, wanted[: -len(wanted) % 4]])
        np.testing.assert_array_equal(np.concatenate(arrays), filled)


def test_a_few_are_taken_from_all_over_the_file() -> None:
    all_ids = [window.input_ids.tolist() for window in _windows(128)]
    stream = BertBatchStream(SQUAD, VOCABULARY, num_inputs=6)
    places = [all_ids.index(ids[0].tolist()) for ids, _, _ in _batches(stream)]
    assert places == sorted(set(places))
    assert len(places) == 6
    assert places[0] == 0
    assert places[-1] > 0.6 * len(all_ids)
    assert max(np.diff(places)) < 0.5 * len(all_ids)


def test_a_stride_beyond_the_window_skips_nothing_and_no_window_is_padding_alone() -> None:
    beyond = list(BertBatchStream(SQUAD, VOCABULARY, 1, 64, 10_000, doc_stride=10_000))
    tokenizer = BertTokenizer(VOCABULARY)
    pieces = 0
    for one in read_squad_json(SQUAD):
        pieces += sum(len(tokenizer.tokenize(word)) for word in one.doc_tokens)
    # Of each window the segments tell its text, and the separator behind it.
    texts = [int(types.sum()) - 1 for _, _, types in beyond]
    assert min(texts) > 0
    assert sum(texts) == pieces


def test_it_can_be_gone_through_any_number_of_times() -> None:
    stream = BertBatchStream(SQUAD, VOCABULARY, 8, 64, 20)
    first, second = list(stream), list(stream)
    assert len(first) == len(stream) == 3
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, _batches(stream))


def test_models_say_what_they_take() -> None:
    plain = BertBatchStream(SQUAD, VOCABULARY, 2, 64)
    ours = BertBatchStream(SQUAD, VOCABULARY, 2, 64, inputs=["token_type_ids", "input_ids"])
    assert ours.size() == [128, 128]
    for (ids, _, types), batch in zip(plain, ours, strict=True):
        np.testing.assert_array_equal(batch, (types, ids))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"batch_size": 0}, "argument 'batch_size'.*at least 1"),
        ({"batch_size": 2.5}, "argument 'batch_size'.*a whole number.*2.5"),
        ({"batch_size": True}, "argument 'batch_size'.*a whole number.*True"),
        ({"max_seq_length": 64.0}, "argument 'max_seq_length'.*a whole number"),
        ({"doc_stride": "8"}, "argument 'doc_stride'.*a whole number"),
        ({"num_inputs": 0}, "argument 'num_inputs'.*at least 1"),
        ({"max_seq_length": 8}, "max_seq_length leaves no place for the text"),
        ({"inputs": "input_ids"}, "argument 'inputs'.*a list of names among input_ids"),
        ({"inputs": ["ids"]}, r"argument 'inputs'.*got: +\['ids'\]"),
        ({"inputs": []}, "argument 'inputs'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(OptionError, match=f"(?s){what}"):
        BertBatchStream(SQUAD, VOCABULARY, **arguments)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"data": []}))
    with pytest.raises(CalibrationError, match="has no questions to calibrate with"):
        BertBatchStream(empty, VOCABULARY)
    with pytest.raises(InputError, match="lacks"):
        BertBatchStream(SQUAD, empty)


def test_a_text_without_words_is_named(tmp_path: Path) -> None:
    blank = tmp_path / "blank.json"
    question = {"id": "b7", "question": "Where is it?"}
    paragraphs = [{"context": " \n", "qas": [question]}]
    blank.write_text(json.dumps({"data": [{"title": "Nothing", "paragraphs": paragraphs}]}))
    with pytest.raises(InputError, match="the text has no words") as caught:
        BertBatchStream(blank, VOCABULARY)
    assert caught.value.where == f"question 'b7', 'Where is it?', of {blank}"
    assert caught.value.hint == "take the question out of the file"


def test_numbers_of_numpy_will_do() -> None:
    stream = BertBatchStream(SQUAD, VOCABULARY, np.int64(2), 64, np.int32(4))
    assert len(stream) == 2


def test_the_pack_says_what_it_has() -> None:
    assert "BertBatchStream" in dir(fwd_plugins_bert)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = fwd_plugins_bert.Nothing


@pytest.mark.parametrize(
    ("without", "said"),
    [("forward", "needs the package fwd-ops-torch"), ("torch", "needs PyTorch")],
)
def test_without_torch_it_says_what_is_missing(without: str, said: str) -> None:
    code = (
        f"import sys; sys.modules[{without!r}] = None\n"
        "import fwd_plugins_bert, bert_helpers.data_preprocessing\n"
        "fwd_plugins_bert.BertBatchStream"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said in done.stderr.splitlines()[-1]
