"""Why parts of a program are refused that are no operators on tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.undecided import ON_DATA, Undecided

_CLASS_HINT = "use tuples, lists or dicts, or trace the model"
_TASK = ("it starts a task of its own", "call the function itself, without torch.jit.fork")
_REMOTE = ("it calls another process", "convert the part that runs here")
_OPTIMIZED = (
    "it is made by torch's own optimizer and not part of the model",
    "save the model as scripted or traced, without torch.jit.optimize_for_inference",
)
_REASONS = {
    "prim::CallMethod": ("it calls a method of an object that is no module", _CLASS_HINT),
    "prim::SetAttr": ("it sets an attribute of an object that is no module", _CLASS_HINT),
    "aten::einsum": (
        "its labels are lists of numbers, which TorchScript alone knows",
        'write them as one string, as "ij,jk->ik"',
    ),
    "prim::fork": _TASK,
    "prim::forkClosure": _TASK,
    "prim::awaitable": _TASK,
    "prim::rpc_async": _REMOTE,
    "prim::rpc_remote": _REMOTE,
    "prim::rpc_sync": _REMOTE,
    "prim::DifferentiableGraph": _OPTIMIZED,
    "prim::FusionGroup": _OPTIMIZED,
    "prim::TensorExprGroup": _OPTIMIZED,
}
_OTHER = ("it is TorchScript's own and no operator of torch", "trace the model")
_IN_PLACE = "it changes {} in place, and no converter does"
#: What to do about loops whose end depends on data.
#: Loops of more rounds are refused: each is all operators of the body once more.
UNROLL_LIMIT = 10_000
LOOP_HINT = "run a fixed number of rounds, and let torch.where keep what is finished"
AUTOCAST = (
    "autocast changes dtypes by torch's own tables",
    "export or save the model without autocast and build it with mode float16",
)
_MANGLED = re.compile(r"___torch_mangle_\d+\.")


def class_of(node: Any) -> str:
    """The qualified name of the class of what a node makes."""
    return _MANGLED.sub("", str(node.output().type())).removeprefix("__torch__.")


def reason_of(node: Any) -> tuple[str, str]:
    """Why a node is refused, and what to do."""
    kind = node.kind()
    if kind == "prim::PythonOp":
        owner = getattr(node.pyobj(), "__self__", None)
        if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
            return (
                f"it calls {owner.__name__}, a torch.autograd.Function, which a trace does not "
                "look into",
                "hand over the nn.Module itself, which goes through torch.export",
            )
        return (
            f"it calls {node.pyname()}, which is Python code that TorchScript did not compile",
            "take away @torch.jit.ignore, or trace the model",
        )
    if kind == "prim::CreateObject":
        made = class_of(node)
        if made.rpartition(".")[2] == "autocast":
            return AUTOCAST
        return f"it makes an object of the class {made.rpartition('.')[2]}", _CLASS_HINT
    schema = schema_of(node)
    if schema is not None and schema.written is not None:
        what = "a list or dict" if changes_container(schema) else "its operand"
        return _IN_PLACE.format(what), "make a new one instead"
    return _REASONS.get(kind, _OTHER)


def control_flow(kind: str, doubt: Undecided) -> str:
    """Why a branch or a loop is refused."""
    what = "an if" if kind == "prim::If" else "a loop"
    return f"{what} {ON_DATA if doubt.data else doubt.reason}"


def too_many_rounds(where: Location) -> ConversionError:
    """The error for a loop that would be unrolled too often."""
    return ConversionError(
        f"a loop of more than {UNROLL_LIMIT} rounds would be unrolled",
        where=where,
        hint="use tensor operators over an axis instead of a loop",
    )


def higher_order(name: str, arguments: Sequence[Any]) -> tuple[str, str, str] | None:
    """How a higher-order operator of torch.export is listed: its name, why, and what to do.

    ``None`` for ``torch.cond`` and loops, which know themselves, and for regions of a mode that
    changes no result, which are walked through.
    """
    if name in ("cond", "while_loop", "scan", "map_impl", "wrap_with_set_grad_enabled"):
        return None
    if name == "wrap_with_autocast":
        enabled = arguments[2]
        return (name, *AUTOCAST) if enabled else None
    return f"higher_order::{name}", "no converter", ""


#: What Python's own functions become of a tensor in TorchScript, and the operator that they are.
_OF_BUILTINS = {"prim::abs(Tensor x) -> Tensor": "aten::abs(Tensor self) -> Tensor"}


def schema_of(node: Any) -> Schema | None:
    """A node's schema; ``None`` where it has none, or takes any number of arguments."""
    text = _OF_BUILTINS.get(node.schema(), node.schema())
    taken, _, _ = text.partition("->")
    return None if text.startswith("(") or "..." in taken else schemas.parse(text)


def changes_container(schema: Schema) -> bool:
    """Whether an operator changes a list or dict, not what is in it."""
    written = schema.written
    return written is not None and (written.kind.startswith("Dict[") or "[](a!)" in schema.text)
