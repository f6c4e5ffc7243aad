"""The one family of errors that Forward raises, and the one form of their text.

Every message says what failed, where in the user's model, what was expected and what was
there, and what to do next. Nothing in Forward logs a failure and returns ``None``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class ForwardError(Exception):
    """Base of every error that Forward raises on purpose.

    Args:
        what: One line that says what failed.
        where: Place in the user's model (a :class:`~fwd_core.ir.Location` or text).
        expected: What would have been right.
        got: What was there.
        details: Further lines, for example a backend's own log lines.
        hint: What to do next.

    Example:
        >>> print(ForwardError("cannot add", expected="rank 2", got="rank 3", hint="squeeze x"))
        cannot add
          expected: rank 2
          got:      rank 3
          Hint: squeeze x
    """

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        expected: object | None = None,
        got: object | None = None,
        details: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.details = tuple(details)
        self.hint = hint
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [self.what]
        if self.where is not None and (place := str(self.where)):
            lines.append(f"  at {place}")
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.got is not None:
            lines.append(f"  got:      {self.got}")
        for detail in self.details:
            lines.extend(f"  {line}" for line in detail.splitlines())
        if self.hint:
            lines.append(f"  Hint: {self.hint}")
        return "\n".join(lines)

    def located(self, where: object) -> ForwardError:
        """Return this error with a place, unless it already names one.

        Code that knows what is wrong is often not the code that knows where: the inner part
        raises without a place and the caller that holds the location adds it.
        """
        if self.where is None:
            self.where = where
            self.args = (self._text(),)
        return self

    def hinted(self, hint: str, instead_of: str | None = None) -> ForwardError:
        """Return this error with a hint, if it has none, or this one.

        As with :meth:`located`, the code that knows what is wrong may not know how it was asked.
        """
        if self.hint == instead_of:
            self.hint = hint
            self.args = (self._text(),)
        return self

    def noted(self, detail: str) -> ForwardError:
        """Return this error with one more line of details."""
        self.details = (*self.details, detail)
        self.args = (self._text(),)
        return self

    def problem(self) -> Problem:
        """Return this error as one of a list of problems."""
        operator = getattr(self.where, "operator", "") or "model"
        parts = [self.what.removeprefix(f"{operator}: ")]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.got is not None:
            parts.append(f"got {self.got}")
        place = "" if self.where is None else str(self.where)
        reason = "; ".join([*parts, *self.details])
        return Problem(operator, reason, 1, (place,) if place else (), self.hint or "")


@dataclass(frozen=True)
class Problem:
    """One thing in a model that cannot be converted, however often it occurs.

    Attributes:
        operator: Qualified operator, for example ``aten::nonzero``.
        reason: Why.
        count: How often it occurs.
        places: Where in the user's model, each once.
        hint: What to do.
    """

    operator: str
    reason: str
    count: int
    places: tuple[str, ...]
    hint: str = ""


class UnsupportedModelError(ForwardError):
    """The model cannot be converted: operators without a converter, or control flow on data.

    Common causes: an operator that no installed pack converts (the message lists all of
    them at once), a branch or loop that depends on tensor values, a model in training mode.

    Attributes:
        problems: Everything that was found, for programs that list it themselves.
    """

    def __init__(self, what: str, *, problems: Iterable[Problem] = (), **parts: Any) -> None:
        self.problems = tuple(problems)
        super().__init__(what, **parts)


class ConversionError(ForwardError):
    """One operator of the model could not be converted with these arguments or shapes.

    Common causes: dummy inputs of the wrong shape, a size that the trace fixed although the
    input was declared dynamic, an argument that the converter does not take.
    """


class GraphError(ForwardError):
    """A graph breaks a rule of the IR. In a user's hands this is a bug in a pack or in Forward."""


class BuildError(ForwardError):
    """A backend could not turn the graph into an engine. Holds the backend's own words."""


class SelfCheckError(BuildError):
    """An engine was built, and its results are not those that the model itself gives.

    Common causes: a compiler that makes wrong code of this model, or a lowering of a pack that
    computes something else. The message says how far apart they are.
    """


class InputError(ForwardError):
    """An input of a build or of a run does not fit: name, count, dtype, rank, range or device."""


class DeviceError(ForwardError):
    """The GPU, or TensorRT on it, failed while an engine was loaded or ran."""


class CudaError(DeviceError):
    """A CUDA call failed. Common causes: no memory left, or an earlier kernel that failed.

    Attributes:
        name: CUDA's name of the error, as ``cudaErrorMemoryAllocation``.

    Args:
        call: The function of CUDA.
        name: As above.
        text: CUDA's words for it.
        parts: As for :class:`ForwardError`.
    """

    def __init__(self, call: str, name: str = "", text: str = "", **parts: Any) -> None:
        self.name = name
        what = f"{call} failed: {name}" if name else call
        super().__init__(what, details=[text] if text else [], **parts)


class EngineFileError(ForwardError):
    """An engine or graph file is missing, damaged, of another format, or of another machine."""


class CalibrationError(ForwardError):
    """Int8 was asked for without what it needs, or calibration data does not fit the model."""


class PluginError(ForwardError):
    """A pack cannot be used: it failed to import, claims a taken name, or misuses a hook."""


class OptionError(ForwardError):
    """An option or its value is unknown, or the chosen backend cannot honour it."""


class ForwardWarning(UserWarning):
    """Something has no effect here, an option or a part of a pack, and the work goes on."""


class GraphWarning(ForwardWarning):
    """An engine's runs cannot be recorded as CUDA graphs, so each is enqueued anew."""
