"""TorchScript's ``prim::`` operators: building and taking apart, and turning numbers to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import DimExpr, DType, Location, ops
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import numbers, refusals, sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.branches import ModelRaisesError
from fwd_ops_torch.importers.containers import doubt_in
from fwd_ops_torch.importers.merging import UNINITIALIZED
from fwd_ops_torch.importers.undecided import Undecided, depends_on_data, depends_on_size
from fwd_ops_torch.tensors import dtype_of, torch_dtype

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

Handler = Callable[["Session", Any, list[Any], Location], Any]


def dynamic_count(count: DimExpr) -> Undecided:
    """Why a loop over a dynamic size cannot be unrolled."""
    return depends_on_size(f"it runs {count} times")


def _to_list(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    return list(inputs)


def _to_tuple(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    return tuple(inputs)


def _to_dict(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    return dict(zip(inputs[::2], inputs[1::2], strict=True))


def _unpack(_session: Session, node: Any, inputs: list[Any], _where: Location) -> Any:
    items = list(inputs[0])
    if len(items) != node.outputsSize():
        raise ConversionError(
            "the model unpacks another number of items than there are",
            expected=node.outputsSize(),
            got=len(items),
        )
    return items if len(items) != 1 else items[0]


def _index(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    return inputs[0][inputs[1]]


def _tuple_slice(_session: Session, node: Any, inputs: list[Any], _where: Location) -> Any:
    return inputs[0][node.i("beg") : node.i("end")]


def _number_to_tensor(session: Session, _node: Any, inputs: list[Any], where: Location) -> Any:
    if isinstance(inputs[0], Undecided):
        if inputs[0].value is None:
            raise inputs[0].error("a tensor is made of a number that")
        return numbers.tensor(session, inputs[0], where)
    return sizes.from_number(session.graph, inputs[0], where)


def _tensor(session: Session, _node: Any, inputs: list[Any], where: Location) -> Any:
    """aten::tensor(t[] data, *, ScalarType? dtype, Device? device, bool requires_grad)."""
    data, dtype = inputs[0], inputs[1]
    wanted = None if dtype is None else torch_dtype(dtype_of(dtype))
    if not _mentions_dim(data):
        return TensorRef(torch.tensor(data, dtype=wanted))
    flat = data if isinstance(data, list) else [data]
    if doubt := next((d for item in flat if (d := doubt_in(item)) and not d.value), None):
        raise doubt.error("a tensor is made of a number that")
    if any(isinstance(item, list) for item in flat):
        raise ConversionError(
            "a tensor of lists of dynamic sizes or numbers read from tensors is not supported",
            got=data,
        )
    kind = numbers.common_kind(*flat)
    parts = [numbers.value(session, item, kind, where) for item in flat]
    target = parts[0].type.dtype if wanted is None else dtype_of(wanted)
    if isinstance(data, list):
        rows = [
            session.graph.add(ops.Unsqueeze(p, (0,)), name="size", location=where) for p in parts
        ]
        value = session.graph.add(ops.Concat(tuple(rows), 0), name="sizes", location=where)
    else:
        value = parts[0]
    if target is not value.type.dtype:
        value = session.graph.add(ops.Cast(value, target), name="sizes", location=where)
    return TensorRef(value)


def _as_tensor(session: Session, node: Any, inputs: list[Any], where: Location) -> Any:
    """aten::as_tensor(Tensor|number|t[] data, *, ScalarType? dtype, Device? device)."""
    data, dtype = inputs[0], inputs[1]
    if not isinstance(data, TensorRef):
        return _tensor(session, node, inputs, where)
    if dtype is None or dtype_of(dtype) is data.type.dtype:
        return data
    return session.call(
        schemas.overload("aten::to", "dtype"), {"self": data, "dtype": dtype}, where
    )


def _mentions_dim(data: Any) -> bool:
    if isinstance(data, list):
        return any(_mentions_dim(item) for item in data)
    return isinstance(data, (DimExpr, Undecided))


def _first(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    return inputs[0]


def _uninitialized(_session: Session, _node: Any, _inputs: list[Any], _where: Location) -> Any:
    return UNINITIALIZED


def _none(_session: Session, _node: Any, _inputs: list[Any], _where: Location) -> Any:
    return None


def _raise(_session: Session, _node: Any, inputs: list[Any], where: Location) -> Any:
    raise ModelRaisesError(
        f"the model raises an exception for these inputs: {inputs[0]}",
        where=where,
        hint="check shapes and dtypes of the example inputs",
    )


def _isinstance(_session: Session, node: Any, inputs: list[Any], _where: Location) -> Any:
    return any(_is_of(inputs[0], kind) for kind in node.tys("types"))


def _is_of(value: Any, kind: Any) -> bool:
    name = kind.kind()
    if name == "OptionalType":
        return value is None or _is_of(value, kind.getElementType())
    if name == "ListType":
        return isinstance(value, list) and all(_is_of(v, kind.getElementType()) for v in value)
    if name == "TupleType":
        return isinstance(value, tuple)
    known: dict[str, type | tuple[type, ...]] = {
        "TensorType": TensorRef,
        "NoneType": type(None),
        "BoolType": bool,
        "FloatType": float,
        "StringType": str,
        "DictType": dict,
    }
    if name == "IntType":
        return isinstance(value, (int, DimExpr)) and not isinstance(value, bool)
    if name not in known:
        raise ConversionError(f"isinstance of {kind} is not supported")
    return isinstance(value, known[name])


def _scalar(name: str) -> Handler:
    def run(session: Session, _node: Any, inputs: list[Any], where: Location) -> Any:
        return numbers.compute(session, name, inputs, where)

    return run


_MODES = frozenset({"no_grad", "enable_grad", "set_grad_enabled", "inference_mode"})


def is_mode(node: Any) -> bool:
    """Whether a node makes an object for ``with`` that changes no result: ``torch.no_grad()``."""
    made = refusals.class_of(node)
    return made.startswith("torch.autograd.") and (
        made.rpartition(".")[2] in _MODES or made.endswith(".profiler.record_function")
    )


#: Stands for such an object.
MODE = object()
_LIST_TYPES: tuple[type, ...] = (int, float, bool, complex)


def _tolist(_session: Session, _node: Any, inputs: list[Any], _where: Location) -> Any:
    """prim::tolist(Tensor data, int rank, int type of the numbers)."""
    ref, rank, kind = inputs
    constant = ref.constant
    known = sizes.known_number(ref) if constant is None else constant.tolist()
    if known is None:
        raise depends_on_data(str(ref.type)).error("tolist()")
    wanted = _LIST_TYPES[kind]
    numbers = int if not ref.type.dtype.is_float else float
    if ref.type.dtype is DType.BOOL:
        numbers = bool
    if ref.type.rank != rank or numbers is not wanted:
        raise ConversionError(
            "tolist() gives another list than the model says",
            expected=f"{rank} axes of {wanted.__name__}",
            got=ref.type,
        )
    return known


def _enter(_session: Session, _node: Any, inputs: Sequence[Any], _where: Location) -> Any:
    return inputs[0]


HANDLERS: dict[str, Handler] = {
    "prim::ListConstruct": _to_list,
    "prim::TupleConstruct": _to_tuple,
    "prim::DictConstruct": _to_dict,
    "prim::ListUnpack": _unpack,
    "prim::TupleUnpack": _unpack,
    "prim::TupleIndex": _index,
    "prim::TupleSlice": _tuple_slice,
    "prim::NumToTensor": _number_to_tensor,
    "aten::tensor": _tensor,
    "aten::as_tensor": _as_tensor,
    "prim::unchecked_cast": _first,
    "prim::unchecked_unwrap_optional": _first,
    "prim::data": _first,
    "prim::Uninitialized": _uninitialized,
    "prim::Print": _none,
    "prim::Enter": _enter,
    "prim::Exit": _none,
    "prim::RaiseException": _raise,
    "prim::isinstance": _isinstance,
    "prim::tolist": _tolist,
    "prim::min": _scalar("prim::min"),
    "prim::max": _scalar("prim::max"),
    "aten::format": _scalar("aten::format"),
    "aten::warn": _none,
}
