"""Calibration data for BERT: batches of questions and texts of a SQuAD file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import forward
from bert_helpers import data_preprocessing
from bert_helpers.tokenization import BertTokenizer, PathLike
from fwd_core.errors import CalibrationError, InputError, OptionError
from fwd_core.quantize.batches import NamedArrays

T = TypeVar("T")
#: What models of transformers call the arrays, in the order that BERT takes them.
_FEATURES = {
    "input_ids": "input_ids",
    "attention_mask": "input_mask",
    "token_type_ids": "segment_ids",
}


class BertBatchStream(forward.IPyBatchStream):
    """Batches of windows over a SQuAD file, for ``TrtInt8Calibrator`` or ``calibrator=``.

    Questions are taken from all over the file, at equal distances, and so are the windows over
    their texts. Where the last batch is not full, the first windows fill it.

    Args:
        squad_json: A file in the format of SQuAD 1.1 or 2.0.
        vocab_file: The model's own ``vocab.txt``.
        batch_size: How many windows a batch has.
        max_seq_length: How many tokens a window has, padding counted.
        num_inputs: How many windows there are at most.
        doc_stride: By how many tokens a window begins after the one before it: at most by as many
            as it has of the text, so that no text is skipped.
        max_query_length: How many tokens of a question are kept.
        do_lower_case: For models that are called uncased.
        inputs: What the batches hold: names of ``input_ids``, ``attention_mask`` and
            ``token_type_ids``. A model whose inputs are called so takes those that it has, in
            whatever order; another takes them in this order.

    Raises:
        InputError: A file cannot be read or is of another format, or a text has no words.
        OptionError: A number or a name does not fit.
        CalibrationError: The file has no questions.
        ImportError: The library ``tokenizers`` is not installed.
    """

    def __init__(
        self,
        squad_json: PathLike,
        vocab_file: PathLike,
        batch_size: int = 1,
        max_seq_length: int = 128,
        num_inputs: int = 100,
        *,
        doc_stride: int = 128,
        max_query_length: int = 64,
        do_lower_case: bool = True,
        inputs: Sequence[str] = tuple(_FEATURES),
    ) -> None:
        super().__init__()
        numbers = {
            "batch_size": batch_size,
            "num_inputs": num_inputs,
            "max_seq_length": max_seq_length,
            "doc_stride": doc_stride,
            "max_query_length": max_query_length,
        }
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
                raise OptionError(f"argument {name!r}", expected="a whole number", got=number)
        for name in ("batch_size", "num_inputs"):
            if numbers[name] < 1:
                raise OptionError(f"argument {name!r}", expected="at least 1", got=numbers[name])
        if isinstance(inputs, str) or not inputs or not set(inputs) <= set(_FEATURES):
            raise OptionError(
                "argument 'inputs'",
                expected=f"a list of names among {', '.join(_FEATURES)}",
                got=repr(inputs),
            )
        examples = data_preprocessing.read_squad_json(squad_json)
        if not examples:
            raise CalibrationError(f"{squad_json} has no questions to calibrate with")
        tokenizer = BertTokenizer(vocab_file, do_lower_case)
        windows: list[data_preprocessing.InputFeatures] = []
        for example in _spread(examples, num_inputs):
            try:
                windows += data_preprocessing.convert_example_to_features(
                    *(example.doc_tokens, example.question_text, tokenizer),
                    *(max_seq_length, doc_stride, max_query_length),
                )
            except InputError as error:
                place = f"question {example.id!r}, {example.question_text!r}, of {squad_json}"
                raise error.located(place).hinted("take the question out of the file") from None
        windows = _spread(windows, num_inputs)
        self.input_names: tuple[str, ...] = tuple(inputs)
        self._arrays = [
            np.stack([getattr(window, _FEATURES[name]) for window in windows]) for name in inputs
        ]
        self._batch_size = int(batch_size)
        self._given = 0

    def __len__(self) -> int:
        """How many batches there are."""
        return math.ceil(len(self._arrays[0]) / self._batch_size)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """All batches, from the first one; what :meth:`next` counts is left alone."""
        names = self.input_names
        return (NamedArrays(self._batch(number), names) for number in range(len(self)))

    def next(self) -> bool:
        """Whether there is another batch."""
        return self._given < len(self)

    def getBatchSize(self) -> int:  # noqa: N802 - the interface's own name
        """How many windows a batch has."""
        return self._batch_size

    def size(self) -> list[int]:
        """How many elements the array of each input has."""
        return [self._batch_size * array.shape[1] for array in self._arrays]

    def bytesPerBatch(self) -> list[int]:  # noqa: N802
        """How many bytes the array of each input has."""
        return [count * 4 for count in self.size()]

    def getNumpyBatch(self) -> list[NDArray[Any]] | None:  # noqa: N802
        """The next batch, an int32 array [batch, length] for each input; ``None`` at the end."""
        if not self.next():
            return None
        self._given += 1
        return self._batch(self._given - 1)

    def _batch(self, number: int) -> list[NDArray[Any]]:
        rows = np.arange(self._batch_size) + number * self._batch_size
        return [array[rows % len(array)] for array in self._arrays]


def _spread(items: list[T], count: int) -> list[T]:
    """At most so many items, at equal distances."""
    if len(items) <= count:
        return items
    return [items[number * len(items) // count] for number in range(count)]
