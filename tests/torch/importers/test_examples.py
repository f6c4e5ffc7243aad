"""Example inputs of TorchScript models: what is taken for each declared type, and what is told."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union  # noqa: UP035 - TorchScript's

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import importing, running, scripted, traced

import forward
from fwd_core.errors import InputError
from fwd_core.ir.fixed import FixedArgument

#: Fixed, because a sum that nearly cancels has no relative error to speak of.
X = torch.arange(6.0).reshape(2, 3) - 2.5


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


class Plain(nn.Module):
    def forward(self, x: Tensor, n: int, f: float, b: bool, s: str, li: List[int]) -> Tensor:  # noqa: UP006
        if b and s == "a":
            return x * n * f + li[0]
        return x


class Nested(nn.Module):
    def forward(
        self,
        x: Optional[Tensor],
        l: List[Tensor],  # noqa: E741, UP006
        t: Tuple[Tensor, Tensor],  # noqa: UP006
        d: Dict[str, Tensor],  # noqa: UP006
        p: Pair,
        u: Union[int, str] = 3,
    ) -> Tensor:
        y = l[0] + t[0] * t[1] + d["a"] + p.a * p.b
        return y if x is None else x + y


PLAIN: tuple[Any, ...] = (X, 2, 3.0, True, "a", [1])
NESTED: tuple[Any, ...] = (X, [X], (X, X), {"a": X}, Pair(X, X), 3)


def changed(inputs: tuple[Any, ...], position: int, value: Any) -> tuple[Any, ...]:
    return (*inputs[:position], value, *inputs[position + 1 :])


@pytest.mark.parametrize(
    ("position", "value"),
    [
        *((1, value) for value in (2, True, np.int64(2))),
        *((2, value) for value in (0.5, 3, False, np.float32(0.5))),
        *((3, value) for value in (False, 1, 0)),
        *((5, value) for value in ([1], (2, 3), [True])),
        (0, X.numpy()),
        (0, X.numpy()[::-1, ::-1]),
    ],
    ids=lambda value: "" if hasattr(value, "shape") and value.shape else repr(value),
)
def test_values_are_read_as_torchscript_reads_them(position: int, value: Any) -> None:
    model, inputs = scripted(Plain()), changed(PLAIN, position, value)
    given = [torch.from_numpy(i.copy()) if isinstance(i, np.ndarray) else i for i in inputs]
    plain = [i.item() if isinstance(i, np.generic) else i for i in given]
    expected = model(*plain)
    (result,) = running(model, inputs)
    assert result.dtype == expected.numpy().dtype
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-6)


def test_an_int_for_a_float_makes_floats() -> None:
    class Scale(nn.Module):
        def forward(self, x: Tensor, by: float) -> Tensor:
            return x * by

    whole = torch.tensor([1, 2])
    graph = importing(scripted(Scale()), (whole, 3))
    assert str(graph.outputs[0].type) == "float32[2]"
    assert graph.fixed == (FixedArgument(1, "by", "3"),), "as calls of the engine will repeat it"


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, None),
        (1, (X, X)),
        (2, [X, X]),
        (4, (X, X)),
        (3, {"b": X, "a": 2 * X}),
        (5, "three"),
    ],
    ids=["None", "tuple", "list", "plain tuple", "dict", "union"],
)
def test_containers(position: int, value: Any) -> None:
    model, inputs = scripted(Nested()), changed(NESTED, position, value)
    engine = forward.build(model, inputs, backend="openvino")
    torch.testing.assert_close(engine(*inputs), model(*inputs))


@pytest.mark.parametrize(
    ("position", "value", "text"),
    [
        (0, 3, "'x' is not .*\n  expected: Tensor\n  got:      int 3\n  Hint: torch.tensor makes"),
        (0, "a", "'x' is not .*\n  expected: Tensor\n  got:      str 'a'$"),
        (0, [[1.0, 2.0]] * 4, r"'x' .*\n  expected: Tensor\n  got:      list \[\[1.0.*\n  Hint: t"),
        (0, None, "'x' is not .*\n  expected: Tensor\n  got:      NoneType None"),
        (1, 2.5, "'n' is not .*\n  expected: int\n  got:      float 2.5"),
        (1, torch.tensor(2), r"'n' .*\n  expected: int\n  got:      a tensor, int64\[\]\n  Hint"),
        (2, "3", "'f' is not .*\n  expected: float\n  got:      str '3'"),
        (3, None, "'b' is not .*\n  expected: bool\n  got:      NoneType None"),
        (4, 1, "'s' is not .*\n  expected: str\n  got:      int 1"),
        (5, [1.0], r"'li\[0\]' is not .*\n  expected: int\n  got:      float 1.0"),
        (5, 1, r"'li' is not .*\n  expected: List\[int\]\n  got:      int 1"),
    ],
)
def test_values_of_other_types(position: int, value: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"example input {text}"):
        importing(scripted(Plain()), changed(PLAIN, position, value))


@pytest.mark.parametrize(
    ("position", "value", "text"),
    [
        (0, 3, "'x' is not .*\n  expected: Tensor\n  got:      int 3"),
        (1, X, r"'l' is not .*\n  expected: List\[Tensor\]\n  got:      a tensor, float32\[2, 3\]"),
        (1, [X, 3], r"'l\[1\]' is not .*\n  expected: Tensor\n  got:      int 3"),
        (2, (X,), r"'t' .*\n  expected: Tuple\[Tensor, Tensor\]\n  got:      a tuple with tensors"),
        (2, (X, None), r"'t\[1\]' is not .*\n  expected: Tensor\n  got:      NoneType None"),
        (3, [X], r"'d' is not .*\n  expected: Dict\[str, Tensor\]\n  got:      a list with"),
        (3, {1: X}, "'key of d' is not .*\n  expected: str\n  got:      int 1"),
        (3, {"a": 3}, r"\"d\['a'\]\" is not .*\n  expected: Tensor\n  got:      int 3"),
        (4, X, "'p' is not .*\n  expected: .*Pair\n  got:      a tensor"),
        (5, 0.5, r"'u' is not .*\n  expected: Union\[int, str\]\n  got:      float 0.5"),
    ],
)
def test_containers_of_other_types(position: int, value: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"example input {text}"):
        importing(scripted(Nested()), changed(NESTED, position, value))


def test_by_name() -> None:
    names = dict(zip(("x", "n", "f", "b", "s", "li"), PLAIN, strict=True))
    graph = importing(scripted(Plain()), names)
    assert [one.name for one in graph.fixed] == ["n", "f", "b", "s", "li"]
    with pytest.raises(InputError, match="example input 'n' is not of the type"):
        importing(scripted(Plain()), names | {"n": X})
    unnamed: dict[Any, Any] = {**names, 3: X}
    with pytest.raises(InputError, match="the model has no 3\n  expected: .*\n  got:      x, n, "):
        importing(scripted(Plain()), unnamed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array(["a"]), r"torch has no dtype for this array\n  got:  .* dtype\('<U1"),
        (np.array([None]), r"torch has no dtype for this array\n  got:  .* dtype\('O'"),
        (np.zeros(3, ">f4"), r"torch has no dtype for this array\n  got:      an array of dtype"),
    ],
    ids=["text", "objects", "big-endian"],
)
def test_arrays_that_torch_does_not_have(value: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"example input 'input': {text}"):
        importing(traced(nn.ReLU(), (X,)), (value,))


def test_sparse_examples() -> None:
    with pytest.raises(
        InputError,
        match="example input 'input' is no plain tensor\n  expected: a dense tensor\n"
        r"  got:      torch.sparse_coo, torch.float32\n  Hint: give tensor.to_dense\(\)",
    ):
        importing(traced(nn.ReLU(), (X,)), (X.to_sparse(),))


def test_lists_of_the_caller_are_not_changed() -> None:
    class Appends(nn.Module):
        def forward(self, x: Tensor, sizes: List[int]) -> Tensor:  # noqa: UP006
            sizes.append(3)
            return x.view(sizes)

    sizes = [2]
    graph = importing(scripted(Appends()), (X, sizes))
    assert sizes == [2]
    assert graph.fixed == (FixedArgument(1, "sizes", "[2]"),)
