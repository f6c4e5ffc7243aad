"""BERT's tokenizer: words and punctuation, cut into pieces of a vocabulary."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Union

from fwd_core.errors import InputError
from fwd_core.plugins.advice import pip_install

PathLike = Union[str, "os.PathLike[str]"]

UNKNOWN, PADDING, FIRST, SEPARATOR, MASK = "[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"
_LONGEST_WORD = 100


class BertTokenizer:
    """Cuts text as BERT was trained: cleaned, split at spaces and punctuation, then WordPiece.

    Args:
        vocab_file: A piece per line; its id is the number of the line, from 0.
        do_lower_case: Lower letters and drop accents, for the models that are called uncased.

    Raises:
        InputError: The file cannot be read, or lacks pieces that BERT needs.
        ImportError: The library ``tokenizers`` is not installed.
    """

    def __init__(self, vocab_file: PathLike, do_lower_case: bool = True) -> None:
        #: Ids by piece, in the order of the file.
        self.vocab = read_vocabulary(vocab_file)
        self._pieces = {number: piece for piece, number in self.vocab.items()}
        try:
            from tokenizers import Tokenizer, normalizers, pre_tokenizers
            from tokenizers.models import WordPiece
        except ModuleNotFoundError as error:
            if error.name != "tokenizers":
                raise
            raise ImportError(
                "BertTokenizer needs the library tokenizers, which is not installed. "
                f"Hint: {pip_install('tokenizers', 'fwd-plugins-bert')}"
            ) from None
        self._tokenizer = Tokenizer(
            WordPiece(self.vocab, unk_token=UNKNOWN, max_input_chars_per_word=_LONGEST_WORD)
        )
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=do_lower_case)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        whole = (UNKNOWN, PADDING, FIRST, SEPARATOR, MASK)
        self._tokenizer.add_special_tokens([piece for piece in whole if piece in self.vocab])

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text; what the vocabulary cannot spell is ``[UNK]``."""
        return self._tokenizer.encode(text, add_special_tokens=False).tokens

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """The ids of pieces.

        Raises:
            InputError: The vocabulary does not have one.
        """
        listed = list(tokens)
        if unknown := sorted({token for token in listed if token not in self.vocab}):
            raise InputError(
                "pieces that the vocabulary does not have",
                expected="what tokenize() gives",
                got=", ".join(map(repr, unknown[:8])),
            )
        return [self.vocab[token] for token in listed]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The pieces of ids.

        Raises:
            InputError: The vocabulary does not have one.
        """
        listed = [int(number) for number in ids]
        if unknown := sorted({number for number in listed if number not in self._pieces}):
            raise InputError(
                "ids that the vocabulary does not have",
                expected=f"0 to {max(self._pieces)}",
                got=", ".join(map(str, unknown[:8])),
            )
        return [self._pieces[number] for number in listed]


def read_vocabulary(path: PathLike) -> dict[str, int]:
    """The ids of a vocabulary file, by piece.

    Raises:
        InputError: The file cannot be read, or lacks pieces that BERT needs.
    """
    lines = read_text(path, "vocabulary").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    found = {line.rstrip("\r"): number for number, line in enumerate(lines)}
    needed: Sequence[str] = (PADDING, UNKNOWN, FIRST, SEPARATOR)
    if missing := [piece for piece in needed if piece not in found]:
        raise InputError(
            f"vocabulary {os.fspath(path)} lacks {', '.join(missing)}",
            expected="a piece per line, as BERT's vocab.txt has them",
            got=f"{len(found)} pieces",
        )
    return found


def read_text(path: PathLike, kind: str) -> str:
    """The text of a file in UTF-8.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {kind} {os.fspath(path)}", got=str(error)) from error
