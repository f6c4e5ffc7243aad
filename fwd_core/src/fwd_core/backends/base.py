"""What a backend is: it compiles graphs to plans and runs plans."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fwd_core.backends import option_types
from fwd_core.errors import ForwardError, OptionError, Problem
from fwd_core.events import Events
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.types import TensorType

if TYPE_CHECKING:
    from fwd_core.backends.layer_times import LayerTime
    from fwd_core.plugins import Plugins

Mode = Literal["float32", "float16", "int8_calib", "int8"]


@dataclass(frozen=True)
class Availability:
    """What a backend can do on this machine.

    Attributes:
        build: Whether it can compile here.
        run: Whether it can run what it compiled here.
        reason: Why not, and how to make it so; ``""`` when both are true.
        versions: Versions of the libraries it found, by distribution.
        devices: Devices that it would run on.
        targets: GPUs that it can build for without having one, as ``sm_89``.
        advice: A command that makes more of it usable, ``""`` for none.
    """

    build: bool
    run: bool
    reason: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[str] = ()
    targets: Sequence[str] = ()
    advice: str = ""


@dataclass(frozen=True)
class Options:
    """Base of a backend's options: a frozen dataclass with one documented field per option."""

    @classmethod
    def parse(cls, backend: str, given: Mapping[str, Any]) -> Options:
        """Options from keyword arguments.

        Values are checked against the fields' annotations, so that no backend need expect text
        where it declares a number; ranges and words are the backend's own to check.

        Raises:
            OptionError: The backend has no option of that name, or refuses the value.
        """
        known = [item.name for item in fields(cls)]
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, 1)
                raise OptionError(
                    f"backend {backend!r} has no option {name!r}",
                    expected=", ".join(known) or "no options",
                    hint=f"did you mean {close[0]!r}?" if close else "leave it out",
                )
        option_types.check(cls, backend, given)
        return cls(**given)


@dataclass(frozen=True)
class BuildConfig:
    """Everything that a backend is told beside the graph.

    Attributes:
        mode: Numeric mode of the engine.
        options: The backend's own options.
        plugins: Where lowerings come from.
        events: Where progress is told.
    """

    mode: Mode
    options: Options
    plugins: Plugins
    events: Events = field(default_factory=Events)


@dataclass(frozen=True)
class Port:
    """One input or output of an engine, in the source model's own type."""

    name: str
    type: TensorType

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


class Plan(ABC):
    """A compiled graph, not yet ready to run.

    Attributes:
        manifest: JSON about the plan that :meth:`Backend.read_plan` checks: library version,
            device, compute type.
    """

    manifest: Mapping[str, Any]

    @abstractmethod
    def payload(self) -> bytes | memoryview:
        """The plan's bytes, as an engine file holds them."""


class Pending(ABC):
    """A run that may not be over; from :meth:`~fwd_core.Engine.run_async`."""

    @abstractmethod
    def done(self) -> bool:
        """Whether the run is over, so that :meth:`result` does not wait."""

    @abstractmethod
    def result(self) -> Any:
        """Wait until the run is over, and give its outputs.

        Raises:
            ForwardError: The run failed.
        """


