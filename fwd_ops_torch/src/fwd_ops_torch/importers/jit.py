"""All use of ``torch.jit``, and of the parts of ``torch._C`` that belong to it.

Torch calls TorchScript deprecated; files in it will be around for long. Exactly torch's own
deprecation warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.jit._trace import TopLevelTracedModule

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_ops_torch.importers.registering import register_for
from fwd_ops_torch.importers.surroundings import PROCESS

#: Operators of two tensors that take a number for either.
_TAKES_NUMBERS = frozenset(
    f"aten::{name}{written}"
    for name in (
        "add", "sub", "rsub", "mul", "div", "true_divide", "floor_divide", "remainder", "fmod",
        "pow", "eq", "ne", "lt", "le", "gt", "ge", "bitwise_and", "bitwise_or", "bitwise_xor",
    )
    for written in ("", "_")
)  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Silence torch's announcement that ``torch.jit`` functions are deprecated."""
    with PROCESS, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.\w+` is (deprecated|not supported)", category=Warning
        )
        yield


def load(path: str | os.PathLike[str]) -> torch.jit.ScriptModule:
    """A TorchScript file, with its tensors on the CPU.

    Raises:
        UnsupportedModelError: Torch cannot read the file; the message holds its first line.
    """
    register_for(path)
    try:
        with quiet():
            module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
                os.fspath(path), map_location="cpu"
            )
    except (RuntimeError, ValueError, EOFError) as error:
        raise UnsupportedModelError(
            f"{path} looks like a TorchScript file, but torch cannot load it",
            details=[line for line in str(error).splitlines()[:3] if line.strip()],
            hint=(
                "the file may be damaged, or use custom operators whose library must be imported "
                "first"
            ),
        ) from None
    return module


def trace(
    module: torch.nn.Module, inputs: Sequence[Any], *, check: bool = True
) -> torch.jit.ScriptModule:
    """``torch.jit.trace`` of a module in evaluation mode.

    Args:
        module: The module.
        inputs: Its arguments.
        check: Let torch trace twice and compare, which takes ten times as long.
    """
    with quiet(), torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            module, tuple(inputs), strict=False, check_trace=check
        )
    return traced


def script(module: torch.nn.Module) -> torch.jit.ScriptModule:
    """``torch.jit.script`` of a module."""
    with quiet():
        scripted: torch.jit.ScriptModule = torch.jit.script(module)
    return scripted


def is_script_module(source: object) -> bool:
    """Whether an object is a traced or scripted module."""
    return isinstance(source, torch.jit.ScriptModule)


def was_traced_here(module: torch.jit.ScriptModule) -> bool:
    """Whether a module comes from ``torch.jit.trace`` in this process, not from a file."""
    return isinstance(module, TopLevelTracedModule)


def is_number(node: Any) -> bool:
    """Whether a constant tensor of a loaded program was a Python number when it was traced.

    Files do not tell ``x * 0.5`` from a product with a 0-d float64 tensor; torch takes both for
    a number. One that an operator takes for a tensor only is left a tensor.
    """
    value = node.output().toIValue()
    is_plain = isinstance(value, torch.Tensor) and value.dtype in (torch.float64, torch.int64)
    return (
        is_plain
        and value.dim() == 0
        and all(use.user.kind() in _TAKES_NUMBERS for use in node.output().uses())
    )


def raw(module: torch.jit.ScriptModule) -> Any:
    """The C++ module behind a Python one."""
    return module._c


def forward_methods(owner: Any) -> list[str]:
    """Names of what calling a module may run: ``forward``, or each overload of it."""
    names: list[str] = owner._method_names()
    if "forward" in names:
        return ["forward"]
    return sorted(name for name in names if re.fullmatch(r"forward__\d+", name))


def method_graph(owner: Any, name: str) -> Any:
    """The graph of a method, with calls of other methods not inlined."""
    return owner._get_method(name).graph


def inlined_graph(owner: Any, name: str) -> Any:
    """The graph of a method, with all calls in it inlined."""
    return owner._get_method(name).inlined_graph


def method_schema(owner: Any, name: str) -> Any:
    """The schema of a method."""
    return owner._get_method(name).schema


def run(owner: Any, method: str, arguments: Mapping[str, Any]) -> Any:
    """What a method gives; as it is written, without the optimizer, which needs warm-up runs."""
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        return owner._get_method(method)(**arguments)


def is_object(value: object) -> bool:
    """Whether a value is a module or an instance of a TorchScript class."""
    return isinstance(value, (torch._C.ScriptModule, torch._C.ScriptObject))


def called_function(node: Any) -> Any:
    """The body of a ``prim::CallFunction``, as a graph of the call's arguments.

    TorchScript has no public way to a function from its call. Cloning the call into a graph of
    its own and inlining that graph gives the body.
    """
    function, *arguments = node.inputs()
    graph: Any = torch._C.Graph()
    constant = graph.createClone(function.node(), lambda value: value)
    graph.insertNode(constant)
    clones = {function.debugName(): constant.output()}
    for argument in arguments:
        clone = graph.addInput()
        clone.setType(argument.type())
        clones.setdefault(argument.debugName(), clone)
    call = graph.createClone(node, lambda value: clones[value.debugName()])
    graph.insertNode(call)
    for output in call.outputs():
        graph.registerOutput(output)
    torch._C._jit_pass_inline(graph)
    return graph


def call_builtin(name: str, overload: str, arguments: Sequence[Any]) -> Any:
    """TorchScript's own implementation of an operator on plain values.

    Raises:
        ConversionError: It fails, or does not take values of these kinds.
    """
    operation, _, _ = torch._C._get_operation_overload(name, overload)
    try:
        return operation(*arguments)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds, all of them about the arguments
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ConversionError(
            f"{name} fails in torch itself",
            got=", ".join(type(argument).__name__ for argument in arguments) or None,
            details=[f"{type(error).__name__}: {lines[0] if lines else ''}"],
        ) from None
