"""SQuAD files, and windows over their texts, beside those of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from squad import PIECES, SQUAD, VOCABULARY

pytest.importorskip("tokenizers")

from bert_helpers.data_preprocessing import (
    InputFeatures,
    convert_doc_tokens,
    convert_example_to_features,
    read_squad_json,
)
from bert_helpers.tokenization import BertTokenizer
from fwd_core.errors import InputError, OptionError

TOKENIZER = BertTokenizer(VOCABULARY)
EXAMPLES = read_squad_json(SQUAD)


def _features(number: int, length: int, stride: int = 128, query: int = 64) -> list[InputFeatures]:
    example = EXAMPLES[number]
    return convert_example_to_features(
        example.doc_tokens, example.question_text, TOKENIZER, length, stride, query
    )


def test_all_questions_are_read_in_order() -> None:
    document = json.loads(SQUAD.read_text(encoding="utf-8"))
    paragraphs = [one for entry in document["data"] for one in entry["paragraphs"]]
    asked = [(one["id"], one["question"]) for paragraph in paragraphs for one in paragraph["qas"]]
    assert [(one.id, one.question_text) for one in EXAMPLES] == asked
    assert len(asked) > 30
    assert " ".join(EXAMPLES[0].doc_tokens) == paragraphs[0]["context"]


def test_answers_need_not_be_there(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    question = {"id": "a", "question": "Why?", "is_impossible": True}
    paragraph = {"context": "No one\u202fknows.", "qas": [question]}
    path.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": [paragraph]}]}))
    assert read_squad_json(path) == [("a", "Why?", ["No", "one", "knows."])]


def test_words_end_at_spaces_of_all_kinds() -> None:
    assert convert_doc_tokens(" a\tb\u202fc\r\nd\u00a0e  ") == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("document", "what", "got"),
    [
        ([], "has no 'data' that is a list", "list"),
        ({"version": "1.1"}, "has no 'data' that is a list", "version"),
        ({"data": [{"title": "A"}]}, r": data\[0\] has no 'paragraphs' that is a list", "title"),
        (
            {"data": [{"paragraphs": [{"context": "a", "qas": []}, {"context": 1, "qas": []}]}]},
            r": data\[0\]: paragraphs\[1\] has no 'context' that is a str",
            "context, qas",
        ),
        (
            {"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "a"}]}]}]},
            r": paragraphs\[0\]: qas\[0\] has no 'question' that is a str",
            "id",
        ),
    ],
)
def test_other_formats_are_refused(document: Any, what: str, got: str, tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=what) as caught:
        read_squad_json(path)
    assert caught.value.got == got
    assert "the format of SQuAD" in str(caught.value)


def test_files_that_are_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read SQuAD file"):
        read_squad_json(tmp_path / "missing.json")
    path = tmp_path / "squad.json"
    path.write_text("question,context")
    with pytest.raises(InputError, match="is no JSON"):
        read_squad_json(path)


def test_a_short_text_is_one_padded_window() -> None:
    (found,) = _features(0, 384)
    count = len(found.tokens)
    question = TOKENIZER.tokenize(EXAMPLES[0].question_text)
    first = len(question) + 2
    assert found.tokens[:first] == ["[CLS]", *question, "[SEP]"]
    assert found.tokens[-1] == "[SEP]"
    assert TOKENIZER.convert_ids_to_tokens(found.input_ids[:count]) == found.tokens
    assert (found.input_ids[count:] == TOKENIZER.vocab["[PAD]"]).all()
    np.testing.assert_array_equal(found.input_mask, np.arange(384) < count)
    within = (np.arange(384) >= first) & (np.arange(384) < count)
    np.testing.assert_array_equal(found.segment_ids, within)
    assert {array.dtype for array in found[3:]} == {np.dtype(np.int32)}  # type: ignore[union-attr]
    words = found.token_to_orig_map
    assert list(words) == list(range(first, count - 1))
    assert list(words.values())[:2] == [0, 1]
    assert max(words.values()) == len(EXAMPLES[0].doc_tokens) - 1
    assert all(found.token_is_max_context.values())


@given(
    number=st.integers(0, len(EXAMPLES) - 1),
    length=st.integers(24, 400),
    stride=st.integers(1, 300),
)
def test_windows_are_those_of_transformers(number: int, length: int, stride: int) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.BertTokenizer(vocab=dict(TOKENIZER.vocab))
    example = EXAMPLES[number]
    space = length - len(TOKENIZER.tokenize(example.question_text)) - 3
    assume(space > 0)
    ours = _features(number, length, stride)
    theirs = reference(
        [example.question_text],
        [" ".join(example.doc_tokens)],
        max_length=length,
        # Theirs is how far windows overlap.
        stride=space - min(stride, space),
        truncation="only_second",
        padding="max_length",
        return_overflowing_tokens=True,
    )
    assert len(ours) == len(theirs["input_ids"])
    for at, window in enumerate(ours):
        assert window.input_ids.tolist() == theirs["input_ids"][at]
        assert window.input_mask.tolist() == theirs["attention_mask"][at]
        assert window.segment_ids.tolist() == theirs["token_type_ids"][at]


def test_questions_are_cut() -> None:
    whole, cut = _features(0, 64)[0], _features(0, 64, query=2)[0]
    question = TOKENIZER.tokenize(EXAMPLES[0].question_text)
    assert whole.tokens[1 : len(question) + 2] == [*question, "[SEP]"]
    assert cut.tokens[:4] == ["[CLS]", *question[:2], "[SEP]"]
    assert cut.segment_ids.tolist() == [0] * 4 + [1] * 60


@given(length=st.integers(24, 200), stride=st.integers(1, 250))
def test_each_piece_has_most_context_in_one_window(length: int, stride: int) -> None:
    number = next(i for i, one in enumerate(EXAMPLES) if "ladder" in one.question_text)
    found = _features(number, length, stride, 8)
    pieces: dict[int, list[tuple[float, bool]]] = {}
    first = len(TOKENIZER.tokenize(EXAMPLES[number].question_text)[:8]) + 2
    space = length - first - 1
    for which, window in enumerate(found):
        last = len(window.tokens) - 2
        for place, most in window.token_is_max_context.items():
            piece = which * min(stride, space) + place - first
            context = min(place - first, last - place) + 0.01 * (last - first + 1)
            pieces.setdefault(piece, []).append((context, most))
    words = [len(TOKENIZER.tokenize(word)) for word in EXAMPLES[number].doc_tokens]
    assert sorted(pieces) == list(range(sum(words))), "no piece is left out"
    for contexts in pieces.values():
        assert sum(most for _, most in contexts) == 1
        (chosen,) = (context for context, most in contexts if most)
        assert chosen == max(context for context, _ in contexts)


def test_pieces_tell_their_words() -> None:
    for window in _features(13, 64, 16):
        for place, word in window.token_to_orig_map.items():
            assert window.tokens[place] in TOKENIZER.tokenize(EXAMPLES[13].doc_tokens[word])


def test_what_leaves_no_place_is_refused() -> None:
    question = len(TOKENIZER.tokenize(EXAMPLES[0].question_text))
    assert len(_features(0, question + 4, 1)) > 50
    with pytest.raises(OptionError, match="max_seq_length leaves no place") as caught:
        _features(0, question + 3)
    expected = f"at least {question + 4} for a question of {question} pieces"
    assert (caught.value.expected, caught.value.got) == (expected, question + 3)
    with pytest.raises(OptionError, match="doc_stride moves no window"):
        _features(0, 64, 0)
    with pytest.raises(InputError, match="the text has no words") as empty:
        convert_example_to_features([], "Why?", TOKENIZER, 64, 64, 64)
    assert empty.value.got == "0 words"


def test_any_tokenizer_will_do() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertTokenizer(vocab=dict(TOKENIZER.vocab))
    example = EXAMPLES[13]
    (a, *_), (b, *_) = (
        convert_example_to_features(example.doc_tokens, example.question_text, one, 128, 64, 64)
        for one in (TOKENIZER, theirs)
    )
    assert a.tokens == b.tokens
    np.testing.assert_array_equal(a.input_ids, b.input_ids)
    assert a.input_ids.max() < PIECES
