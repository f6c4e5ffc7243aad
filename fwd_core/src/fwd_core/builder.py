"""The road from a model to an engine: import, clean-up, fusion, precision, lowering."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fwd_core import stages
from fwd_core.asked_options import Asked
from fwd_core.backends.base import Backend, BuildConfig, Options, Port
from fwd_core.choosing import backend_of, importer_of
from fwd_core.engine.derived import makers_of
from fwd_core.engine.engine import Engine
from fwd_core.engine.pool import check_limit
from fwd_core.errors import (
    CalibrationError,
    InputError,
    OptionError,
    Problem,
)
from fwd_core.events import Events, Listener
from fwd_core.importing import (
    DynamicDims,
    Importer,
    ImportRequest,
    OptBatch,
    check_dynamic,
)
from fwd_core.ir import ops
from fwd_core.ir.graph import Graph
from fwd_core.ir.serialize import copied
from fwd_core.modes import parse_mode
from fwd_core.plugins import Plugins
from fwd_core.plugins.target import Target
from fwd_core.used_packs import used_packs
from fwd_core.user_warnings import warn

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from fwd_core.quantize.calibrate import Calibrator

    # With the default, type checkers know what is built where no class is asked for.
    EngineType = TypeVar("EngineType", bound=Engine, default=Engine)

_INT8 = ("int8", "int8_calib")


class Builder:
    """Builds engines. One instance may build many models.

    Args:
        backend: Name of a backend, or ``auto`` for the best that can run here.
        mode: ``float32`` (or ``float``), ``float16`` (or ``half``), ``int8``, or ``int8_calib``,
            which calibrates, writes the cache and builds in float32.
        options: Options of the backend, and those that packs add, by name.
        embed_graph: Keep the graph in the engine, so that its file can be compiled again on
            another machine.
        plugins: Packs to use; by default all that are installed.
        on_event: Called with every :class:`~fwd_core.events.Event` of progress.
        calibrator: Where the int8 modes have ranges from; they need one.
        contexts: How many runs of an engine may be under way at once; by default as many as the
            backend finds worth having. Not kept in the engine's file.
        self_check: Run the model and the engine on the example inputs after a build, and refuse
            an engine in float32 whose results are others; in the lower modes warn. What was found
            is in the manifest, under ``self check``.

    Raises:
        OptionError: The mode is unknown, or something is of the wrong type.

    Example:
        >>> builder = Builder(backend="openvino", mode="float16", options={"threads": 2})
        >>> engine = builder.build("model.pth", [array])            # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        backend: str = "auto",
        mode: str = "float32",
        options: Mapping[str, Any] | None = None,
        embed_graph: bool = False,
        plugins: Plugins | None = None,
        on_event: Listener | None = None,
        calibrator: Calibrator | None = None,
        contexts: int | None = None,
        self_check: bool = True,
    ) -> None:
        _require("backend", backend, str, "the name of a backend, or 'auto'")
        _require("options", options, (Mapping, type(None)), "options of the backend by name")
        _require("embed_graph", embed_graph, bool, "True or False")
        _require("self_check", self_check, bool, "True or False")
        _require("on_event", on_event, (Callable, type(None)), "a function that takes an event")
        if not isinstance(calibrator, (_calibrator(), type(None))):
            raise OptionError(  # not its text, which may be a whole set of data
                "argument 'calibrator'",
                expected="a Calibrator",
                got=type(calibrator).__name__,
                hint="Calibrator(batches), of fwd_core.quantize",
            )
        check_limit(contexts)
        self.backend_name = backend
        self.mode = parse_mode(mode)
        self.options = dict(options or {})
        self.embed_graph = embed_graph
        self.plugins = plugins if plugins is not None else Plugins.discover()
        listeners = [self.plugins.send] + ([on_event] if on_event is not None else [])
        self.events = Events(*listeners)
        self.calibrator = calibrator
        self.contexts = contexts
        self.self_check = self_check

    def build(
        self,
        source: object,
        inputs: tuple[object, ...] | Mapping[str, object],
        *,
        dynamic: DynamicDims | OptBatch | None = None,
        engine_type: type[EngineType] = Engine,  # type: ignore[assignment]
    ) -> EngineType:
        """Import a model and compile it.

        Args:
            source: A model, or the path of a file, of a kind that an importer accepts.
            inputs: Example inputs in the source framework's own tensors.
            dynamic: Which sizes may change from run to run; none by default.
            engine_type: Class of the engine.

        Raises:
            SelfCheckError: The engine's results are not those of the model.
            ForwardError: Another subclass that says which step failed, where and why.
        """
        self.require()  # before minutes of import
        check_dynamic(dynamic)
        graph, check = self.import_with_check(source, inputs, dynamic=dynamic)
        engine = self.compile(graph, engine_type=engine_type)
        if check is not None:
            check(engine)
        return engine

    def import_with_check(
        self,
        source: object,
        inputs: tuple[object, ...] | Mapping[str, object],
        *,
        dynamic: DynamicDims | OptBatch | None = None,
    ) -> tuple[Graph, Callable[[Engine], None] | None]:
        """The model as a graph, and what compares an engine of that graph with the model.

        What compares is ``None`` without ``self_check``, and where the importer cannot run models.
        It writes what it found into the engine's manifest. In float32 it raises
        :class:`~fwd_core.errors.SelfCheckError` and closes the engine where results are others;
        in the lower modes it warns.

        Raises:
            ForwardError: As :meth:`import_model` does.
        """
        importer, request = self._asked_of(source, inputs, dynamic)
        graph = self._imported(source, importer, request)
        results = getattr(importer, "results", None)  # those of strangers need not have it
        if not self.self_check or not callable(results):
            return graph, None
        from fwd_core.self_check import SelfCheck

        check = SelfCheck(self, graph, partial(results, source, request), importer.name)
        return graph, lambda engine: check.require(engine, made_up=request.made_up)

    def import_model(
        self,
        source: object,
        inputs: tuple[object, ...] | Mapping[str, object],
        *,
        dynamic: DynamicDims | OptBatch | None = None,
    ) -> Graph:
        """The model as a graph, after clean-up.

        Raises:
            ForwardError: A subclass that says what is wrong with the model or the inputs.
        """
        return self._imported(source, *self._asked_of(source, inputs, dynamic))

    def _asked_of(
        self,
        source: object,
        inputs: tuple[object, ...] | Mapping[str, object],
        dynamic: DynamicDims | OptBatch | None,
    ) -> tuple[Importer, ImportRequest]:
        if not isinstance(inputs, (tuple, list, Mapping)):
            raise InputError(
                "example inputs come together",
                expected="a tuple by position, or a mapping by name",
                got=type(inputs).__name__,
            )
        importer = self.importer(source)
        return importer, ImportRequest(inputs, self.plugins, dynamic, self.events)

    def _imported(self, source: object, importer: Importer, request: ImportRequest) -> Graph:
        try:
            with self.events.phase("import", detail=importer.name):
                graph = importer.load(source, request)
        finally:  # where an operator is unknown, the reason may be the pack that failed
            self.plugins.warn_of_failures()
        with self.events.phase("rewrite", detail="clean-up"):
            stages.clean_up(graph, self.plugins)
        return graph

    def compile(
        self,
        graph: Graph,
        *,
        engine_type: type[EngineType] = Engine,  # type: ignore[assignment]
    ) -> EngineType:
        """An engine from a graph. The graph is changed; import or load it again to reuse it."""
        backend, options = self._target()
        if self.mode in _INT8:  # before fusions, so that names are the same with any packs
            self._quantize(graph)
        embedded = copied(graph, self.plugins.operators) if self.embed_graph else None
        asked = self.asked.of_packs(backend)
        self.apply_options(graph, asked)
        self._prepare(graph, backend, options)
        inputs = [Port(value.name, value.type) for value in graph.inputs]
        outputs = [
            Port(name, value.type)
            for name, value in zip(graph.output_names, graph.outputs, strict=True)
        ]
        _ = self.plugins.lowerings  # the last hook that builds ask
        self.plugins.warn_of_failures()
        plan = backend.build(graph, BuildConfig(self.mode, options, self.plugins, self.events))
        manifest = {
            "forward": _version(),
            "backend": backend.name,
            "mode": self.mode,
            "options": {
                item.name: getattr(options, item.name) for item in dataclasses.fields(options)
            },
            **({"build options": asked} if asked else {}),
            "packs": used_packs(graph, backend, asked, self.plugins),
            **plan.manifest,
        }
        engine = engine_type(
            backend,
            plan,
            inputs,
            outputs,
            manifest,
            (graph.input_structure, graph.output_structure),
            self.contexts,
            fixed=graph.fixed,
            derived=graph.derived,
            makers=makers_of(graph.derived, self.plugins),
            load=backend.availability().run,  # an engine for a GPU elsewhere can be saved
        )
        engine.graph = embedded
        return engine

    def require(self) -> None:
        """Refuse what can be refused before a model is read: a backend, a mode, an option.

        Raises:
            OptionError: There is no such backend or option, or one cannot be honoured here.
            BuildError: Nothing can be built here.
            CalibrationError: The calibrator's file cannot be written.
        """
        self._target()

    def unsupported(self, graph: Graph) -> list[Problem]:
        """Operators of a graph that the backend cannot lower, all of them, without compiling.

        The graph is changed; import or load it again to compile it.

        Raises:
            OptionError: The options are refused, or one that a pack adds refuses the graph.
        """
        backend, options = self._target()
        self.apply_options(graph, self.asked.of_packs(backend))
        self._prepare(graph, backend, options)
        config = BuildConfig(self.mode, options, self.plugins, self.events)
        return backend.unsupported(graph, config)

    def fuse(self, graph: Graph) -> None:
        """Change a graph as a build does before it lowers it: what packs fuse, and the precision.

        Raises:
            OptionError: There is no such backend or option.
            BuildError: Nothing can be built here.
        """
        self._prepare(graph, *self._target())

    def apply_options(self, graph: Graph, asked: Mapping[str, Any]) -> None:
        """Change a graph as options that packs add ask for; values are as those parsed them.

        Raises:
            OptionError: One of them refuses the graph.
        """
        for name, value in asked.items():
            with self.events.phase("rewrite", detail=name):
                self.plugins.build_options[name].apply(graph, value)
                stages.clean_up(graph, self.plugins)

    def importer(self, source: object) -> Importer:
        """The importer that accepts a source.

        Raises:
            UnsupportedModelError: None does.
        """
        return importer_of(source, self.plugins)

    def backend(self) -> Backend:
        """The backend that is built for.

        Raises:
            OptionError: There is no backend of that name.
            BuildError: It cannot build here, or (``auto``) none can run here.
        """
        return backend_of(self.backend_name, self.plugins)

    @property
    def asked(self) -> Asked:
        """The options, and which of them are the backend's and which of packs."""
        return Asked(self.options, self.plugins, self.backend_name == "auto")

    def for_calibration(self) -> Builder:
        """A builder of float32 engines that run here, on this one's backend if it can."""
        chosen = self.backend()
        # What packs change is changed after calibrating: pieces are of the model as it is.
        packs = self.asked.of_packs(chosen)
        own = {key: value for key, value in self.options.items() if key not in packs}
        name, options = chosen.name, chosen.calibration_options(own)
        if not chosen.availability().run:
            name, options = "auto", {}
        # Without the listener: pieces are many, and their phases say nothing of the model.
        return Builder(backend=name, options=options, plugins=self.plugins)

    def _prepare(self, graph: Graph, backend: Backend, options: Options) -> None:
        stages.prepare(graph, Target(backend, self.mode, options, self.plugins), self.events)

    def _quantize(self, graph: Graph) -> None:
        """Calibrate, and in mode ``int8`` write it into the graph."""
        calibrator = self.calibrator
        if calibrator is None:
            if any(isinstance(node.op, ops.Quantize) for node in graph):
                return  # it was trained so, or quantized before it was embedded in an engine
            raise CalibrationError(
                f"mode {self.mode!r} needs a calibrator",
                hint="Builder(mode='int8', calibrator=Calibrator(batches)); "
                "a model that was trained with fake quantization needs none",
            )
        if self.mode == "int8_calib":
            was_there = calibrator.batches is not None and calibrator.has_file()
            calibrator.ranges(graph, self)  # checked, so that no cache of another model passes
            if was_there:
                warn(
                    f"{calibrator.cache} is there and is used as it is: delete it to calibrate "
                    "with these batches"
                )
            return
        with self.events.phase("rewrite", detail="int8"):
            calibrator.quantize(graph, self)
            stages.clean_up(graph, self.plugins)

    def _target(self) -> tuple[Backend, Options]:
        backend = self.backend()
        self.asked.require(backend)
        options = self.asked.of_backend(backend)
        backend.require(self.mode, options)
        if self.mode == "int8_calib" and self.calibrator is not None:
            self.calibrator.require_file()
        return backend, options


def _calibrator() -> type[Calibrator]:
    from fwd_core.quantize.calibrate import Calibrator

    return Calibrator


def _require(name: str, value: object, kind: Any, expected: str) -> None:
    """Refuse an argument of another type."""
    if not isinstance(value, kind):
        raise OptionError(f"argument {name!r}", expected=expected, got=repr(value))


def _version() -> str:
    from fwd_core import __version__

    return __version__
