"""Int8 that loses no more than is allowed: the layers that lose most stay in float."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fwd_core.backends.base import Port
from fwd_core.builder import Builder
from fwd_core.engine.engine import Engine
from fwd_core.errors import CalibrationError, ForwardError, OptionError
from fwd_core.ir.graph import Graph
from fwd_core.ir.serialize import copied
from fwd_core.quantize.algorithms import algorithm_of
from fwd_core.quantize.batches import Counted, count_of
from fwd_core.quantize.cache import CalibrationCache, listed
from fwd_core.quantize.cache_text import is_shared, word_of
from fwd_core.quantize.calibrate import DEFAULT_ALGORITHM, Calibrator, collected, require_writable
from fwd_core.quantize.placement import quantizable
from fwd_core.quantize.report import Placement
from fwd_core.quantize.rules import PRODUCTS
from fwd_core.quantize.sensitivity import LayerLoss, sensitivity
from fwd_core.user_lines import line_of

#: What an engine is worth: greater is better.
Metric = Callable[[Any], float]
_NUMBER = "a number for the engine that it is called with, greater is better"
#: Batches that layers are ranked with.
BATCHES = 8
#: Algorithms that are worth trying then, as caches call them, and what to ask for.
_WORTH_TRYING = {"minmax": "minmax", "percentile": "percentile=99.99", "mse": "mse"}


@dataclass(frozen=True)
class Attempt:
    """One build that was measured.

    Attributes:
        floats: How many products were in float, the worst first.
        value: What the metric said of it.
        drop: By how much that is less than of float32.
    """

    floats: int
    value: float
    drop: float


@dataclass(frozen=True)
class Quantized:
    """An engine in int8 and how it was reached.

    Attributes:
        engine: The engine.
        baseline: What the metric says of float32.
        value: What it says of the engine.
        max_drop: The bound.
        floats: Products that were moved to float, the most sensitive first.
        placement: What is in int8 and what is not.
        attempts: What was built, in order.
    """

    engine: Any
    baseline: float
    value: float
    max_drop: float
    floats: tuple[LayerLoss, ...]
    placement: Placement
    attempts: tuple[Attempt, ...] = field(repr=False)

    @property
    def drop(self) -> float:
        """By how much the engine is worse than float32; negative if it is better."""
        return self.baseline - self.value

    def __str__(self) -> str:
        lines = [
            f"float32 {self.baseline:.6g}, int8 {self.value:.6g}: a drop of {self.drop:.3g}, at "
            f"most {self.max_drop:.3g}",
            f"int8: {self.placement.title}, in {_builds(len(self.attempts))}",
        ]
        if self.floats:
            lines.append("moved to float, the most sensitive first:")
            lines += [f"  {one.sqnr:5.1f} dB  {one.name}" for one in self.floats]
        return "\n".join(lines)


def search(
    graph: Graph,
    builder: Builder,
    metric: Metric,
    max_drop: float,
    *,
    shown: Callable[[Engine], Any] = lambda engine: engine,
) -> Quantized:
    """Build in int8, and move the most sensitive layers to float until the metric is near enough.

    The number of layers is doubled until the bound holds, then bisected: a few builds, also of
    deep models.

    Args:
        graph: Of floats, as imported; it is not changed.
        builder: Of mode ``int8``, with a calibrator that has batches.
        metric: Called with each engine; greater is better.
        max_drop: By how much the metric may be less than of float32, in its own unit.
        shown: Makes what the metric takes of an engine.

    Raises:
        CalibrationError: The bound does not hold, even with one product alone in int8; it says
            what was reached.
        OptionError: The metric fails or gives no finite number, or ``max_drop`` is negative.
        ForwardError: Another, of the calibration or a build.
    """
    if isinstance(max_drop, bool) or not isinstance(max_drop, (int, float)) or not max_drop >= 0:
        raise OptionError(
            "argument 'max_drop'", expected="a number that is not negative", got=repr(max_drop)
        )
    return _Search(graph, builder, metric, float(max_drop), shown).run()


class _Search:
    def __init__(
        self,
        graph: Graph,
        builder: Builder,
        metric: Metric,
        max_drop: float,
        shown: Callable[[Engine], Any],
    ) -> None:
        if builder.calibrator is None:
            raise CalibrationError(
                "there is no calibrator to find ranges with",
                hint="Builder(mode='int8', calibrator=Calibrator(batches))",
            )
        self.graph, self.builder, self.metric = graph, builder, metric
        self.max_drop, self.shown = max_drop, shown
        self.given: Calibrator = builder.calibrator
        self.kept: list[Any] = []
        self.ranking: list[LayerLoss] = []
        self.attempts: list[Attempt] = []
        self.baseline = 0.0
        self.cache = CalibrationCache({}, DEFAULT_ALGORITHM)
        #: The best engine that the bound holds for, what it is wrapped in, and its placement.
        self.best: tuple[int, Engine, Any, Placement] | None = None

    def run(self) -> Quantized:
        exact = self._builder("float32", None).compile(self._copy())
        with exact, self.builder.events.phase("metric", detail="float32"):
            self.baseline = self._measured(self.shown(exact))
        self.cache = self._ranges()
        if not self._try(0):
            self._rank()
            self._reduce()
        assert self.best is not None, "a bound that does not hold has been told"
        floats, _, engine, placement = self.best
        value = next(one.value for one in reversed(self.attempts) if one.floats == floats)
        return Quantized(
            engine,
            self.baseline,
            value,
            self.max_drop,
            tuple(self.ranking[:floats]),
            placement,
            tuple(self.attempts),
        )

    def _reduce(self) -> None:
        """The fewest layers in float that the bound holds with, if fewer are never better."""
        most = len(self.ranking) - 1  # with all of them nothing would be in int8
        failed, count = 0, 1
        while count < most and not self._try(count):
            failed, count = count, 2 * count
        if count >= most and (most < 1 or not self._try(most)):
            raise self._unreached()
        good = min(count, most)
        while good - failed > 1:
            middle = (good + failed) // 2
            if self._try(middle):
                good = middle
            else:
                failed = middle

    def _try(self, floats: int) -> bool:
        """Build with so many layers in float, and measure."""
        skip = [*self.given.skip, *(glob.escape(one.name) for one in self.ranking[:floats])]
        attention = self.given.attention
        names = quantizable(self.graph, skip=skip, attention=attention)
        held = {name: self.cache[name] for name in names if name in self.cache}
        cache = CalibrationCache(
            held, self.cache.algorithm, partial=self.cache.partial or not self.kept
        )
        calibrator = Calibrator(cache=cache, skip=skip, attention=attention)
        engine = self._builder("int8", calibrator).compile(self._copy())
        placement = calibrator.placement
        assert placement is not None, "it was built in int8"
        wrapped = self.shown(engine)
        with self.builder.events.phase("metric", detail=self._title(floats)):
            value = self._measured(wrapped)
        drop = self.baseline - value
        self.attempts.append(Attempt(floats, value, drop))
        if drop > self.max_drop:
            engine.close()
            return False
        if self.best is not None:
            self.best[1].close()
        self.best = (floats, engine, wrapped, placement)
        return True

    @staticmethod
    def _title(floats: int) -> str:
        return (
            f"int8 with {floats} layer{'' if floats == 1 else 's'} in float" if floats else "int8"
        )

    def _measured(self, engine: Any) -> float:
        try:
            found = self.metric(engine)
            if found is None:
                raise OptionError("the metric gave None", expected=_NUMBER)
            value = float(found)
        except ForwardError as error:
            place = line_of(error)
            raise error if place is None else error.noted(f"in the metric, at {place}") from None
        except Exception as error:
            raise OptionError(
                f"the metric failed: {type(error).__name__}: {error}".rstrip(": "),
                where=line_of(error),
                expected=_NUMBER,
            ) from error
        if not math.isfinite(value):
            raise OptionError("the metric gave no finite number", got=repr(found))
        return value

    # --- ranges and ranks -----------------------------------------------------------------------

    def _ranges(self) -> CalibrationCache:
        """Ranges of all that is quantized, also where some product is in float."""
        given = self.given
        from_file = isinstance(given.cache, CalibrationCache) or given.scales is not None
        path = None if from_file or given.cache is None else Path(str(given.cache))
        if from_file or (path is not None and path.exists()):
            given.ranges(self.graph, self.builder)  # tells what does not fit
            return given.calibrate(self.graph, self.builder)
        if given.batches is None:
            return given.calibrate(self.graph, self.builder)  # says that there is nothing
        usual = given.names(self.graph)
        algorithm = algorithm_of(self.builder.plugins, given.algorithm or DEFAULT_ALGORITHM)
        if path is not None:
            require_writable(path)
        found = collected(self.graph, self._names(usual), self._keeping, algorithm, self.builder)
        if path is not None:
            CalibrationCache({name: found[name] for name in usual}, found.algorithm).save(path)
        return found

    def _names(self, usual: Sequence[str]) -> list[str]:
        # With a product in float, its sum with another one may be quantized at the other operand.
        found = dict.fromkeys(usual)
        for node in self.graph:
            skip = [*self.given.skip, glob.escape(node.name)]
            if isinstance(node.op, PRODUCTS):
                attention = self.given.attention
                found |= dict.fromkeys(quantizable(self.graph, skip=skip, attention=attention))
        return list(found)

    def _keeping(self, ports: Sequence[Port]) -> Iterable[Any]:
        items = self._batches(ports)
        return Counted(self._kept_of(items), count_of(items))

    def _kept_of(self, items: Iterable[Any]) -> Iterator[Any]:
        for batch in items:
            if len(self.kept) < BATCHES:
                self.kept.append(batch)
            yield batch

    def _batches(self, ports: Sequence[Port]) -> Any:
        items = self.given.batches
        if items is None:
            raise CalibrationError(
                "there is no data to rank layers with", hint="give batches beside the cache"
            )
        return items(ports) if callable(items) else items

    def _rank(self) -> None:
        ports = [Port(value.name, value.type) for value in self.graph.inputs]
        few = self.kept or islice(self._batches(ports), BATCHES)
        attention = self.given.attention
        names = quantizable(self.graph, skip=self.given.skip, attention=attention)
        ranges = {name: self.cache[name] for name in names if self.cache.get(name)}
        self.ranking = sensitivity(
            self.graph, ranges, few, self.builder, skip=self.given.skip, attention=attention
        )

    # --- parts ----------------------------------------------------------------------------------

    def _builder(self, mode: str, calibrator: Calibrator | None) -> Builder:
        old = self.builder
        made = Builder(
            backend=old.backend_name,
            mode=mode,
            options=old.options,
            plugins=old.plugins,
            calibrator=calibrator,
        )
        made.events = old.events
        return made

    def _copy(self) -> Graph:
        return copied(self.graph, self.builder.plugins.operators)

    def _unreached(self) -> CalibrationError:
        best = min(self.attempts, key=lambda one: one.drop)
        most = max(one.floats for one in self.attempts)
        floats = [one.name for one in self.ranking[:most]]
        details = [
            f"{self._title(one.floats)}: {one.value:.6g}, a drop of {one.drop:.3g}"
            for one in self.attempts
        ]
        if floats:
            details.append(f"in float at the end, the most sensitive first: {listed(floats)}")
        return CalibrationError(
            "int8 does not stay within the bound, whatever is kept in float",
            expected=f"a drop of at most {self.max_drop:.3g} from {self.baseline:.6g}",
            got=f"a drop of {best.drop:.3g} ({best.value:.6g}), {self._title(best.floats)}",
            details=details,
            hint=f"{self._other_ranges()}, more data, or mode 'float16'",
        )

    def _other_ranges(self) -> str:
        """What other ranges there are to try than those in use."""
        if self.given.scales is not None:
            return "try ranges of an algorithm in place of the scale file"
        used = {self.cache.algorithm}
        if self.given.algorithm is None and is_shared(word_of(self.cache.algorithm)):
            used.add(DEFAULT_ALGORITHM)  # a file that was read may be of it, and does not tell
        others = ", ".join(text for name, text in _WORTH_TRYING.items() if name not in used)
        return f"try another algorithm ({others})"


def _builds(count: int) -> str:
    return f"{count} build{'' if count == 1 else 's'}"