class Context(ABC):
    """What one run at a time needs: buffers and the backend's execution state."""

    @abstractmethod
    def run(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Run once and return new output arrays.

        Args:
            inputs: Arrays in port order, of the ports' dtypes, C-contiguous, of shapes that the
                ports allow. A bfloat16 array comes as uint16 words.
            shapes: Shapes of the outputs for these inputs.
        """

    def accept(self, given: Sequence[Any], stream: int | None) -> list[Any]:
        """What a caller gave, as :meth:`run_on` and :meth:`submit` take it.

        Only asked of an executable that has a :attr:`Executable.device`.

        Args:
            given: Arrays in port order, of the host or of the device.
            stream: Handle of the stream on which they are ready; ``None`` if they are ready on
                streams of their own.

        Raises:
            InputError: A dtype does not fit, or an array is on another device.
        """
        raise NotImplementedError

    def replay(self, given: Sequence[Any], stream: int) -> list[Any] | None:
        """Run once on what a caller gave, if all is as it was in a run before.

        It does what :meth:`accept` and :meth:`run_on` do, for less; a context that cannot has
        no need to. Only asked of an executable that has a :attr:`Executable.device`.

        Args:
            given: Arrays in port order, of the host or of the device.
            stream: Handle of the stream on which they are ready, and where to run.

        Returns:
            As :meth:`run_on`; ``None`` if something is new, and nothing was queued.
        """
        del given, stream
        return None

    def run_on(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], stream: int | None
    ) -> list[Any]:
        """Run once on what :meth:`accept` gave.

        Args:
            inputs: From :meth:`accept` of this context, in port order.
            shapes: Shapes of the outputs for these inputs.
            stream: Where to run; with ``None`` the run is over when this returns.

        Returns:
            :class:`~fwd_core.engine.DeviceArray` if any input is on the device, else arrays of
            the host, which are waited for.
        """
        raise NotImplementedError

    def submit(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], stream: int | None
    ) -> Pending:
        """Like :meth:`run_on`, and return before the run is over."""
        raise NotImplementedError

    def idle(self, stream: int | None) -> bool:
        """Whether a run that is begun now would not wait for one on another stream.

        Args:
            stream: Handle of the stream of the run; ``None`` for the context's own.
        """
        del stream
        return True


class Executable(ABC):
    """A loaded plan. Contexts share its weights.

    Attributes:
        parallel: How many contexts are worth having at once.
        device: Number of the GPU whose arrays it takes and gives; ``None`` for the host alone.
        bound: With a device, the element types of inputs and outputs there, which can be
            narrower than the ports' own.
    """

    parallel: int = 1
    device: int | None = None
    bound: tuple[Sequence[DType], Sequence[DType]] = ((), ())

    @abstractmethod
    def context(self) -> Context:
        """A new context. Several may run at once in different threads."""

    def layer_times(self, inputs: Sequence[Any], runs: int) -> list[LayerTime]:
        """The mean time of each compiled layer, in the order that they run in.

        Args:
            inputs: Arrays in port order, of the ports' dtypes, of shapes that the ports allow.
            runs: How many runs to take the mean of, after one that is not counted.

        Raises:
            ForwardError: The backend cannot tell.
        """
        del inputs, runs
        raise ForwardError(
            f"{type(self).__name__} does not tell the times of compiled layers",
            hint="leave --layers out",
        )

    def close(self) -> None:  # noqa: B027 - most backends free with the object
        """Free what garbage collection would not."""


class Backend(ABC):
    """A way to compile and run graphs.

    Importing the backend's own libraries waits until a method needs them, so that a backend
    can be registered, listed and asked for its availability where they are not installed.
    """

    #: Unique name, as in ``backend="openvino"``.
    name: ClassVar[str]
    #: ``backend="auto"`` takes the usable backend with the greatest number.
    priority: ClassVar[int]
    #: ``typed``: the graph's types are what is computed in, so half needs casts in the graph.
    #: ``hint``: the graph stays float32 and the backend is told the precision.
    precision: ClassVar[Literal["typed", "hint"]]
    #: Whether int8 kernels take uint8 with a zero point beside int8 around 0, for tensors that are
    #: never much below 0.
    unsigned: ClassVar[bool] = False
    #: Whether a convolution of 8 bits is still worth it where floats are added to what it makes.
    #: If not, the convolution before a sum that stays in float stays in float too.
    adds_floats: ClassVar[bool] = True
    #: The backend's options.
    options: ClassVar[type[Options]]

    @abstractmethod
    def availability(self) -> Availability:
        """What this backend can do on this machine, and why not more. Never raises."""

    def require(self, mode: Mode, options: Options) -> None:  # noqa: B027 - most refuse nothing
        """Refuse a mode or an option that this machine cannot honour, before a model is read.

        Raises:
            BuildError: Nothing can be built here.
            OptionError: The mode or an option cannot be honoured.
        """

    def calibration_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options, of those that were given by name, for running pieces of a model in float32.

        A backend leaves out what is about the whole model, or about where its engine will run.
        """
        return dict(given)

    @abstractmethod
    def build(self, graph: Graph, config: BuildConfig) -> Plan:
        """Compile a graph.

        Raises:
            BuildError: An operator has no lowering, or the backend's compiler refuses; the
                message holds the node, the user's line and the backend's own words.
            OptionError: An option cannot be honoured for this graph or machine.
        """

    def unsupported(self, graph: Graph, config: BuildConfig) -> list[Problem]:
        """Operators for which :meth:`build` would refuse a graph, without building.

        The graph is changed: what has no lowering decomposes. A backend whose lowerings ask their
        context for more than the graph (in ``unless``) overrides this.
        """
        from fwd_core.backends.lowering import LoweringContext, unlowered

        return unlowered(LoweringContext(self.name, graph), config.plugins.lowerings)

    @abstractmethod
    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> Plan:
        """A plan from an engine file, after checking that this machine can run it.

        Raises:
            EngineFileError: Version or device differ; the message says which and how.
        """

    @abstractmethod
    def load(self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]) -> Executable:
        """Make a plan ready to run.

        Args:
            plan: From :meth:`build` or :meth:`read_plan`.
            ports: Inputs and outputs of the engine.

        Raises:
            BuildError: The device is not there or refuses the plan.
        """
