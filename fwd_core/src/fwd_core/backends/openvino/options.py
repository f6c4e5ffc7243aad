"""Options of the OpenVINO backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fwd_core.backends.base import Options
from fwd_core.errors import OptionError

Hint = Literal["latency", "throughput"]


@dataclass(frozen=True)
class OpenVINOOptions(Options):
    """Options of the OpenVINO backend.

    Attributes:
        threads: Threads that all runs of the engine share; by default one per core. More than
            the machine has cores is refused, because OpenVINO would quietly use fewer.
        hint: ``latency`` gives one run all threads, and further callers wait for it;
            ``throughput`` divides the threads as OpenVINO sees fit, so that several runs are under
            way at once; with few cores it may still choose one.
        streams: How many runs are under way at once, in place of what the hint chooses. At most
            one per thread.

    Raises:
        OptionError: A value is of the wrong type or out of range.
    """

    threads: int | None = None
    hint: Hint = "latency"
    streams: int | None = None

    def __post_init__(self) -> None:
        for name in ("threads", "streams"):
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is not int or value < 1:
                raise OptionError(
                    f"option {name!r} of backend 'openvino'",
                    expected="an integer, 1 or more, or None",
                    got=repr(value),
                )
        if self.hint not in get_args(Hint):
            raise OptionError(
                "option 'hint' of backend 'openvino'",
                expected=" or ".join(repr(hint) for hint in get_args(Hint)),
                got=repr(self.hint),
            )
