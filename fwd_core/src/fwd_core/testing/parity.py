"""One check for a model: every form of it is imported, built and run against the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from fwd_core.backends.base import Port
from fwd_core.builder import Builder
from fwd_core.errors import ForwardError, OptionError, UnsupportedModelError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.printer import text
from fwd_core.ir.serialize import from_parts, to_parts
from fwd_core.ir.structure import flatten
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins import Plugins
from fwd_core.plugins.advice import to_have_torch
from fwd_core.testing.compare import ParityError, Tolerances, as_tensor, assert_equal
from fwd_core.testing.corpus import Corpus, kept
from fwd_core.testing.paste import call_text
from fwd_core.testing.reference import Dynamic, Reference

if TYPE_CHECKING:
    from fwd_core.engine import Engine


@dataclass
class Parity:
    """What a check did.

    Attributes:
        graphs: Every distinct printed graph, with the forms that were imported to it.
        ran: Backends that ran an engine.
        built: Backends that built an engine and cannot run it here.
        refusal: What the framework raised, if it did; then nothing was built.
        refused: Forms whose import raised too.
    """

    graphs: dict[str, list[str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    refusal: Exception | None = None
    refused: list[str] = field(default_factory=list)


def assert_parity(
    model: Any,
    inputs: Any,
    *,
    backend: Union[str, Sequence[str]] = "openvino",
    mode: str = "float32",
    forms: Sequence[str] | None = None,
    dynamic: Dynamic = None,
    second_inputs: Any = None,
    tolerance: Tolerances = None,
    options: Mapping[str, Any] | None = None,
    build_only: bool = False,
    may_raise: bool = False,
    plugins: Plugins | None = None,
    corpus: Corpus | None = None,
) -> Parity:
    """Check that engines of a model compute what its framework computes.

    Every form of the model (for PyTorch: traced, scripted, exported, decomposed) is imported. The
    imports are compared as printed graphs, and each distinct one is compiled and run.

    Args:
        model: A model of a framework that a loaded pack knows as a reference.
        inputs: Its arguments, as a tuple or list; or a single array. NumPy arrays,
            :class:`~fwd_core.ir.Tensor` for bfloat16, or nests of them.
        backend: Name of a backend, or several. One that can build but not run here only builds.
        mode: Numeric mode of the engines.
        forms: Forms to import, by default all. What the framework cannot make of this model is
            left out; :attr:`Parity.graphs` says which forms were imported.
        dynamic: Sizes that change from run to run.
        second_inputs: Arguments of other sizes, run through the same engines.
        tolerance: For float outputs: one, or by dtype.
        options: Options of the backends.
        build_only: Do not run even where that is possible.
        may_raise: The framework itself may refuse the inputs; then every import has to refuse
            them too, with a :class:`~fwd_core.errors.ForwardError`.
        plugins: Packs to use; by default all that are installed.
        corpus: Where to keep the case for replay on other machines; by default that of
            :func:`~fwd_core.testing.corpus.keeping`, if any.

    Raises:
        ParityError: Something differs, or only one of the two refuses. The message ends with a
            call to paste.
        OptionError: No loaded pack runs such a model, or it has no form of that name.
        ForwardError: What importing or building raised.
    """
    arguments = _arguments(inputs)
    call = call_text(
        "assert_parity", model, arguments, backend=backend, mode=mode, forms=forms,
        dynamic=dynamic, second_inputs=second_inputs, options=options or None,
    )  # fmt: skip
    plugins = plugins if plugins is not None else Plugins.discover()
    reference = _reference(plugins, model)
    makers = _chosen(reference, reference.forms(model, arguments, dynamic, plugins), forms)
    backends = [backend] if isinstance(backend, str) else list(backend)
    builders = [
        Builder(backend=name, mode=mode, options=options, plugins=plugins) for name in backends
    ]
    check = _Check(reference, model, arguments, dynamic, tolerance, mode, call, corpus or kept())
    try:
        expected = reference.run(model, arguments)
    except Exception as error:
        if not may_raise:
            raise ParityError(
                f"{reference.name} itself cannot run the model on these inputs",
                details=[f"{type(error).__name__}: {error}"],
                hint=f"may_raise=True checks that imports refuse it too; {call}",
            ) from error
        return check.refusals(builders[0], makers, error)
    graphs = check.imports(builders[0], makers)
    runs = [(arguments, expected)]
    if second_inputs is not None:
        second = _arguments(second_inputs)
        runs.append((second, reference.run(model, second)))
    for graph in graphs:
        check.graph(graph, builders, runs, build_only)
    return check.done


@dataclass
class _Check:
    reference: Reference
    model: Any
    inputs: Sequence[Any]
    dynamic: Dynamic
    tolerance: Tolerances
    mode: str
    call: str
    corpus: Corpus | None
    done: Parity = field(default_factory=Parity)

    def refusals(
        self, builder: Builder, makers: Mapping[str, Callable[[], object]], reason: Exception
    ) -> Parity:
        """Check that no form is imported, where the framework refused the inputs."""
        self.done.refusal = reason
        for name, make in makers.items():
            try:
                source = make()
            except Exception:  # noqa: BLE001 - the framework refuses to make the form, with anything
                continue
            try:
                graph = self._imported(builder, source)
            except ForwardError:
                self.done.refused.append(name)
                continue
            if name in self.reference.rewritten:
                continue
            raise ParityError(
                f"{self.reference.name} refuses these inputs, and the {name} form was imported",
                expected=f"an error, as {type(reason).__name__}: {reason}",
                got=str(graph),
                hint=self.call,
            )
        return self.done

    def imports(self, builder: Builder, makers: Mapping[str, Callable[[], object]]) -> list[Graph]:
        """Distinct graphs of all forms."""
        graphs: dict[str, Graph] = {}
        for name, make in makers.items():
            try:
                source = make()
            except UnsupportedModelError:
                continue
            graph = self._imported(builder, source)
            graph.verify()
            printed = text(graph, names=False)
            graphs.setdefault(printed, graph)
            self.done.graphs.setdefault(printed, []).append(name)
        if not graphs:
            raise OptionError(f"{self.reference.name} can make no form of the model", got=self.call)
        return list(graphs.values())

    def _imported(self, builder: Builder, source: object) -> Graph:
        graph = builder.import_model(source, tuple(self.inputs), dynamic=self.dynamic)
        graph.name = "main"  # forms of one model have names of their own
        return graph

    def graph(
        self,
        graph: Graph,
        builders: Sequence[Builder],
        runs: Sequence[tuple[Sequence[Any], Any]],
        build_only: bool,
    ) -> None:
        """Build one graph on every backend, and run it where that is possible."""
        document, constants = to_parts(graph)
        if self.corpus is not None:
            for inputs, expected in runs:
                self._keep(self.corpus, graph, inputs, expected)
        for builder in builders:
            arrays = {key: tensor.data for key, tensor in constants.items()}
            copy = from_parts(document, arrays, builder.plugins.operators)
            backend = builder.backend()
            runs_here = not build_only and backend.availability().run
            with builder.compile(copy) as engine:
                for inputs, expected in runs if runs_here else ():
                    self._run(engine, inputs, expected, backend.name, graph)
            noted = self.done.ran if runs_here else self.done.built
            if backend.name not in noted:
                noted.append(backend.name)

    def _run(
        self, engine: Engine, inputs: Sequence[Any], expected: Any, backend: str, graph: Graph
    ) -> None:
        leaves = [as_words(leaf) for leaf in flatten(tuple(inputs))[0]]
        results = engine.run_list(leaves)
        tensors = [from_words(port, array) for port, array in zip(engine.outputs, results,
                                                                  strict=True)]  # fmt: skip
        try:
            assert_equal(
                engine.unflatten_outputs(tensors),
                expected,
                tolerance=self.tolerance,
                mode=self.mode,
                names=[port.name for port in engine.outputs],
                call=self.call,
            )
        except ParityError as error:
            forms = ", ".join(self.done.graphs[text(graph, names=False)])
            raise error.located(f"{backend} {self.mode}, {forms}") from None

    def _keep(self, corpus: Corpus, graph: Graph, inputs: Sequence[Any], expected: Any) -> None:
        leaves = [as_tensor(leaf) for leaf in flatten(tuple(inputs))[0]]
        results = [as_tensor(leaf) for leaf in flatten(expected)[0]]
        corpus.add(graph, leaves, results, title=self.call, tolerance=self.tolerance)


def as_words(leaf: object) -> Any:
    """An input as engines take it: bfloat16 as its 16-bit words."""
    return leaf.data if isinstance(leaf, Tensor) else leaf


def from_words(port: Port, array: Any) -> Any:
    """An output as it is compared: what NumPy has no dtype for as a tensor."""
    return Tensor(array, DType.BFLOAT16) if port.type.dtype is DType.BFLOAT16 else array


def _arguments(inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, (tuple, list)):
        return tuple(inputs)
    if isinstance(inputs, Mapping):
        raise OptionError(
            "inputs of assert_parity are the model's arguments in order",
            expected="a tuple or list, or one array",
            got="a dict",
            hint="pass ({...},) if the model's only argument is a dict",
        )
    return (inputs,)


def _chosen(
    reference: Reference, makers: Mapping[str, Callable[[], object]], forms: Sequence[str] | None
) -> Mapping[str, Callable[[], object]]:
    if forms is None:
        return makers
    if unknown := sorted(set(forms) - set(makers)):
        raise OptionError(
            f"{reference.name} models have no form {', '.join(unknown)}",
            expected=", ".join(makers),
        )
    return {name: makers[name] for name in forms}


def _reference(plugins: Plugins, model: object) -> Reference:
    for reference in plugins.references.values():
        if reference.accepts(model):
            return reference
    raise OptionError(
        f"no loaded pack can run a {type(model).__name__} as a reference",
        expected=", ".join(plugins.references) or "a pack with fwd_register_references",
        hint=None if plugins.references else to_have_torch(plugins, "runs PyTorch models"),
    )
