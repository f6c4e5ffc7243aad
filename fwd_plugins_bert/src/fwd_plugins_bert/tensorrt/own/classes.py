"""The plugins: what they take, what they make of it, and how they launch their kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar

from fwd_plugins_bert.kernels import norms
from fwd_plugins_bert.tensorrt.own import NAMESPACE as PACK
from fwd_plugins_bert.tensorrt.own.base import Number, arrays, base, creator, fields

__all__ = ["EMBEDDING_NORM", "SKIP_NORM", "arrays", "creator", "fields", "kinds"]

#: Fields, with what they are where none is given.
SKIP_NORM: dict[str, Number] = {"epsilon": 1e-12, "bias": 0, "scale": 1, "shift": 1, "step": 0.0}
EMBEDDING_NORM: dict[str, Number] = {
    "epsilon": 1e-12,
    "tables": 1,
    "added": 0,
    "scale": 1,
    "shift": 1,
}


@lru_cache(maxsize=None)
def kinds(trt: ModuleType) -> tuple[Any, Any]:
    """The classes of a library: of residual sums, and of embeddings."""
    return _skip_norm(trt), _embedding_norm(trt)


def _linear(trt: ModuleType, described: Any, types: Sequence[Any]) -> bool:
    """Whether a tensor lies row by row and has one of some types."""
    found = described.desc
    return bool(found.format == trt.TensorFormat.LINEAR and found.type in types)


def _skip_norm(trt: ModuleType) -> Any:
    class SkipNorm(base(trt)):  # type: ignore[misc]
        """Layer normalization of x + bias + skip.

        Inputs: x and skip [..., C], then bias, scale and shift [C] where numbers say that there are
        such. The output is of their type, or int8 in steps of ``step`` if that is not 0.
        """

        NAMESPACE: ClassVar[str] = PACK
        NAME: ClassVar[str] = "ForwardSkipNorm"
        FIELDS: ClassVar[Mapping[str, Number]] = SKIP_NORM

        def __init__(self, numbers: Mapping[str, Number]) -> None:
            super().__init__(numbers)
            self.norm: norms.Norm | None = None
            self.rows = 0

        def get_output_data_types(self, input_types: Sequence[Any]) -> list[Any]:
            return [trt.DataType.INT8 if self.numbers["step"] else input_types[0]]

        def get_output_shapes(
            self, inputs: Sequence[Any], _shape_inputs: Sequence[Any], _expressions: Any
        ) -> list[Any]:
            return [trt.DimsExprs([inputs[0][axis] for axis in range(len(inputs[0]))])]

        def supports_format_combination(
            self, pos: int, in_out: Sequence[Any], num_inputs: int
        ) -> bool:
            if pos == 0:
                return _linear(trt, in_out[0], (trt.DataType.FLOAT, trt.DataType.HALF))
            if pos == num_inputs and self.numbers["step"]:
                return _linear(trt, in_out[pos], (trt.DataType.INT8,))
            return _linear(trt, in_out[pos], (in_out[0].desc.type,))

        def on_shape_change(self, inputs: Sequence[Any], _outputs: Sequence[Any]) -> None:
            *lead, width = inputs[0].dims
            self.rows = math.prod(lead)
            self.norm = norms.Norm(
                int(width),
                half=inputs[0].type == trt.DataType.HALF,
                **{name: bool(self.numbers[name]) for name in ("bias", "scale", "shift")},
                int8=bool(self.numbers["step"]),
            )
            self.norm.prepare()

        def enqueue(
            self,
            input_desc: Sequence[Any],
            output_desc: Sequence[Any],
            inputs: Sequence[int],
            outputs: Sequence[int],
            _workspace: int,
            stream: int,
        ) -> None:
            if self.norm is None:
                self.on_shape_change(input_desc, output_desc)
            assert self.norm is not None
            x, skip, *given = inputs
            names = [name for name in ("bias", "scale", "shift") if self.numbers[name]]
            norms.skip_norm(
                self.norm,
                x,
                skip,
                outputs[0],
                self.rows,
                epsilon=self.numbers["epsilon"],
                **dict(zip(names, given, strict=True)),
                step=self.numbers["step"] or 1.0,
                stream=stream,
            )

    return SkipNorm


def _embedding_norm(trt: ModuleType) -> Any:
    class EmbeddingNorm(base(trt)):  # type: ignore[misc]
        """Layer normalization of rows of tables, and of rows that are added to them.

        Inputs: indices (int32) and table [n, C] of each, tensors [..., C] that are added, and again
        from their start where they end, then scale and shift [C] where numbers say that there are
        such. The output is [*indices, C].
        """

        NAMESPACE: ClassVar[str] = PACK
        NAME: ClassVar[str] = "ForwardEmbeddingNorm"
        FIELDS: ClassVar[Mapping[str, Number]] = EMBEDDING_NORM

        def __init__(self, numbers: Mapping[str, Number]) -> None:
            super().__init__(numbers)
            self.norm: norms.Norm | None = None
            self.rows = 0
            self.sizes: list[int] = []
            self.periods: list[int] = []

        def get_output_data_types(self, input_types: Sequence[Any]) -> list[Any]:
            return [input_types[1]]

        def get_output_shapes(
            self, inputs: Sequence[Any], _shape_inputs: Sequence[Any], _expressions: Any
        ) -> list[Any]:
            lead = [inputs[0][axis] for axis in range(len(inputs[0]))]
            return [trt.DimsExprs([*lead, inputs[1][1]])]

        def supports_format_combination(
            self, pos: int, in_out: Sequence[Any], _num_inputs: int
        ) -> bool:
            if pos < 2 * self.numbers["tables"] and pos % 2 == 0:
                return _linear(trt, in_out[pos], (trt.DataType.INT32,))
            if pos == 1:
                return _linear(trt, in_out[1], (trt.DataType.FLOAT, trt.DataType.HALF))
            return _linear(trt, in_out[pos], (in_out[1].desc.type,))

        def on_shape_change(self, inputs: Sequence[Any], _outputs: Sequence[Any]) -> None:
            tables, added = int(self.numbers["tables"]), int(self.numbers["added"])
            self.rows = math.prod(inputs[0].dims)
            self.sizes = [int(one.dims[0]) for one in inputs[1 : 2 * tables : 2]]
            behind = inputs[2 * tables : 2 * tables + added]
            self.periods = [math.prod(tuple(one.dims)[:-1]) for one in behind]
            self.norm = norms.Norm(
                int(inputs[1].dims[1]),
                half=inputs[1].type == trt.DataType.HALF,
                scale=bool(self.numbers["scale"]),
                shift=bool(self.numbers["shift"]),
                tables=tables,
                added=added,
            )
            self.norm.prepare()

        def enqueue(
            self,
            input_desc: Sequence[Any],
            output_desc: Sequence[Any],
            inputs: Sequence[int],
            outputs: Sequence[int],
            _workspace: int,
            stream: int,
        ) -> None:
            if self.norm is None:
                self.on_shape_change(input_desc, output_desc)
            assert self.norm is not None
            picked = 2 * len(self.sizes)
            last = picked + len(self.periods)
            names = [name for name in ("scale", "shift") if self.numbers[name]]
            norms.embedding_norm(
                self.norm,
                list(zip(inputs[1:picked:2], self.sizes, inputs[:picked:2], strict=True)),
                list(zip(inputs[picked:last], self.periods, strict=True)),
                outputs[0],
                self.rows,
                epsilon=self.numbers["epsilon"],
                **dict(zip(names, inputs[last:], strict=True)),
                stream=stream,
            )

    return EmbeddingNorm
