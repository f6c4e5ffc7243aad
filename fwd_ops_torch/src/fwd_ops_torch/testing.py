"""PyTorch for the testing kit: running modules, making their forms, and modules from text."""

from __future__ import annotations

import itertools
import linecache
import textwrap
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import UnsupportedModelError
from fwd_core.importing import ImportRequest
from fwd_core.ir import DType
from fwd_core.ir.structure import flatten, unflatten
from fwd_core.testing.paste import call_text
from fwd_core.testing.reference import Dynamic
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.examples import as_example
from fwd_ops_torch.importers.module import export
from fwd_ops_torch.tensors import to_host

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

_ORDINALS = itertools.count()


class TorchReference:
    """Runs an ``nn.Module`` eagerly, and makes what the importers read of it.

    Forms: ``traced``, ``scripted`` (if ``torch.jit.script`` takes the module), ``exported``, and
    ``decomposed``, which is the exported program in torch's core operators.
    """

    name = "torch"
    rewritten: Collection[str] = ("decomposed",)

    def accepts(self, model: object) -> bool:
        """Whether the model is an ``nn.Module``."""
        return isinstance(model, torch.nn.Module)

    def run(self, model: torch.nn.Module, inputs: Sequence[Any]) -> Any:
        """The module's result under ``torch.no_grad``. See :class:`fwd_core.testing.Reference`."""
        with torch.no_grad():
            result = model(*_tensors(inputs))
        return _map(result, _to_array)

    def forms(
        self,
        model: torch.nn.Module,
        inputs: Sequence[Any],
        dynamic: Dynamic,
        plugins: Plugins,
    ) -> Mapping[str, Callable[[], object]]:
        """How to make each form. See :class:`fwd_core.testing.Reference`."""
        request = ImportRequest(tuple(inputs), plugins, dynamic)

        return {
            "traced": lambda: _made(lambda: jit.trace(model, _tensors(inputs), check=False)),
            "scripted": lambda: _made(lambda: jit.script(model)),
            "exported": lambda: export(model, request),
            "decomposed": lambda: decomposed(export(model, request)),
        }


def _made(make: Callable[[], object]) -> object:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the tracer and the compiler raise many kinds
        raise UnsupportedModelError(
            "torch.jit does not take the module", details=[f"{type(error).__name__}: {error}"]
        ) from None


def decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program in torch's core operators."""
    with warnings.catch_warnings():
        # torch 2.13 copies its own tree specs in a way that it warns of.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        result: torch.export.ExportedProgram = program.run_decompositions()
    return result


def module_from_source(
    source: str, *inputs: str, name: str = "Sample", **tensors: Any
) -> torch.nn.Module:
    """A module whose ``forward`` is made of text, so that it can be scripted and pasted.

    Args:
        source: An expression, or the statements of a body with ``return``. It may use ``torch``,
            ``F`` (``torch.nn.functional``), ``math`` and ``self``.
        inputs: Names of the arguments of ``forward``, with a type after a colon where TorchScript
            needs one: ``"xs: list[torch.Tensor]"``.
        name: Name of the class.
        tensors: Buffers of the module, by name: torch's tensors, or arrays.

    Example:
        >>> module = module_from_source("torch.relu(x) + self.bias", "x", bias=torch.ones(3))
        >>> module(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([1., 1., 2.])
    """
    body = textwrap.dedent(source).strip()
    statements = body if "return " in body else f"return {body}"
    code = (
        f"class {name}(_Base):\n"
        f"    def forward(self, {', '.join(inputs)}):\n{textwrap.indent(statements, ' ' * 8)}\n"
    )
    # TorchScript reads the source of what it compiles from the line cache.
    file = f"<module_from_source {next(_ORDINALS)}>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    scope: dict[str, Any] = {
        "_Base": _FromSource,
        "F": torch.nn.functional,
        "math": __import__("math"),
        "torch": torch,
    }
    exec(compile(code, file, "exec"), scope)  # noqa: S102 - the caller's own text
    cls: type[_FromSource] = scope[name]
    call = call_text("module_from_source", source, *inputs, **tensors)
    cls.text = staticmethod(lambda: call)  # type: ignore[method-assign]
    made = cls()
    for key, tensor in tensors.items():
        made.register_buffer(key, as_example(tensor))
    return made.eval()


class _FromSource(torch.nn.Module):
    @staticmethod
    def text() -> str:
        """The call that made the module; the compiler of TorchScript cannot see it here."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()


def _tensors(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Arguments as torch's own tensors, in memory of their own: models may write to them."""
    cloned: tuple[Any, ...] = _map(as_example(tuple(inputs)), _cloned)
    return cloned


def _cloned(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, torch.Tensor) else leaf


def _to_array(leaf: Any) -> Any:
    tensor = leaf if isinstance(leaf, torch.Tensor) else torch.tensor(leaf)
    held = to_host(tensor, copy=True)
    return held if held.dtype is DType.BFLOAT16 else held.data


def _map(tree: Any, change: Callable[[Any], Any]) -> Any:
    leaves, structure = flatten(tree)
    return unflatten(structure, [change(leaf) for leaf in leaves])
