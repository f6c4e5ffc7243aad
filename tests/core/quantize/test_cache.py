from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.errors import CalibrationError, ForwardWarning
from fwd_core.quantize import CalibrationCache

NAMES = st.text(
    st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=30
).filter(lambda name: name.strip() != "")
#: Bits of float32 that are 0, or normal, finite and above 0.
BITS = st.one_of(st.just(0), st.integers(0x00800000, 0x7F7FFFFF))
WORDS = st.sampled_from(["EntropyCalibration", "EntropyCalibration2", "MinMaxCalibration"])

#: As TensorRT 8.6 writes it.
TENSORRT = """TRT-8601-EntropyCalibration2
images: 3c010a14
(Unnamed Layer* 2) [Activation]_output: 3d940673
a: b: c: 3c6638bd
module::relu: 0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calibrator.cache"


def _raised(path: Path, text: str | bytes, scales: bool = False) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CalibrationError) as caught:
        (CalibrationCache.load_scales if scales else CalibrationCache.load)(path)
    return str(caught.value).replace(str(path), "FILE")


# --- TensorRT's format --------------------------------------------------------------------------


def test_a_cache_of_tensorrt_is_read(path: Path) -> None:
    path.write_text(TENSORRT)
    cache = CalibrationCache.load(path)
    assert (cache.algorithm, cache.version, cache.partial) == ("entropy_2", "8601", False)
    assert list(cache) == [
        "images",
        "(Unnamed Layer* 2) [Activation]_output",
        "a: b: c",
        "module::relu",
    ]
    (scale,) = struct.unpack(">f", bytes.fromhex("3c010a14"))
    assert cache["images"] == scale * 127
    assert cache["module::relu"] == 0.0
    assert len(cache) == 4


def test_what_is_read_is_written_bit_by_bit(path: Path) -> None:
    path.write_text(TENSORRT)
    CalibrationCache.load(path).save(path)
    assert path.read_text() == TENSORRT


@given(st.integers(0, 10**6), WORDS, st.dictionaries(NAMES, BITS))
def test_any_cache_is_written_as_it_was_read(
    tmp_path_factory: pytest.TempPathFactory, version: int, word: str, scales: dict[str, int]
) -> None:
    path = tmp_path_factory.mktemp("cache") / "x"
    lines = [f"TRT-{version}-{word}", *(f"{name}: {bits:x}" for name, bits in scales.items())]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(data)
    cache = CalibrationCache.load(path)
    cache.save(path)
    assert path.read_bytes() == data
    assert CalibrationCache.load(path) == cache
    for name, bits in scales.items():
        assert np.float32(cache[name] / 127).view(np.uint32) == bits


def test_lines_of_windows_are_read(path: Path) -> None:
    path.write_bytes(TENSORRT.replace("\n", "\r\n").encode())
    assert CalibrationCache.load(path).text() == TENSORRT


@pytest.mark.parametrize(
    ("algorithm", "header"),
    [
        ("entropy", "TRT-8600-EntropyCalibration"),
        ("entropy_2", "TRT-8600-EntropyCalibration2"),
        ("minmax", "TRT-8600-MinMaxCalibration"),
        # TensorRT has no word for these: they pass as its preferred calibrator's.
        ("percentile=99.9", "TRT-8600-EntropyCalibration2"),
        ("mse", "TRT-8600-EntropyCalibration2"),
    ],
)
def test_each_algorithm_has_a_header_that_tensorrt_takes(
    path: Path, algorithm: str, header: str
) -> None:
    cache = CalibrationCache({"x": 1.27}, algorithm)
    cache.save(path)
    assert path.read_text() == f"{header}\nx: {np.float32(0.01).view(np.uint32):x}\n"
    again = CalibrationCache.load(path, algorithm=algorithm)
    assert again.algorithm == algorithm
    assert again["x"] == pytest.approx(1.27, rel=1e-7)


def test_a_cache_of_another_algorithm_is_refused(path: Path) -> None:
    CalibrationCache({"x": 1.0}, "minmax").save(path)
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache.load(path, algorithm="entropy")
    assert str(caught.value) == (
        f"{path} was calibrated by another algorithm\n"
        "  expected: entropy (EntropyCalibration in the file)\n"
        "  got:      minmax (MinMaxCalibration)\n"
        "  Hint: ask for minmax, or remove the file to calibrate anew"
    )


TINY, BELOW = (struct.unpack(">f", bytes.fromhex(text))[0] for text in ("00000004", "bc6638bd"))
LINE = (
    "a line of the calibration cache is wrong\n"
    "  at FILE:2\n"
    "  expected: `tensor: 3c6638bd`, the bits of a float32 scale in hexadecimal\n"
)
SCALE = (
    "a scale of the calibration cache is no scale\n"
    "  at FILE:2\n"
    "  expected: the bits of a float32 that is 0, or finite and above 0\n"
)
FIRST = (
    "the first line of the calibration cache is wrong\n"
    "  at FILE:1\n"
    "  expected: TRT-8600- or another version, then one of EntropyCalibration, "
    "EntropyCalibration2, MinMaxCalibration\n"
)
HINT = (
    "  Hint: a file without this line is no cache: remove it to calibrate anew, or read it as a "
    "scale file"
)
AS_SCALES = "  Hint: numbers in decimal are dynamic ranges: read the file as a scale file"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            f"{FIRST}  got:      'an empty file'\n{HINT}".replace(
                "'an empty file'", "an empty file"
            ),
        ),
        ("\n\n", f"{FIRST}  got:      an empty file\n{HINT}"),
        ("x: 3c6638bd\n", f"{FIRST}  got:      'x: 3c6638bd'\n{HINT}"),
        ("TRT-8600-Other\n", f"{FIRST}  got:      'TRT-8600-Other'\n{HINT}"),
        ("TRT-MinMaxCalibration\n", f"{FIRST}  got:      'TRT-MinMaxCalibration'\n{HINT}"),
        ("TRT-1-MinMaxCalibration\nx\n", f"{LINE}  got:      'x'"),
        ("TRT-1-MinMaxCalibration\nx:3c6638bd\n", f"{LINE}  got:      'x:3c6638bd'"),
        ("TRT-1-MinMaxCalibration\n: 3c6638bd\n", f"{LINE}  got:      ': 3c6638bd'"),
        ("TRT-1-MinMaxCalibration\nx: 3c6638bdf\n", f"{LINE}  got:      'x: 3c6638bdf'"),
        ("TRT-1-MinMaxCalibration\nx: 3c66 \n", f"{LINE}  got:      'x: 3c66 '"),
        ("TRT-1-MinMaxCalibration\nx: 4.65\n", f"{LINE}  got:      'x: 4.65'\n{AS_SCALES}"),
        ("TRT-1-MinMaxCalibration\nx:4.65\n", f"{LINE}  got:      'x:4.65'\n{AS_SCALES}"),
        (
            "TRT-1-MinMaxCalibration\nx: 4\n",
            f"{SCALE}  got:      4 (5.605193857299268e-45)\n{AS_SCALES}",
        ),
        ("TRT-1-MinMaxCalibration\nx: 7f800000\n", f"{SCALE}  got:      7f800000 (inf)"),
        ("TRT-1-MinMaxCalibration\nx: 7fc00000\n", f"{SCALE}  got:      7fc00000 (nan)"),
        (
            "TRT-1-MinMaxCalibration\nx: bc6638bd\n",
            f"{SCALE}  got:      bc6638bd ({BELOW})",
        ),
        (
            "TRT-1-MinMaxCalibration\nx: 3c6638bd\ny: 3c6638bd\nx: 3c6638bd\n",
            "tensor 'x' stands in two lines\n"
            "  at FILE:4\n"
            "  expected: each tensor once\n"
            "  got:      another one in line 2\n"
            "  Hint: remove one of them",
        ),
        (
            "TRT-1-MinMaxCalibration\n\nx: 3c6638bd\n",
            "a line is empty\n  at FILE:2\n  expected: a tensor and its number\n  got:      ''",
        ),
        (
            b"TRT-1-MinMaxCalibration\n\xff\xfe: 3c6638bd\n",
            "a line is no text\n"
            "  at FILE:2\n"
            "  expected: UTF-8\n"
            "  got:      b'\\xff\\xfe: 3c6638bd'…",
        ),
        (
            b"\x00" * 100_000,
            f"a line is no text\n  at FILE:1\n  expected: UTF-8\n  got:      {bytes(20)!r}…",
        ),
    ],
)
def test_lines_that_are_wrong_are_refused(path: Path, text: str | bytes, words: str) -> None:
    assert _raised(path, text) == words


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    for load in (CalibrationCache.load, CalibrationCache.load_scales):
        with pytest.raises(CalibrationError, match=r"^there is no file .*none\.cache$"):
            load(tmp_path / "none.cache")
        with pytest.raises(CalibrationError, match=r"^cannot read .*: Is a directory$"):
            load(tmp_path)
    cache = CalibrationCache({"x": 1.0}, "minmax")
    with pytest.raises(CalibrationError) as caught:
        cache.save(tmp_path / "none" / "x.cache")
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'none' / 'x.cache'}: No such file or directory\n"
        "  Hint: create the folder, or choose another"
    )


# --- scale files --------------------------------------------------------------------------------


def test_a_scale_file_holds_ranges(path: Path) -> None:
    # As the document of Tencent's Forward has it.
    path.write_text(
        "TRT-7000-EntropyCalibration\n"
        "INPUT0:4.6586\n"
        "(Unnamed Layer* 2) [Activation]_output:10.8675\n"
        "a:b: 1e1 \n"
    )
    cache = CalibrationCache.load_scales(path)
    assert dict(cache) == {
        "INPUT0": 4.6586,
        "(Unnamed Layer* 2) [Activation]_output": 10.8675,
        "a:b": 10.0,
    }
    assert (cache.header, cache.partial) == ("TRT-7000-EntropyCalibration", True)
    # The same number in a cache is the scale, so a 127th of it.
    assert cache.text().splitlines()[1] == f"INPUT0: {struct.pack('>f', 4.6586 / 127).hex()}"


def test_a_scale_file_needs_no_first_line(path: Path) -> None:
    path.write_text("x:.5\ny: +2\n")
    assert dict(CalibrationCache.load_scales(path)) == {"x": 0.5, "y": 2.0}
    assert CalibrationCache.load_scales(path, algorithm="minmax").algorithm == "minmax"
    path.write_text("")
    assert not CalibrationCache.load_scales(path)


SCALE_LINE = (
    "a line of the scale file is wrong\n"
    "  at FILE:1\n"
    "  expected: `tensor:4.6586`, the dynamic range as a plain number\n"
)
AS_CACHE = (
    "  Hint: eight hexadecimal digits are the bits of a scale: read the file as a calibration "
    "cache, or write a decimal point if the number is one"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x\n", f"{SCALE_LINE}  got:      'x'"),
        (":3\n", f"{SCALE_LINE}  got:      ':3'"),
        ("# a remark\n", f"{SCALE_LINE}  got:      '# a remark'"),
        ("x:1,5\n", f"{SCALE_LINE}  got:      'x:1,5'"),
        ("x:nan\n", f"{SCALE_LINE}  got:      'x:nan'"),
        ("x:1_0\n", f"{SCALE_LINE}  got:      'x:1_0'"),
        ("x: 3c6638bd\n", f"{SCALE_LINE}  got:      'x: 3c6638bd'\n{AS_CACHE}"),
        ("x: 41300000\n", f"{SCALE_LINE}  got:      'x: 41300000'\n{AS_CACHE}"),
        (
            "x:-1\n",
            "tensor 'x' cannot have this dynamic range\n"
            "  at FILE:1\n"
            "  expected: 0, or a finite number above 0 whose 127th part is a float32\n"
            "  got:      -1.0",
        ),
        (
            "x:1e999\n",
            "tensor 'x' cannot have this dynamic range\n"
            "  at FILE:1\n"
            "  expected: 0, or a finite number above 0 whose 127th part is a float32\n"
            "  got:      inf",
        ),
        (
            "x:0\n",
            "tensor 'x' cannot have this dynamic range\n"
            "  at FILE:1\n"
            "  expected: a number above 0\n"
            "  got:      0\n"
            "  Hint: leave the line out to keep the tensor in float",
        ),
        (
            "x:1\nx:1\n",
            "tensor 'x' stands in two lines\n"
            "  at FILE:2\n"
            "  expected: each tensor once\n"
            "  got:      another one in line 1\n"
            "  Hint: remove one of them",
        ),
        (
            "x:1\n \ny:1\n",
            "a line is empty\n  at FILE:2\n  expected: a tensor and its number\n  got:      ' '",
        ),
    ],
)
def test_lines_of_scale_files_that_are_wrong_are_refused(path: Path, text: str, words: str) -> None:
    assert _raised(path, text, scales=True) == words


# --- use ----------------------------------------------------------------------------------------


def test_ranges_and_names_are_checked() -> None:
    for amax in (-1.0, float("nan"), float("inf"), 1e-40, 1e45):
        with pytest.raises(CalibrationError) as caught:
            CalibrationCache({"x": amax}, "minmax")
        assert str(caught.value) == (
            "tensor 'x' cannot have this dynamic range\n"
            "  expected: 0, or a finite number above 0 whose 127th part is a float32\n"
            f"  got:      {amax!r}"
        )
    for name in ("", "a\nb", "a\r"):
        with pytest.raises(CalibrationError) as caught:
            CalibrationCache({name: 1.0}, "minmax")
        assert str(caught.value) == (
            f"a calibration cache cannot hold the tensor name {name!r}\n"
            "  expected: a text of one line"
        )
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache({}, "minmax", version="8.6")
    assert str(caught.value) == (
        "TensorRT's version is digits in a calibration cache\n"
        "  expected: such as 8600\n"
        "  got:      '8.6'"
    )


def test_merging_takes_the_greater() -> None:
    one = CalibrationCache({"a": 1.0, "b": 5.0}, "minmax", version="8601")
    other = CalibrationCache({"b": 3.0, "c": 2.0, "a": 4.0}, "minmax", partial=True)
    merged = one.merge(other)
    assert list(merged.items()) == [("a", 4.0), ("b", 5.0), ("c", 2.0)]
    assert (merged.version, merged.partial) == ("8601", False)
    assert dict(one) == {"a": 1.0, "b": 5.0}
    with pytest.raises(CalibrationError) as caught:
        one.merge(CalibrationCache({}, "entropy"))
    assert str(caught.value) == (
        "cannot merge caches of different algorithms\n"
        "  expected: minmax\n"
        "  got:      entropy\n"
        "  Hint: calibrate both with the same algorithm"
    )


def test_a_cache_that_fits_gives_the_ranges_in_the_models_order() -> None:
    cache = CalibrationCache({"relu1": 2.0, "dead": 0.0, "input0": 1.0}, "minmax")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cache.require(["input0", "dead"], known=["relu1"])
    assert list(found.items()) == [("input0", 1.0)]


def test_a_cache_that_does_not_fit_is_refused() -> None:
    cache = CalibrationCache({"input0": 1.0, "relu_1": 2.0, "zzz": 3.0}, "minmax")
    with pytest.raises(CalibrationError) as caught:
        cache.require(["input0", "relu1", "pool"])
    assert str(caught.value) == (
        "the calibration cache does not fit the model\n"
        "  expected: ranges of the 3 tensors that int8 needs, of the model's 3\n"
        "  got:      3 ranges\n"
        "  missing here (2): relu1, pool\n"
        "  not in the model (2): relu_1 (close to relu1), zzz\n"
        "  Hint: calibrate anew, or rename the tensors in the file to those that "
        "`fwd inspect MODEL --input … --tensors` prints"
    )
    with pytest.raises(
        CalibrationError, match=r"not in the model \(12\): t0, t1, (.*), and 2 more"
    ):
        CalibrationCache({f"t{i}": 1.0 for i in range(12)}, "minmax").require([])
    with pytest.raises(CalibrationError, match=r"missing here \(11\): t0, (.*), t9, and 1 more"):
        CalibrationCache({}, "minmax").require([f"t{i}" for i in range(11)])


def test_a_file_that_does_not_fit_is_named(path: Path) -> None:
    CalibrationCache({"zzz": 1.0}, "minmax").save(path)
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache.load(path).require(["input0"])
    assert str(caught.value).startswith(f"the calibration cache {path} does not fit the model\n")
    path.write_text("zzz:1\n")
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache.load_scales(path).require(["input0"])
    assert str(caught.value).startswith(f"the scales {path}, which were set by hand, do not fit")


def test_a_path_is_no_cache_to_merge(path: Path) -> None:
    CalibrationCache({"a": 1.0}, "minmax").save(path)
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache({}, "minmax").merge(str(path))  # type: ignore[arg-type]
    assert str(caught.value) == (
        "a cache is merged with another cache\n"
        "  expected: a CalibrationCache\n"
        "  got:      str\n"
        "  Hint: CalibrationCache.load(path) reads a file"
    )


def test_a_partial_scale_file_warns(path: Path) -> None:
    path.write_text("input0:1\n")
    cache = CalibrationCache.load_scales(path)
    with pytest.warns(
        ForwardWarning, match=r"^1 of 2 tensors have no scale and stay in float: relu1$"
    ):
        assert cache.require(["input0", "relu1"]) == {"input0": 1.0}
    with pytest.raises(CalibrationError) as caught:
        cache.require(["input1"])
    assert "  not in the model (1): input0 (close to input1)\n" in str(caught.value)
    assert "missing" not in str(caught.value)


def test_a_scale_file_that_does_not_fit_is_not_called_a_cache(path: Path) -> None:
    path.write_text("input0:1\nrelu_1:2\n")
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache.load_scales(path).require(["input0"], known=["relu1", "pool"])
    assert str(caught.value) == (
        f"the scales {path}, which were set by hand, do not fit the model\n"
        "  expected: names of its 3 tensors, of which int8 needs 1\n"
        "  got:      2 scales\n"
        "  not in the model (1): relu_1 (close to relu1)\n"
        "  Hint: rename these tensors to those that `fwd inspect MODEL --input … --tensors` "
        "prints, or leave them out"
    )


def test_scales_that_int8_does_not_need_are_told(path: Path) -> None:
    names = [f"t{i}" for i in range(7)]
    path.write_text("".join(f"{name}:1\n" for name in ["input0", *names]))
    scales = CalibrationCache.load_scales(path)
    with pytest.warns(ForwardWarning) as told:
        assert scales.require(["input0"], known=names) == {"input0": 1.0}
    assert [str(one.message) for one in told] == [
        "7 of 8 scales are of tensors that int8 does not need, and are not used: t0, t1, t2, t3, "
        "t4, and 2 more. `fwd inspect MODEL --input … --tensors` says which it needs"
    ]
    assert told[0].filename == __file__, "it points at who asked"


def test_the_word_that_several_algorithms_share_is_told(path: Path) -> None:
    CalibrationCache({"x": 1.0}, "mse").save(path)
    with pytest.raises(CalibrationError) as caught:
        CalibrationCache.load(path, algorithm="minmax")
    assert str(caught.value) == (
        f"{path} was calibrated by another algorithm\n"
        "  expected: minmax (MinMaxCalibration in the file)\n"
        "  got:      EntropyCalibration2, which caches of entropy_2, mse and percentile carry\n"
        "  Hint: ask for the one it was calibrated by, or for none to take the ranges as they "
        "are, or remove the file to calibrate anew"
    )


def test_a_cache_prints_as_a_table() -> None:
    cache = CalibrationCache({"input0": 2.54}, "percentile=99.9")
    assert str(cache) == (
        "TRT-8600-EntropyCalibration2: 1 tensor, algorithm percentile=99.9\n"
        "tensor  dynamic range      scale\n"
        "input0           2.54       0.02"
    )
    assert repr(cache) == "<CalibrationCache percentile=99.9, 1 tensors>"
    assert cache != CalibrationCache({"input0": 2.54}, "mse")
    assert cache != {"input0": 2.54}
