"""From data to ranges, and from ranges to a graph in int8."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

from fwd_core import files
from fwd_core.errors import CalibrationError, EngineFileError, OptionError
from fwd_core.ir.graph import Graph
from fwd_core.quantize.algorithms import Algorithm, algorithm_of
from fwd_core.quantize.cache import CalibrationCache, listed
from fwd_core.quantize.collect import Batches, watch
from fwd_core.quantize.histogram import Histogram
from fwd_core.quantize.placement import place, quantizable
from fwd_core.quantize.report import Placement
from fwd_core.user_warnings import warn

if TYPE_CHECKING:
    from fwd_core.builder import Builder

#: What ranges are chosen by where nothing is said.
DEFAULT_ALGORITHM = "mse"
PathLike = Union[str, "os.PathLike[str]"]


class Calibrator:
    """What the int8 modes are told: where ranges come from, and what stays in float.

    Ranges come from a scale file if there is one, else from a cache that fits the model, else from
    running batches; then the cache is written.

    Args:
        batches: Any iterable: mappings by input name, sequences in the order of the inputs, or
            arrays where there is one input. It is gone through once. Or a function that gives one
            for the model's inputs.
        algorithm: Name of the algorithm, or one of a pack's own; a cache that is read must be of
            it. By default ``mse``, and a cache of any.
        cache: A cache, or the file that one is read from and written to.
        scales: A file with ranges set by hand, in place of all else; tensors that it does not name
            stay in float.
        skip: Globs over names of nodes and module paths that stay in float.
        attention: Quantize the products of attention too.

    Raises:
        OptionError: No source of ranges is given, or one that would not be used, or ``skip`` is one
            pattern alone.
    """

    def __init__(
        self,
        batches: Batches | None = None,
        *,
        algorithm: str | Algorithm | None = None,
        cache: CalibrationCache | PathLike | None = None,
        scales: PathLike | None = None,
        skip: Sequence[str] = (),
        attention: bool = False,
    ) -> None:
        if batches is None and cache is None and scales is None:
            raise OptionError(
                "a calibrator needs data, a cache or a scale file",
                hint="Calibrator(batches), or Calibrator(cache='model.cache')",
            )
        unused = {"algorithm": algorithm, "cache": cache} if scales is not None else {}
        if names := [name for name, value in unused.items() if value is not None]:
            raise OptionError(
                f"a scale file gives all ranges, so {' and '.join(names)} would not be used",
                hint="leave out one or the other",
            )
        if isinstance(skip, str):
            raise OptionError("skip is a list of patterns", got=repr(skip), hint=f"[{skip!r}]")
        self.batches = batches
        self.algorithm = algorithm
        self.cache = cache
        self.scales = scales
        self.skip = tuple(skip)
        self.attention = attention
        #: What :meth:`quantize` did last.
        self.placement: Placement | None = None

    def names(self, graph: Graph) -> list[str]:
        """Tensors of a graph that need ranges."""
        return quantizable(graph, skip=self.skip, attention=self.attention)

    def calibrate(self, graph: Graph, builder: Builder) -> CalibrationCache:
        """The ranges of a graph's tensors.

        Args:
            graph: Of floats, before fusions; it is not changed.
            builder: Runs it.

        Raises:
            CalibrationError: There is no data, or no range can be found, or a file does not fit.
        """
        names = self.names(graph)
        asked = None if self.algorithm is None else algorithm_of(builder.plugins, self.algorithm)
        if self.scales is not None:
            return CalibrationCache.load_scales(self.scales)
        if isinstance(self.cache, CalibrationCache):
            return _of(self.cache, asked)
        path = None if self.cache is None else Path(self.cache)
        if path is not None and path.exists():
            return CalibrationCache.load(path, algorithm=None if asked is None else asked.name)
        if self.batches is None:
            raise CalibrationError(
                f"there is no calibration cache {path}",
                hint="give batches to calibrate with, or the path of a cache",
            )
        if path is not None:
            require_writable(path)
        algorithm = asked or algorithm_of(builder.plugins, DEFAULT_ALGORITHM)
        found = collected(graph, names, self.batches, algorithm, builder)
        if path is not None:
            found.save(path)
        return found

    def has_file(self) -> bool:
        """Whether the cache is a file that is there already, so that no batch is looked at."""
        named = None if isinstance(self.cache, CalibrationCache) else self.cache
        return named is not None and Path(named).exists()

    def require_file(self) -> None:
        """Check that mode ``int8_calib`` has a cache to write, or to find written.

        Raises:
            OptionError: It has none.
        """
        if self.scales is not None:
            raise OptionError(
                "mode 'int8_calib' calibrates, and these ranges are set by hand",
                got=f"scale file {os.fspath(self.scales)}",
                hint="mode 'int8' takes them",
            )
        if self.cache is None or isinstance(self.cache, CalibrationCache):
            raise OptionError(
                "mode 'int8_calib' writes a calibration cache, and no file is named",
                expected="the path of a file",
                got="no cache" if self.cache is None else "a cache in memory",
                hint="Calibrator(batches, cache='model.cache'); mode 'int8' needs no file",
            )

    def ranges(self, graph: Graph, builder: Builder) -> dict[str, float]:
        """The ranges that int8 needs, checked against the graph, which is not changed.

        Raises:
            CalibrationError: As :meth:`calibrate`, or ranges are of another model.
        """
        cache = self.calibrate(graph, builder)
        names = self.names(graph)
        if self.attention:
            self._require_attention(cache, names, quantizable(graph, skip=self.skip))
        tensors = [value.name for value in graph.values() if value.constant is None]
        return cache.require(names, known=tensors)

    @staticmethod
    def _require_attention(
        cache: CalibrationCache, names: Sequence[str], without: Sequence[str]
    ) -> None:
        """Tell a cache that fits but for attention from one of another model."""
        missing = [name for name in names if name not in cache]
        if cache.partial or not missing or any(name not in cache for name in without):
            return
        raise CalibrationError(
            f"the calibration cache{cache.named} has no ranges of what attention multiplies",
            expected=f"ranges of the {len(names)} tensors that int8 needs with attention=True",
            got=f"{len(cache)} ranges",
            details=[f"missing here ({len(missing)}): {listed(missing)}"],
            hint="it was calibrated without attention=True: calibrate with it, or leave it out",
        )

    def quantize(self, graph: Graph, builder: Builder) -> Placement:
        """Write int8 into a graph, in place.

        Raises:
            CalibrationError: As :meth:`calibrate`, or ranges are of another model.
            OptionError: There are batches that nothing is done with.
        """
        held = isinstance(self.cache, CalibrationCache)
        if self.batches is not None and (held or self.scales is not None):
            raise OptionError(
                "the batches would not be used",
                got=f"batches together with a {'cache in memory' if held else 'scale file'}",
                hint="leave out one or the other",
            )
        ranges = self.ranges(graph, builder)
        self.placement = place(
            *(graph, ranges),
            skip=self.skip,
            attention=self.attention,
            unsigned=builder.backend().unsigned,
            adds_floats=builder.backend().adds_floats,
        )
        return self.placement


def _of(cache: CalibrationCache, asked: Algorithm | None) -> CalibrationCache:
    if asked is not None and cache.algorithm != asked.name:
        raise CalibrationError(
            "the calibration cache was calibrated by another algorithm",
            expected=asked.name,
            got=cache.algorithm,
            hint="leave the algorithm out to take the cache as it is; a file does not tell 'mse' "
            "from 'entropy_2': CalibrationCache.load(path, algorithm='mse') does",
        )
    return cache


def require_writable(path: PathLike) -> None:
    """Check before calibrating that a cache can be written.

    Raises:
        CalibrationError: The folder does not exist or cannot be written.
    """
    try:
        files.require_writable(path)
    except EngineFileError as error:
        raise CalibrationError(error.what, hint=error.hint) from error


def collected(
    graph: Graph,
    names: Sequence[str],
    batches: Batches,
    algorithm: Algorithm,
    builder: Builder,
) -> CalibrationCache:
    """Ranges of tensors of a float graph, found by running batches.

    Raises:
        CalibrationError: There are no batches, or a tensor holds NaN or infinity.
    """
    histograms = {name: Histogram(name) for name in names}
    given = {value.name for value in graph.inputs}

    def look(name: str, array: NDArray[Any]) -> None:
        try:
            histograms[name].update(array)
        except CalibrationError as error:
            if name in given:  # no layer made them
                first = np.argwhere(~np.isfinite(array.astype(np.float64)))[0].tolist()
                error.noted(f"the first at {first} of the batch")
                error.hinted("mend the data: this is an input of the model", error.hint)
            raise

    detail, to = algorithm.name, "to calibrate with"
    watch(graph, names, batches, builder, look, phase="calibrate", detail=detail, to=to)
    _warn_of_few(histograms, algorithm)
    ranges = {name: algorithm.amax(histogram) for name, histogram in histograms.items()}
    return CalibrationCache(ranges, algorithm.name)


def _warn_of_few(histograms: Mapping[str, Histogram], algorithm: Algorithm) -> None:
    found = {name: one.count - one.zeros for name, one in histograms.items()}
    few = [name for name, count in found.items() if 0 < count < algorithm.least_values]
    if few:
        warn(
            f"{len(few)} of {len(found)} tensors have had fewer than {algorithm.least_values} "
            f"values that are not 0, too few for {algorithm.name!r}, which then clips more than is "
            f"good: {listed(few)}. Calibrate with more batches, or by 'mse' or 'minmax'"
        )
