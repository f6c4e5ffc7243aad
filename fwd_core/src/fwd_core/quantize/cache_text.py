"""The lines of calibration caches and scale files, and what is wrong with those that are not."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fwd_core.errors import CalibrationError

#: TensorRT 8.6.0 in the first line of caches.
DEFAULT_VERSION = "8600"
#: The algorithm that each of TensorRT's words stands for.
ALGORITHMS = {
    "EntropyCalibration": "entropy",
    "EntropyCalibration2": "entropy_2",
    "MinMaxCalibration": "minmax",
}
HEADER = re.compile(r"TRT-(\d+)-(\w+)")
_WORDS = {algorithm: word for word, algorithm in ALGORITHMS.items()}
_SHARED = "EntropyCalibration2"
#: Which of our algorithms have that word.
SHARED_BY = "entropy_2, mse and percentile"
_HEX = re.compile(r"[0-9a-fA-F]{1,8}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LEAST_NORMAL = 0x00800000
_INFINITE = 0x7F800000
#: Longer than any name; a binary file may hold no line end at all.
_LONGEST = 1 << 16


def word_of(algorithm: str) -> str:
    """TensorRT's word for an algorithm.

    For one that TensorRT does not have, that of its preferred calibrator: TensorRT takes ranges
    from a cache as they are, but ignores a cache with any other word than its calibrator's.
    """
    return _WORDS.get(algorithm, _SHARED)


def is_shared(word: str) -> bool:
    """Whether caches of several algorithms have this word."""
    return word == _SHARED


def scale_bits(amax: float) -> int:
    """The float32 scale of a range, as the number that its bits are."""
    return int(np.float32(amax / 127.0).view(np.uint32))


def check_name(name: str) -> None:
    """See that a name can stand in a line.

    Raises:
        CalibrationError: It cannot.
    """
    if not name or name != name.rstrip("\r") or "\n" in name:
        raise CalibrationError(
            f"a calibration cache cannot hold the tensor name {name!r}",
            expected="a text of one line",
        )


def check_range(name: str, amax: float, where: str | None = None) -> None:
    """See that a range is one and that float32 holds its scale.

    Raises:
        CalibrationError: It is not.
    """
    right = math.isfinite(amax) and amax >= 0 and (amax == 0 or _is_normal(amax))
    if not right:
        raise CalibrationError(
            f"tensor {name!r} cannot have this dynamic range",
            where=where,
            expected="0, or a finite number above 0 whose 127th part is a float32",
            got=f"{amax!r}",
        )


def parse_cache(path: str | os.PathLike[str]) -> tuple[str, str, dict[str, float]]:
    """Version, TensorRT's word for the algorithm, and scales by name.

    Raises:
        CalibrationError: The file cannot be read, or a line is wrong.
    """
    lines = _lines(path)
    version, word = _header(path, next(lines, (1, "")))
    scales: dict[str, float] = {}
    firsts: dict[str, int] = {}
    for number, line in lines:
        place = f"{os.fspath(path)}:{number}"
        name, mark, value = line.rpartition(": ")
        if not (mark and name and _HEX.fullmatch(value)):
            # A plain number there is a scale file's.
            after = line.rpartition(":")[2].strip()
            raise CalibrationError(
                "a line of the calibration cache is wrong",
                where=place,
                expected="`tensor: 3c6638bd`, the bits of a float32 scale in hexadecimal",
                got=repr(line),
                hint="numbers in decimal are dynamic ranges: read the file as a scale file"
                if _NUMBER.fullmatch(after)
                else None,
            )
        bits = int(value, 16)
        if bits and not _LEAST_NORMAL <= bits < _INFINITE:
            raise CalibrationError(
                "a scale of the calibration cache is no scale",
                where=place,
                expected="the bits of a float32 that is 0, or finite and above 0",
                got=f"{value} ({float(np.uint32(bits).view(np.float32))!r})",
                hint="numbers in decimal are dynamic ranges: read the file as a scale file"
                if bits < _LEAST_NORMAL
                else None,
            )
        _note(firsts, name, number, place)
        scales[name] = float(np.uint32(bits).view(np.float32))
    return version, word, scales


def parse_scales(path: str | os.PathLike[str]) -> tuple[str, str | None, dict[str, float]]:
    """Version, TensorRT's word if a first line has it, and dynamic ranges by name.

    Raises:
        CalibrationError: The file cannot be read, or a line is wrong.
    """
    version, word = DEFAULT_VERSION, None
    ranges: dict[str, float] = {}
    firsts: dict[str, int] = {}
    for number, line in _lines(path):
        if number == 1 and line.startswith("TRT-"):
            version, word = _header(path, (number, line))
            continue
        place = f"{os.fspath(path)}:{number}"
        name, mark, value = line.rpartition(":")
        value = value.strip()
        is_hex = len(value) == 8 and _HEX.fullmatch(value) is not None
        if is_hex or not (mark and name and _NUMBER.fullmatch(value)):
            raise _wrong_scale(place, line, is_hex)
        amax = float(value)
        check_range(name, amax, place)
        if not amax:
            raise CalibrationError(
                f"tensor {name!r} cannot have this dynamic range",
                where=place,
                expected="a number above 0",
                got=value,
                hint="leave the line out to keep the tensor in float",
            )
        _note(firsts, name, number, place)
        ranges[name] = amax
    return version, word, ranges


def _wrong_scale(place: str, line: str, is_hex: bool) -> CalibrationError:
    return CalibrationError(
        "a line of the scale file is wrong",
        where=place,
        expected="`tensor:4.6586`, the dynamic range as a plain number",
        got=repr(line),
        hint="eight hexadecimal digits are the bits of a scale: read the file as a calibration "
        "cache, or write a decimal point if the number is one"
        if is_hex
        else None,
    )


def _header(path: str | os.PathLike[str], first: tuple[int, str]) -> tuple[str, str]:
    number, line = first
    found = HEADER.fullmatch(line)
    if found is None or found[2] not in ALGORITHMS:
        raise CalibrationError(
            "the first line of the calibration cache is wrong",
            where=f"{os.fspath(path)}:{number}",
            expected=f"TRT-8600- or another version, then one of {', '.join(ALGORITHMS)}",
            got=repr(line[:80]) if line else "an empty file",
            hint="a file without this line is no cache: remove it to calibrate anew, or read it "
            "as a scale file",
        )
    return found[1], found[2]


def _note(firsts: dict[str, int], name: str, number: int, place: str) -> None:
    first = firsts.setdefault(name, number)
    if first != number:
        raise CalibrationError(
            f"tensor {name!r} stands in two lines",
            where=place,
            expected="each tensor once",
            got=f"another one in line {first}",
            hint="remove one of them",
        )


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers. Only the last may be empty."""
    target = Path(path)
    try:
        data = target.read_bytes()
    except FileNotFoundError:
        raise CalibrationError(f"there is no file {target}") from None
    except OSError as error:
        raise CalibrationError(f"cannot read {target}: {error.strerror}") from error
    parts = data.split(b"\n")
    while parts and not parts[-1].strip():
        parts.pop()
    for number, part in enumerate(parts, 1):
        place = f"{target}:{number}"
        try:
            line = part.removesuffix(b"\r").decode() if len(part) <= _LONGEST else None
        except UnicodeDecodeError:
            line = None
        if line is None:
            raise CalibrationError(
                "a line is no text", where=place, expected="UTF-8", got=f"{part[:20]!r}…"
            )
        if not line.strip():
            raise CalibrationError(
                "a line is empty", where=place, expected="a tensor and its number", got=repr(line)
            )
        yield number, line


def _is_normal(amax: float) -> bool:
    with np.errstate(over="ignore"):
        return _LEAST_NORMAL <= scale_bits(amax) < _INFINITE
