"""Ranges of a model's tensors, and the two kinds of text files that hold them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping

from fwd_core.errors import CalibrationError, EngineFileError
from fwd_core.files import atomic_path
from fwd_core.quantize import cache_text
from fwd_core.quantize.cache_text import DEFAULT_VERSION, HEADER, scale_bits, word_of
from fwd_core.user_warnings import warn


class CalibrationCache(Mapping[str, float]):
    """Ranges by tensor, in order, and how they were found. It is never changed.

    A range, ``amax``, is the greatest magnitude that int8 shall hold; ``amax / 127`` is the scale.
    0 is the range of a tensor that was always 0.

    Args:
        ranges: Ranges by name of tensor.
        algorithm: Name of the algorithm that found them.
        version: TensorRT's version as caches spell it, ``8600``.
        partial: Whether tensors may be missing: the ranges were set by hand.
        source: The file that it was read from, ``None`` if it was not.

    Raises:
        CalibrationError: A range is negative, not finite or too great, or a name is no name.

    Example:
        >>> cache = CalibrationCache({"input0": 2.54, "relu1": 6.35}, "minmax")
        >>> print(cache)
        TRT-8600-MinMaxCalibration: 2 tensors, algorithm minmax
        tensor  dynamic range      scale
        input0           2.54       0.02
        relu1            6.35       0.05
    """

    def __init__(
        self,
        ranges: Mapping[str, float],
        algorithm: str,
        *,
        version: str = DEFAULT_VERSION,
        partial: bool = False,
        source: str | os.PathLike[str] | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.version = version
        self.partial = partial
        self.source = None if source is None else os.fspath(source)
        self._ranges = {name: float(amax) for name, amax in ranges.items()}
        if not HEADER.fullmatch(self.header):
            raise CalibrationError(
                "TensorRT's version is digits in a calibration cache",
                expected=f"such as {DEFAULT_VERSION}",
                got=repr(version),
            )
        for name, amax in self._ranges.items():
            cache_text.check_name(name)
            cache_text.check_range(name, amax)

    @property
    def header(self) -> str:
        """First line of the file: TensorRT's version and its word for the algorithm."""
        return f"TRT-{self.version}-{word_of(self.algorithm)}"

    # --- files ----------------------------------------------------------------------------------

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, algorithm: str | None = None
    ) -> CalibrationCache:
        """Read a calibration cache that TensorRT or Forward wrote.

        Args:
            path: The file.
            algorithm: The algorithm that the ranges must be of. TensorRT's format has no word for
                ``percentile`` and the like, so those are only known by this argument.

        Raises:
            CalibrationError: The file cannot be read or has a line that is wrong, or is of another
                algorithm.
        """
        version, word, scales = cache_text.parse_cache(path)
        found = cache_text.ALGORITHMS[word]
        if algorithm is not None and word_of(algorithm) != word:
            shared = cache_text.is_shared(word)
            raise CalibrationError(
                f"{os.fspath(path)} was calibrated by another algorithm",
                expected=f"{algorithm} ({word_of(algorithm)} in the file)",
                got=f"{word}, which caches of {cache_text.SHARED_BY} carry"
                if shared
                else f"{found} ({word})",
                hint="ask for the one it was calibrated by, or for none to take the ranges as they "
                "are, or remove the file to calibrate anew"
                if shared
                else f"ask for {found}, or remove the file to calibrate anew",
            )
        # 127 times a float32 is exact in float64: what is read is what is written again.
        ranges = {name: scale * 127.0 for name, scale in scales.items()}
        return cls(ranges, algorithm or found, version=version, source=path)

    @classmethod
    def load_scales(
        cls, path: str | os.PathLike[str], *, algorithm: str | None = None
    ) -> CalibrationCache:
        """Read a scale file: ranges that were set by hand, as plain numbers.

        ``INPUT0:4.6586`` says that int8 covers -4.6586 to 4.6586 there. The number is the range,
        not the scale, whatever the file's name says. The cache's first line may stand above.

        Args:
            path: The file.
            algorithm: What the cache shall say, if the file has no such first line.

        Raises:
            CalibrationError: The file cannot be read or has a line that is wrong.
        """
        version, word, ranges = cache_text.parse_scales(path)
        if algorithm is None:
            algorithm = cache_text.ALGORITHMS[word or "EntropyCalibration"]
        return cls(ranges, algorithm, version=version, partial=True, source=path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write TensorRT's format. What is at ``path`` is replaced at once or stays as it is.

        Raises:
            CalibrationError: The folder does not exist or cannot be written, or the disk is full.
        """
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(self.text().encode())
        except EngineFileError as error:
            raise CalibrationError(error.what, hint=error.hint) from error

    def text(self) -> str:
        """What :meth:`save` writes."""
        lines = [f"{name}: {scale_bits(amax):x}" for name, amax in self.items()]
        return "\n".join([self.header, *lines, ""])

    # --- use ------------------------------------------------------------------------------------

    def merge(self, other: CalibrationCache) -> CalibrationCache:
        """Ranges of both; of a tensor that both have, the greater one.

        Raises:
            CalibrationError: They are of different algorithms, or the other is no cache.
        """
        if not isinstance(other, CalibrationCache):
            raise CalibrationError(
                "a cache is merged with another cache",
                expected="a CalibrationCache",
                got=type(other).__name__,
                hint="CalibrationCache.load(path) reads a file",
            )
        if self.algorithm != other.algorithm:
            raise CalibrationError(
                "cannot merge caches of different algorithms",
                expected=self.algorithm,
                got=other.algorithm,
                hint="calibrate both with the same algorithm",
            )
        ranges = dict(self)
        for name, amax in other.items():
            ranges[name] = max(amax, ranges.get(name, 0.0))
        partial = self.partial and other.partial
        return CalibrationCache(ranges, self.algorithm, version=self.version, partial=partial)

    def require(self, names: Iterable[str], *, known: Iterable[str] = ()) -> dict[str, float]:
        """Ranges of the tensors that need one, in their order, without those that are 0.

        Args:
            names: Tensors that are to be quantized.
            known: Further tensors of the graph, that the cache may have.

        Raises:
            CalibrationError: A tensor is missing (unless the ranges were set by hand: then a
                warning names those that stay in float), or the graph lacks one that is here.
        """
        needed = list(names)
        missing = [name for name in needed if name not in self]
        everything = {*needed, *known}
        unknown = [name for name in self if name not in everything]
        if unknown or (missing and not self.partial):
            raise self._unfit(needed, missing, unknown, sorted(everything))
        if missing:
            warn(
                f"{len(missing)} of {len(needed)} tensors have no scale and stay in float: "
                f"{listed(missing)}"
            )
        wanted = frozenset(needed)
        unused = [name for name in self if name not in wanted] if self.partial else []
        if unused:  # caches hold more where others wrote them
            warn(
                f"{len(unused)} of {len(self)} scales are of tensors that int8 does not need, and "
                f"are not used: {listed(unused, 5)}. `fwd inspect MODEL --input … --tensors` says "
                "which it needs"
            )
        return {name: self[name] for name in needed if self.get(name)}

    def _unfit(
        self, needed: list[str], missing: list[str], unknown: list[str], everything: list[str]
    ) -> CalibrationError:
        details = []
        if missing and not self.partial:
            details.append(f"missing here ({len(missing)}): {listed(missing)}")
        if unknown:
            found = (_with_closest(name, missing or everything) for name in unknown[:_SHOWN])
            more = f", and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            details.append(f"not in the model ({len(unknown)}): {', '.join(found)}{more}")
        if self.partial:
            return CalibrationError(
                f"the scales{self.named}, which were set by hand, do not fit the model",
                expected=f"names of its {len(everything)} tensors, of which int8 needs "
                f"{len(needed)}",
                got=f"{len(self)} scales",
                details=details,
                hint="rename these tensors to those that `fwd inspect MODEL --input … --tensors` "
                "prints, or leave them out",
            )
        return CalibrationError(
            f"the calibration cache{self.named} does not fit the model",
            expected=f"ranges of the {len(needed)} tensors that int8 needs, of the model's "
            f"{len(everything)}",
            got=f"{len(self)} ranges",
            details=details,
            hint="calibrate anew, or rename the tensors in the file to those that "
            "`fwd inspect MODEL --input … --tensors` prints",
        )

    @property
    def named(self) -> str:
        """The file that it was read from, behind a blank, for texts; empty if it was not."""
        return "" if self.source is None else f" {self.source}"

    def __getitem__(self, name: str) -> float:
        return self._ranges[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalibrationCache):
            return NotImplemented
        return list(self.items()) == list(other.items()) and (
            (self.algorithm, self.version, self.partial)
            == (other.algorithm, other.version, other.partial)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<CalibrationCache {self.algorithm}, {len(self)} tensors>"

    def __str__(self) -> str:
        count = f"{len(self)} tensor{'' if len(self) == 1 else 's'}"
        rows = [("tensor", "dynamic range", "scale")]
        rows += [(name, f"{amax:.6g}", f"{amax / 127:.6g}") for name, amax in self.items()]
        width = max(len(name) for name, _, _ in rows)
        lines = [f"{name:<{width}}  {amax:>13}  {scale:>9}" for name, amax, scale in rows]
        return "\n".join([f"{self.header}: {count}, algorithm {self.algorithm}", *lines])


_SHOWN = 10


def listed(names: list[str], shown: int = _SHOWN) -> str:
    """The first few names, and how many more there are."""
    more = f", and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _with_closest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"{name} (close to {close[0]})" if close else name
