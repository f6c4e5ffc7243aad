"""After what is not converted the import goes on, and finds no problem that is not there."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted, traced

from fwd_core.errors import Problem, UnsupportedModelError
from fwd_core.ir import DType, Graph, TensorType, symbol
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.stand_ins import NoStandInError, result_types

B, H = symbol("batch", 1, 4, 8), symbol("h", 3, 5, 9)
F32 = DType.FLOAT32
WAYS = ["scripted", "traced"]


def types(name: str, *shapes: Any, **more: Any) -> Any:
    """What stands in for the results of an operator of float32 tensors."""
    packet = getattr(torch.ops.aten, name)
    overload = "default" if "default" in packet.overloads() else packet.overloads()[0]
    schema = schemas.parse(str(getattr(packet, overload)._schema))
    graph = Graph("types")
    refs = [TensorRef(graph.add_input(f"x{i}", TensorType(F32, s))) for i, s in enumerate(shapes)]
    given = dict(zip((one.name for one in schema.arguments), refs, strict=False))
    return result_types(schema, {**given, **more})


def test_sizes_follow_those_of_the_operands() -> None:
    assert types("relu", (B, 3, H)) == TensorType(F32, (B, 3, H))
    assert types("mm", (B, H), (H, 2)) == TensorType(F32, (B, 2))
    assert types("flatten", (B, H, 2), start_dim=0, end_dim=-1) == TensorType(F32, (2 * B * H,))
    assert types("repeat", (B, H), repeats=[2, 1]) == TensorType(F32, (2 * B, H))
    assert types("constant_pad_nd", (B, H), pad=[1, 2]) == TensorType(F32, (B, H + 3))
    assert types("upsample_nearest1d", (B, 1, 2), output_size=[H]) == TensorType(F32, (B, 1, H))
    assert types("max", (B, H)) == TensorType(F32, ())


def test_several_results_keep_their_nesting() -> None:
    found = types("aminmax", (B, H), dim=1)
    assert found == (TensorType(F32, (B,)),) * 2


def test_what_is_not_known_is_no_guess() -> None:
    with pytest.raises(NoStandInError):
        types("unbind", (B, 2), dim=0)  # as many as the size says
    with pytest.raises(NoStandInError):
        types("max_pool1d", (1, B), kernel_size=[2])  # a division
    with pytest.raises(NoStandInError):
        types("sym_size", (B,))  # no tensors


class Unbinds(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c, d = x.unbind(0)
        return a + b + c + d


class Splits(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.split(2)
        return a + b


class Inverts(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.linalg.inv(x.view(-1, 2, 2)).flatten(1) + x
        return y.reshape(x.shape[0], 4) @ torch.ones(4, 2)


def problems(model: torch.nn.Module, way: str) -> list[Problem]:
    x = torch.rand(4, 4) + torch.eye(4)
    given = scripted(model) if way == "scripted" else traced(model, (x,))
    with pytest.raises(UnsupportedModelError) as caught:
        importing(given, [x], {"x": {0: ("batch", 1, 4, 8)}})
    return list(caught.value.problems)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("model", "operator", "hint"),
    [
        (Unbinds(), "aten::unbind", "build that size static, with one engine for each"),
        (Splits(), "aten::split", "as '2*batch', and split it into so many"),
    ],
    ids=["unbind", "split"],
)
def test_other_counts_of_parts_are_no_second_problem(
    model: torch.nn.Module, operator: str, hint: str, way: str
) -> None:
    (problem,) = problems(model, way)
    assert problem.operator == operator
    assert problem.reason.endswith("depends on dynamic size batch")
    assert problem.hint is not None
    assert hint in problem.hint


@pytest.mark.parametrize("way", WAYS)
def test_sizes_of_a_stand_in_contradict_nothing(way: str) -> None:
    (problem,) = problems(Inverts(), way)
    assert problem.operator == "aten::linalg_inv"
    assert "factors or inverts matrices" in problem.reason
