"""Questions and texts of a SQuAD file, as the three arrays that BERT reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bert_helpers.tokenization import FIRST, PADDING, SEPARATOR, PathLike, read_text
from fwd_core.errors import InputError, OptionError

#: What :meth:`str.split` does not take for a space, and texts of SQuAD have between words.
_MORE_SPACES = "\u202f"


class SquadExample(NamedTuple):
    """A question and the words of the text that it is about."""

    id: str
    question_text: str
    doc_tokens: list[str]


class InputFeatures(NamedTuple):
    """One window over a text, behind its question: ``[CLS] question [SEP] window [SEP]``.

    Attributes:
        tokens: Its pieces, without padding.
        token_to_orig_map: The word of the text that the piece at a place is of.
        token_is_max_context: Whether no other window has more on both sides of the piece there.
        input_ids: Ids, padded to the greatest length; int32, as the two that follow.
        input_mask: 1 for pieces, 0 for padding.
        segment_ids: 0 for the question and padding, 1 for the window.
    """

    tokens: list[str]
    token_to_orig_map: dict[int, int]
    token_is_max_context: dict[int, bool]
    input_ids: NDArray[np.int32]
    input_mask: NDArray[np.int32]
    segment_ids: NDArray[np.int32]


class Tokenizer(Protocol):
    """What cuts text: :class:`bert_helpers.tokenization.BertTokenizer` or another like it."""

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text."""
        ...

    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]:
        """The ids of pieces."""
        ...


def convert_doc_tokens(paragraph_text: str) -> list[str]:
    """The words of a text, cut at its spaces."""
    for space in _MORE_SPACES:
        paragraph_text = paragraph_text.replace(space, " ")
    return paragraph_text.split()


def read_squad_json(input_file: PathLike) -> list[SquadExample]:
    """All questions of a file in the format of SQuAD 1.1 or 2.0, in its order.

    Raises:
        InputError: The file cannot be read, is no JSON, or is of another format.
    """
    text = read_text(input_file, "SQuAD file")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"{os.fspath(input_file)} is no JSON", got=str(error)) from error
    file = os.fspath(input_file)
    found = []
    for entry, in_file in _each(document, "data", file):
        for paragraph, in_entry in _each(entry, "paragraphs", in_file):
            words = convert_doc_tokens(_text(paragraph, "context", in_entry))
            for question, place in _each(paragraph, "qas", in_entry):
                name, asked = _text(question, "id", place), _text(question, "question", place)
                found.append(SquadExample(name, asked, words))
    return found


def _each(holder: Any, key: str, place: str) -> Iterator[tuple[Any, str]]:
    """The items of a list, and where each is."""
    for number, item in enumerate(_member(holder, key, list, place)):
        yield item, f"{place}: {key}[{number}]"


def _text(holder: Any, key: str, place: str) -> str:
    return str(_member(holder, key, str, place))


def _member(holder: Any, key: str, kind: type, place: str) -> Any:
    if isinstance(holder, dict) and isinstance(holder.get(key), kind):
        return holder[key]
    got = ", ".join(holder) if isinstance(holder, dict) else type(holder).__name__
    raise InputError(
        f"{place} has no {key!r} that is a {kind.__name__}",
        expected="the format of SQuAD: data, paragraphs with context and qas, id and question",
        got=got,
    )


def convert_example_to_features(
    doc_tokens: Sequence[str],
    question_text: str,
    tokenizer: Tokenizer,
    max_seq_length: int,
    doc_stride: int,
    max_query_length: int,
) -> list[InputFeatures]:
    """Windows over a text, each behind the question and padded to one length.

    Args:
        doc_tokens: The words of the text.
        question_text: The question, of which ``max_query_length`` pieces are kept.
        tokenizer: Cuts words into pieces.
        max_seq_length: How many pieces a window has, with the question and padding.
        doc_stride: By how many pieces a window begins after the one before it, at most by its
            length, so that no piece is left out.
        max_query_length: Greatest number of pieces of the question.

    Raises:
        OptionError: No piece of a text fits beside the question, or a number is none of pieces.
        InputError: The text has no words.
    """
    question = tokenizer.tokenize(question_text)[: max(max_query_length, 0)]
    space = max_seq_length - len(question) - 3  # [CLS] and two [SEP]
    if space < 1:
        raise OptionError(
            "max_seq_length leaves no place for the text",
            expected=f"at least {len(question) + 4} for a question of {len(question)} pieces",
            got=max_seq_length,
            hint="raise max_seq_length, or lower max_query_length",
        )
    if doc_stride < 1:
        raise OptionError("doc_stride moves no window", expected="at least 1", got=doc_stride)
    pieces, words = [], []
    for number, word in enumerate(doc_tokens):
        made = tokenizer.tokenize(word)
        pieces += made
        words += [number] * len(made)
    if not pieces:
        raise InputError(
            "the text has no words",
            expected="at least one piece of the vocabulary",
            got=f"{len(doc_tokens)} words",
        )
    windows = _windows(len(pieces), space, doc_stride)
    best = _best_windows(windows)
    features = []
    for number, (start, length) in enumerate(windows):
        tokens = [FIRST, *question, SEPARATOR]
        before = len(tokens)
        tokens += [*pieces[start : start + length], SEPARATOR]
        features.append(
            InputFeatures(
                tokens,
                {before + at: words[start + at] for at in range(length)},
                {before + at: best[start + at] == number for at in range(length)},
                *_arrays(tokens, before, tokenizer, max_seq_length),
            )
        )
    return features


def _windows(count: int, space: int, stride: int) -> list[tuple[int, int]]:
    """Where windows over pieces begin, and how long they are; the last one has the last piece."""
    step = min(stride, space)
    starts = range(0, max(count - space, 0) + step, step)
    return [(start, min(space, count - start)) for start in starts]


def _best_windows(windows: list[tuple[int, int]]) -> list[int]:
    """For each piece, the first window with the most context on its shorter side.

    A longer window is a little better, as in BERT's own preparation of data.
    """
    best: dict[int, tuple[float, int]] = {}
    for number, (start, length) in enumerate(windows):
        for at in range(length):
            score = min(at, length - 1 - at) + 0.01 * length
            if start + at not in best or score > best[start + at][0]:
                best[start + at] = (score, number)
    return [best[place][1] for place in range(len(best))]


def _arrays(
    tokens: list[str], question: int, tokenizer: Tokenizer, length: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    (padding,) = tokenizer.convert_tokens_to_ids([PADDING])
    ids = np.full(length, padding, np.int32)
    ids[: len(tokens)] = tokenizer.convert_tokens_to_ids(tokens)
    mask, segments = np.zeros(length, np.int32), np.zeros(length, np.int32)
    mask[: len(tokens)] = 1
    segments[question : len(tokens)] = 1
    return ids, mask, segments
