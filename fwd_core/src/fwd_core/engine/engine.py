"""Engines: compiled models that run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from fwd_core.backends.base import Backend, Context, Executable, Pending, Plan, Port
from fwd_core.engine.calls import told, without_fixed
from fwd_core.engine.derived import Derivation, Maker
from fwd_core.engine.device_arrays import stream_handle
from fwd_core.engine.inputs import as_array, collect
from fwd_core.engine.pending import InThread, Named
from fwd_core.engine.pool import Pool, check_limit
from fwd_core.engine.shapes import OutputShapes
from fwd_core.errors import ForwardError, InputError
from fwd_core.ir.derived import Derived
from fwd_core.ir.fixed import FixedArgument
from fwd_core.ir.structure import LEAF, Structure, describe, flatten, unflatten

if TYPE_CHECKING:
    from typing_extensions import Self

    from fwd_core.ir.graph import Graph
    from fwd_core.plugins import Plugins


class Engine:
    """A compiled model. Safe to run from many threads at once.

    Made by :class:`~fwd_core.Builder` or :meth:`load`.

    Attributes:
        inputs: Names and types of the inputs, as the source model has them.
        all_inputs: Those, and what the engine makes of them before each run.
        derived: What is made of what.
        outputs: Names and types of the outputs.
        manifest: What the engine is: backend, versions, mode, compute type, device.
        fixed: Arguments of the source model that are no tensors, with the values that they were
            built with.

    Args:
        backend: What runs the plan.
        plan: What it made of a graph.
        inputs: Inputs of the source model, and those that the engine makes.
        outputs: Outputs of the source model.
        manifest: As above.
        structures: How the source model nests its inputs and outputs.
        contexts: How many runs may be under way at once; by default as many as the backend finds
            worth having.
        fixed: As above.
        derived: As above.
        makers: Functions that make inputs, by the names that ``derived`` has.
        load: Whether the plan is loaded now, or with the first run.

    Raises:
        OptionError: ``contexts`` is no positive number.
        BuildError: The device is not there or refuses the plan.

    Example:
        >>> engine = Engine.load("model.engine")                    # doctest: +SKIP
        >>> engine.run({"x": array})["output"]                      # doctest: +SKIP
        >>> engine(array)                                           # doctest: +SKIP
    """

    def __init__(
        self,
        backend: Backend,
        plan: Plan,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        manifest: Mapping[str, Any],
        structures: tuple[Structure | None, Structure | None] = (None, None),
        contexts: int | None = None,
        *,
        fixed: Sequence[FixedArgument] = (),
        derived: Sequence[Derived] = (),
        makers: Mapping[str, Maker] | None = None,
        load: bool = True,
    ) -> None:
        self.all_inputs = tuple(inputs)
        self.derived = tuple(derived)
        self._derivation = Derivation(self.derived, makers or {}, self.all_inputs)
        self.inputs = self._derivation.visible
        self.outputs = tuple(outputs)
        self._names = tuple([port.name for port in outputs])
        self.manifest = dict(manifest)
        self.plan = plan
        self.fixed = tuple(fixed)
        self._input_structure, self._output_structure = structures
        self._flat = _is_flat(self._input_structure)
        self._backend = backend
        check_limit(contexts)
        self._limit = contexts
        self._executable: Executable | None = None
        self._pool: Pool[Context] | None = None
        self._loading = threading.RLock()
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        self._graph: Graph | Callable[[], Graph] | None = None
        self._shapes = OutputShapes(self.all_inputs, self.outputs)
        if load:
            self._load()

    def run(self, feeds: Mapping[str, Any], *, stream: Any = None) -> dict[str, Any]:
        """Run on inputs by name.

        Args:
            feeds: One array per input: NumPy, or anything on the host that speaks DLPack. An
                engine for a GPU also takes arrays there, by DLPack or
                ``__cuda_array_interface__``, without a copy through the host.
            stream: CUDA stream of the caller's, as a handle or as torch, CuPy or cuda.core have
                it. Inputs on the GPU have to be ready in its order, and outputs there are; the
                call does not wait for the GPU. Without one the run is over when this returns.

        Returns:
            Outputs by name: new NumPy arrays, the caller's to keep and change; or, if any input
            is on the GPU, :class:`~fwd_core.engine.DeviceArray`.

        Raises:
            InputError: A name, dtype, rank, size or device does not fit, or there is no GPU for
                the stream.
            DeviceError: The GPU failed, or TensorRT on it. :class:`~fwd_core.errors.CudaError`
                of those that CUDA tells: also that no memory is left.
            ForwardError: The engine is closed.
        """
        results = self.run_list(collect(self.inputs, feeds), stream=stream)
        return dict(zip(self._names, results, strict=True))

    def run_async(self, feeds: Mapping[str, Any], *, stream: Any = None) -> Pending:
        """Begin a run and return before it is over.

        On a GPU the run is queued on ``stream`` or on one of the engine's own; on the host it
        runs in a thread. Inputs must not be changed before it is over.

        Args:
            feeds: As for :meth:`run`.
            stream: As for :meth:`run`.

        Returns:
            A run under way: ``done()`` tells whether it is over, ``result()`` waits and gives
            what :meth:`run` would.

        Raises:
            InputError: As :meth:`run`; on the host ``result()`` raises it.
            DeviceError: As :meth:`run`; what fails on the GPU later, ``result()`` raises.
            ForwardError: The engine is closed.
        """
        given = collect(self.inputs, feeds)
        names = [port.name for port in self.outputs]
        if self.executable.device is None:
            self._no_stream(stream)
            with self._loading:  # so that it is not closed meanwhile
                return InThread(self._thread(), names, lambda: self.run_list(given))
        return Named(self._on_device(given, stream, wait=False), names)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on inputs by position (nested as the source model takes them) or by name.

        One mapping is inputs by name too, as tokenizers give it, unless the model takes one.

        Arguments that are no tensors were fixed when the engine was built: they are left out, or
        given as they were then.

        Returns:
            The outputs, nested as the source model returns them.

        Raises:
            InputError: As :meth:`run`, the nesting differs, or a fixed argument does.
            DeviceError: As :meth:`run`.
            ForwardError: The engine is closed.
        """
        given = self.flatten_inputs(args, kwargs)
        return self.unflatten_outputs(self.run_list(given))

    def run_list(self, given: Sequence[Any], *, stream: Any = None) -> list[Any]:
        """Run on arrays in the order of :attr:`inputs`; outputs in the order of :attr:`outputs`.

        Args:
            given: As the values of :meth:`run`.
            stream: As for :meth:`run`.

        Raises:
            InputError: As :meth:`run`, or the count does not fit.
            DeviceError: As :meth:`run`.
            ForwardError: The engine is closed.
        """
        try:
            count = len(given)
        except TypeError:
            raise InputError(
                "inputs in order come together",
                expected="a list or tuple of arrays",
                got=type(given).__name__,
            ) from None
        if count != len(self.inputs):
            raise self._wrong_count(count)
        if stream is not None or any(type(item) is not ndarray for item in given):
            if self.executable.device is not None:
                results: list[Any] = self._on_device(given, stream, wait=True)
                return results
            self._no_stream(stream)
        arrays = [as_array(port, item) for port, item in zip(self.inputs, given, strict=True)]
        if self._derivation:
            arrays = self._derivation.complete(arrays)
        shapes = self._shapes(tuple([array.shape for array in arrays]))
        context = self.contexts.acquire()
        try:
            return context.run(arrays, shapes)
        finally:
            self.contexts.release(context)

    def made_inputs(self, given: Sequence[Any]) -> dict[str, Any]:
        """What the engine makes of given inputs before a run, by name: NumPy arrays.

        How long a run takes can depend on them: sizes of theirs may follow from values.

        Args:
            given: As for :meth:`run_list`.

        Raises:
            InputError: As :meth:`run_list`.
        """
        if len(given) != len(self.inputs):
            raise self._wrong_count(len(given))
        return self._derivation.made(given)

    def _on_device(self, given: Sequence[Any], stream: Any, *, wait: bool) -> Any:
        """Run where arrays may be on the GPU: outputs, or a :class:`Pending` of them."""
        if self._derivation:
            given = self._derivation.complete(given)
        handle = stream if stream is None or type(stream) is int else stream_handle(stream)
        pool = self._pool or self.contexts
        context = pool.acquire(handle)
        try:
            if wait and handle is not None:
                results = context.replay(given, handle)
                if results is not None:
                    return results
            inputs = context.accept(given, handle)
            shapes = self._shapes(tuple([item.shape for item in inputs]))
            run = context.run_on if wait else context.submit
            return run(inputs, shapes, handle)
        finally:
            pool.release(context)

    def _no_stream(self, stream: Any) -> None:
        if stream is not None:
            raise InputError(
                f"an engine of backend {self._backend.name!r} runs on the host",
                expected="no stream",
                got=type(stream).__name__,
                hint="leave stream out",
            )

    def _thread(self) -> ThreadPoolExecutor:
        if self._closed:
            raise _closed()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.contexts.limit, "fwd-run-async")
        return self._threads

    def flatten_inputs(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """Call arguments in the order of :attr:`inputs`.

        Raises:
            InputError: Too many, too few, nested otherwise than the source model takes them, or
                a fixed argument has another value.
        """
        if not kwargs and self._flat and len(args) == 1 and self._by_name(args[0]):
            return self.flatten_inputs((), args[0])
        if not kwargs and len(args) == len(self.inputs) and self._flat:
            return list(args)
        if not kwargs and self._flat and not self.fixed and not _nested(args):
            raise self._wrong_count(len(args))
        wanted = self._input_structure
        if self.fixed:
            members = wanted["tuple"] if isinstance(wanted, dict) else self.inputs
            names = {port.name for port in self.inputs}
            args, kwargs = without_fixed(self.fixed, args, kwargs, len(members), names)
        leaves, structure = flatten(tuple(args))
        positional = self.inputs[: len(leaves)]
        if len(leaves) > len(self.inputs) or (
            not kwargs and wanted is not None and structure != wanted
        ):
            raise InputError(
                "the inputs are not nested as the model takes them",
                expected=describe(wanted, [port.name for port in self.inputs])
                if wanted is not None
                else f"({', '.join(port.name for port in self.inputs)})",
                got=describe(structure),
                hint=told(self.fixed),
            )
        feeds = {port.name: leaf for port, leaf in zip(positional, leaves, strict=True)}
        if twice := sorted(set(feeds) & set(kwargs)):
            raise InputError(f"inputs given by position and by name: {', '.join(twice)}")
        return collect(self.inputs, {**feeds, **kwargs})

    def _by_name(self, given: object) -> bool:
        """Whether the only argument of a model of plain tensors is all its inputs by name."""
        if not isinstance(given, Mapping):
            return False
        # Where it is not known how the model nests its inputs, it may be one that takes mappings.
        return self._input_structure is not None or set(given) == {one.name for one in self.inputs}

    def _wrong_count(self, count: int) -> InputError:
        return InputError(
            "wrong number of inputs",
            expected=f"{len(self.inputs)}: {', '.join(map(str, self.inputs))}",
            got=count,
        )

    def unflatten_outputs(self, results: Sequence[Any]) -> Any:
        """Outputs nested as the source model returns them."""
        if self._output_structure is not None:
            return unflatten(self._output_structure, results)
        return results[0] if len(results) == 1 else tuple(results)

    @property
    def contexts(self) -> Pool[Context]:
        """What runs use, one context each.

        An engine that cannot run where it was built (for a GPU elsewhere) loads its plan when
        they are first asked for.

        Raises:
            BuildError: The device is not there or refuses the plan.
            ForwardError: The engine is closed.
        """
        return self._pool if self._pool is not None else self._load()

    @property
    def executable(self) -> Executable:
        """The loaded plan: where it runs, and the types that it has there.

        Raises:
            BuildError: The device is not there or refuses the plan.
            ForwardError: The engine is closed.
        """
        if self._executable is None:
            self._load()
        assert self._executable is not None
        return self._executable

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the engine to one file, atomically.

        Raises:
            EngineFileError: The folder does not exist or cannot be written.
        """
        from fwd_core.engine.file import save

        save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        plugins: Plugins | None = None,
        rebuild: bool = False,
        contexts: int | None = None,
    ) -> Self:
        """Read an engine file.

        Args:
            path: The file.
            plugins: Packs to take the backend from; by default all that are installed.
            rebuild: If the plan does not fit this machine and the file holds the graph too
                (``embed_graph=True`` when it was built), compile the graph again.
            contexts: How many runs may be under way at once, each with memory of its own; by
                default as many as the backend finds worth having.

        Raises:
            OptionError: ``contexts`` is no positive number.
            EngineFileError: The file is missing, damaged or altered, made for another version
                or device, or its device is not here; the message says what differs.
            BuildError: The graph was to be compiled again, and the backend cannot do it here.
        """
        from fwd_core.engine.file import load

        return load(cls, path, plugins, rebuild, contexts)

    @property
    def graph(self) -> Graph | None:
        """The graph, if it was asked to be kept in the engine's file.

        Raises:
            EngineFileError: It uses operators that no loaded pack defines.
        """
        if callable(self._graph):  # an engine from a file reads its graph when it is first needed
            self._graph = self._graph()
        return self._graph

    @graph.setter
    def graph(self, graph: Graph | Callable[[], Graph] | None) -> None:
        self._graph = graph

    @property
    def structures(self) -> tuple[Structure | None, Structure | None]:
        """How the source model nests its inputs and outputs; ``None`` for a flat tuple."""
        return (self._input_structure, self._output_structure)

    def close(self) -> None:
        """Free the backend's resources now instead of with the last reference.

        Waits for runs under way; later ones are refused.
        """
        with self._loading:
            self._closed = True
            if self._threads is not None:
                self._threads.shutdown()
            if self._pool is not None:
                self._pool.close()
            if self._executable is not None:
                self._executable.close()

    def _load(self) -> Pool[Context]:
        with self._loading:
            if self._closed:
                raise _closed()
            if self._pool is None:
                ports = (self.all_inputs, self.outputs)
                executable = self._executable = self._backend.load(self.plan, ports)
                limit = executable.parallel if self._limit is None else self._limit
                idle = None if executable.device is None else _is_idle
                self._pool = Pool(executable.context, limit, idle)
            return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        outputs = ", ".join(map(str, self.outputs))
        mode, backend = self.manifest.get("mode"), self.manifest.get("backend")
        return f"<Engine {backend} {mode} ({inputs}) -> ({outputs})>"


def _is_idle(context: Context, stream: int | None) -> bool:
    return context.idle(stream)


def _closed() -> ForwardError:
    return ForwardError("the engine is closed", hint="build or load it again")


def _nested(args: Sequence[Any]) -> bool:
    return any(isinstance(item, (list, tuple, dict)) for item in args)


def _is_flat(structure: Structure | None) -> bool:
    """Whether every argument is one tensor."""
    return structure is None or (
        isinstance(structure, dict) and all(item == LEAF for item in structure.get("tuple", [None]))
    )
