"""The intermediate representation: graphs of typed operators over tensors with symbolic sizes."""

from fwd_core.ir import ops
from fwd_core.ir.derived import Derived
from fwd_core.ir.dim_facts import is_equal, is_less
from fwd_core.ir.dims import Dim, DimExpr, Symbol, symbol
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.location import Frame, Location
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.printer import text
from fwd_core.ir.serialize import load, save
from fwd_core.ir.structure import Structure
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape, TensorType

__all__ = [
    "DType",
    "Derived",
    "Dim",
    "DimExpr",
    "Emitter",
    "Frame",
    "Graph",
    "Location",
    "Node",
    "Operator",
    "Shape",
    "Structure",
    "Symbol",
    "Tensor",
    "TensorType",
    "Value",
    "is_equal",
    "is_less",
    "load",
    "operator",
    "ops",
    "save",
    "symbol",
    "text",
]
