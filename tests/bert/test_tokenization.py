"""BERT's tokenizer, beside that of transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from squad import PIECES, SQUAD, VOCABULARY

pytest.importorskip("tokenizers")

from bert_helpers.data_preprocessing import read_squad_json
from bert_helpers.tokenization import BertTokenizer
from fwd_core.errors import InputError

UNCASED = BertTokenizer(VOCABULARY)
CASED = BertTokenizer(VOCABULARY, do_lower_case=False)


def test_words_are_cut_into_pieces() -> None:
    pieces = ["the", "river", "took", ",", "h", "##ou", "##s", "##es", "!"]
    assert UNCASED.tokenize("The river\ttook, HOUSES!") == pieces
    assert UNCASED.tokenize("Caf\u00e9 Zo\u00eb") == UNCASED.tokenize("cafe zoe")


def test_case_and_accents_stay_where_they_should() -> None:
    assert CASED.tokenize("the The caf\u00e9") == ["the", "[UNK]", "[UNK]"]


def test_what_cannot_be_spelled_is_unknown() -> None:
    assert UNCASED.tokenize("the \u20ac river") == ["the", "[UNK]", "river"]
    assert UNCASED.tokenize("a" * 100) != ["[UNK]"]
    assert UNCASED.tokenize("a" * 101) == ["[UNK]"]


def test_special_pieces_are_kept_whole() -> None:
    special = ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]"]
    assert UNCASED.tokenize(" ".join(special)) == special


def test_ids_are_lines_of_the_file() -> None:
    lines = VOCABULARY.read_text(encoding="utf-8").splitlines()
    assert list(UNCASED.vocab) == lines
    pieces = UNCASED.tokenize("Bees are 1,000 times smaller.")
    ids = UNCASED.convert_tokens_to_ids(pieces)
    assert [lines[number] for number in ids] == pieces
    assert UNCASED.convert_ids_to_tokens(ids) == pieces


@pytest.mark.parametrize("lower", [True, False])
def test_real_text_is_cut_as_transformers_cut_it(lower: bool) -> None:
    reference = _reference(lower)
    ours = UNCASED if lower else CASED
    examples = read_squad_json(SQUAD)
    texts = {" ".join(one.doc_tokens) for one in examples} | {one.question_text for one in examples}
    assert len(texts) > 45
    for text in texts:
        assert ours.tokenize(text) == reference.tokenize(text)
        assert (
            ours.convert_tokens_to_ids(ours.tokenize(text))
            == reference(text, add_special_tokens=False)["input_ids"]
        )


@given(text=st.text(max_size=40), lower=st.booleans())
def test_any_text_is_cut_as_transformers_cut_it(text: str, lower: bool) -> None:
    ours = UNCASED if lower else CASED
    assert ours.tokenize(text) == _reference(lower).tokenize(text)


_made: dict[bool, object] = {}


def _reference(lower: bool) -> object:
    transformers = pytest.importorskip("transformers")
    if lower not in _made:
        _made[lower] = transformers.BertTokenizer(vocab=dict(UNCASED.vocab), do_lower_case=lower)
    return _made[lower]


def test_unknown_pieces_and_ids_are_refused() -> None:
    with pytest.raises(InputError, match="pieces that the vocabulary does not have") as caught:
        UNCASED.convert_tokens_to_ids(["the", "zebra", "apple"])
    assert caught.value.got == "'apple', 'zebra'"
    with pytest.raises(InputError, match="ids that the vocabulary does not have") as caught:
        UNCASED.convert_ids_to_tokens([0, -1, PIECES])
    assert (caught.value.expected, caught.value.got) == (f"0 to {PIECES - 1}", f"-1, {PIECES}")


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    with pytest.raises(InputError, match="cannot read vocabulary .*vocab.txt"):
        BertTokenizer(path)
    path.write_bytes(b"[PAD]\n\xff\xfe")
    with pytest.raises(InputError, match="cannot read vocabulary .*vocab.txt"):
        BertTokenizer(path)
    path.write_text("[PAD]\n[UNK]\nthe\n")
    with pytest.raises(InputError, match=r"lacks \[CLS\], \[SEP\]") as caught:
        BertTokenizer(path)
    assert caught.value.got == "3 pieces"


def test_line_ends_of_windows_are_no_part_of_pieces(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(VOCABULARY.read_bytes().replace(b"\n", b"\r\n"))
    assert BertTokenizer(path).vocab == UNCASED.vocab


def test_without_the_library_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from bert_helpers.tokenization import BertTokenizer\n"
        f"BertTokenizer({str(VOCABULARY)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BertTokenizer needs the library tokenizers, which is not installed. Hint: pip" in (
        done.stderr
    )
    assert "tokenizers" in done.stderr.rpartition("pip install")[2]


def test_what_the_library_lacks_itself_is_not_hidden() -> None:
    code = (
        "import sys; sys.modules['tokenizers.models'] = None\n"
        "from bert_helpers.tokenization import BertTokenizer\n"
        f"BertTokenizer({str(VOCABULARY)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: import of tokenizers.models halted")
