"""Traced and scripted TorchScript: what a program means, how it nests inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, running, scripted, traced

from fwd_core.errors import ConversionError, InputError, UnsupportedModelError
from fwd_core.importing import OptBatch
from fwd_core.ir import ops
from fwd_ops_torch.testing import module_from_source

X = torch.arange(6.0).reshape(2, 3)


class Arithmetic(nn.Module):
    """The module of the document."""

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return torch.add(a, b), torch.rsub(a, b), torch.sub(a, b), torch.mul(a, b)


def test_the_documents_arithmetic_traced_scripted_and_from_a_file(tmp_path: Path) -> None:
    a, b = torch.randn(4), torch.randn(4)
    module = Arithmetic()
    path = tmp_path / "arithmetic.pth"
    traced(module, (a, b)).save(str(path))
    for model in (None, traced(module, (a, b)), path, str(path)):
        check(module, (a, b), model=model)


@pytest.mark.parametrize("source", ["abs(x)", "abs(x - 3) + abs(-2)"])
def test_pythons_own_abs_of_a_tensor(source: str) -> None:
    module = module_from_source(source, "x")
    for made in (-X, (-X).long(), (-X).half()):
        check(module, (made,), model=scripted(module))
        check(module, (made,), model=traced(module, (made,)))


def test_pythons_own_abs_in_a_loop() -> None:
    module = module_from_source("[abs(row) for row in x][1] - abs(x.sum().item())", "x")
    check(module, (-X,), model=scripted(module))


def test_names_of_inputs_and_outputs_are_the_models_own() -> None:
    class Model(nn.Module):
        def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
            return {"sum": ids + mask, "product": ids * mask}

    graph = importing(scripted(Model()), (X, X))
    assert [value.name for value in graph.inputs] == ["ids", "mask"]
    assert graph.output_names == ["sum", "product"]
    check(Model(), (X, X))


def test_outputs_nest_as_the_model_nests_them() -> None:
    class Model(nn.Module):
        def forward(
            self, x: Tensor
        ) -> tuple[Tensor, list[Tensor], dict[str, tuple[Tensor, Tensor]]]:
            return x + 1, [x, x * 2], {"a": (x - 1, x / 2)}

    check(Model(), (X,))
    graph = importing(scripted(Model()), (X,))
    assert graph.output_names == [
        "output_0",
        "output_1.0",
        "output_1.1",
        "output_2.a.0",
        "output_2.a.1",
    ]


def test_inputs_may_nest_too() -> None:
    class Model(nn.Module):
        def forward(
            self, pair: tuple[Tensor, Tensor], rest: list[Tensor], named: dict[str, Tensor]
        ) -> Tensor:
            return pair[0] + pair[1] * rest[0] - rest[1] + named["bias"]

    inputs = ((X, X + 1), [X, X * 3], {"bias": X})
    check(Model(), inputs)
    graph = importing(scripted(Model()), inputs)
    assert [value.name for value in graph.inputs] == [
        "pair_0",
        "pair_1",
        "rest_0",
        "rest_1",
        "bias",
    ]


def test_unused_inputs_stay_inputs() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, unused: Tensor, y: Tensor) -> Tensor:
            return x + y

    check(Model(), (X, torch.ones(5, dtype=torch.int64), X))


def test_several_inputs_of_different_first_sizes() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            return x @ weight

    w = torch.randn(3, 4)
    check(Model(), (X, w), (torch.randn(1, 3), w), dynamic=OptBatch(1))


def test_one_tensor_returned_twice_and_an_input_returned() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            y = torch.relu(x)
            return y, y, x

    check(Model(), (X,))


def test_none_among_the_outputs() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Optional[Tensor]]:
            return x + 1, None

    check(Model(), (X,))


def test_optional_arguments_and_numbers_are_fixed_at_build() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, bias: Optional[Tensor] = None, times: int = 3) -> Tensor:
            y = x * times
            return y if bias is None else y + bias

    check(Model(), (X,))
    check(Model(), (X, X))
    graph = importing(scripted(Model()), (X, X, 5))
    assert [value.name for value in graph.inputs] == ["x", "bias"]
    (times,) = [value.constant for value in graph.values() if value.constant is not None]
    assert times.item() == 5


def test_conditions_on_constants_and_shapes_choose_their_branch() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = True
            self.dropout = nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            if self.scale and not self.training:
                x = x * 2
            if x.dim() == 2 and x.size(1) > 2:
                x = x.t()
            elif x.numel() > 100:
                x = x * 0
            return self.dropout(x)

    check(Model(), (X,))


def test_loops_with_a_known_count_are_unrolled() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.relu(layer(x))
            parts: list[Tensor] = []
            for i in range(x.size(1)):
                parts.append(x[:, i] * i)
            total = 0
            while total < 3:
                total += 1
            return torch.stack(parts, 1) + total

    check(Model(), (X,))


def test_lists_keep_their_identity() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            first: list[Tensor] = [x]
            second = first
            second.append(x + 1)
            first.extend([x + 2])
            first.insert(0, x - 1)
            first.reverse()
            second.append(first.pop())
            return first

    check(Model(), (X,))


def test_functions_classes_and_methods() -> None:
    check(_WithFunction(), (X,))


def helper(x: Tensor, times: int = 2) -> Tensor:
    return nn.functional.relu(x - 1) * times


class _WithFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def twice(self, x: Tensor) -> Tensor:
        return helper(helper(x), 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(self.linear(x)) + helper(x)


def test_module_path_and_lines_of_every_operator() -> None:
    graph = importing(scripted(_WithFunction()), (X,))
    places = {node.name: node.location for node in graph}
    assert places["linear/linear"].module == "linear"
    relu = places["relu"]
    assert relu.module == ""
    assert relu.operator == "aten::relu"
    assert relu.user is not None
    assert relu.user.file == __file__
    assert relu.frame is not None
    assert "functional.py" in relu.frame.file


def test_constants_are_computed_while_importing() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(12.0).reshape(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.triu(torch.ones(3, 3), 1) * -2.0
            return x + mask.sum(0) + self.table[:, 1:3].mean(1).exp()

    graph = importing(scripted(Model()), (X,))
    assert {type(node.op) for node in graph} == {ops.Constant, ops.Add}
    check(Model(), (X,), atol=1e-3)  # exp(9.5): values of order 1e4


def test_sizes_as_numbers_and_as_tensors() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            batch, width = x.shape[0], x.shape[1]
            pairs = x.reshape(batch // 1, -1)
            positions = torch.arange(batch * 2, device=x.device)[:batch]
            return pairs + positions[:, None] * width + x.numel() - x.shape[0]

    for model in (scripted(Model()), traced(Model(), (torch.randn(4, 3),))):
        check(Model(), (torch.randn(4, 3),), (torch.randn(1, 3),), model=model, dynamic=OptBatch())


def test_a_size_that_the_program_fixed_contradicts_a_dynamic_dim() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(12)

    with pytest.raises(ConversionError, match="element counts differ") as caught:
        importing(scripted(Model()), (torch.randn(4, 3),), OptBatch())
    text = str(caught.value)
    assert "3*batch elements" in text
    assert "12 elements" in text
    assert "Hint: a size that the model fixed contradicts a dynamic dim" in text
    assert f"{__file__}:" in text


def test_a_loop_on_data_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            while bool(x.sum() < 10):
                x = x * 2
            return x

    with pytest.raises(UnsupportedModelError, match="a loop depends on the contents of a tensor"):
        importing(scripted(Model()), (X,))


def test_a_condition_that_a_dynamic_dim_leaves_open_is_refused_if_shapes_follow() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:2] if x.size(0) > 2 else x

    importing(scripted(Model()), (torch.randn(4, 3),))
    with pytest.raises(ConversionError, match="branches .* give tensors of different types"):
        importing(scripted(Model()), (torch.randn(4, 3),), OptBatch())


def test_a_condition_that_a_dynamic_dim_settles_is_resolved() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.size(0) < 9 and x.size(0) * 2 != 3 else x

    check(Model(), (torch.randn(8, 3),), (torch.randn(2, 3),), dynamic=OptBatch())


def test_a_loop_over_a_dynamic_size_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            total = x[0]
            for i in range(x.size(0)):
                total = total + x[i]
            return total

    check(Model(), (torch.randn(3, 3),))
    with pytest.raises(UnsupportedModelError, match="it runs batch times"):
        importing(scripted(Model()), (torch.randn(4, 3),), OptBatch())


def test_a_number_read_from_a_tensor_is_refused_where_it_is_used() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            count = int(x.sum())
            return x[:, :count]

    with pytest.raises(ConversionError, match="depends on the contents of a tensor"):
        importing(scripted(Model()), (X,))


def test_a_number_read_from_a_tensor_is_refused_in_a_list_too() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(int(x.sum()), -1)

    with pytest.raises(ConversionError, match="argument 'size' of aten::view depends on the"):
        importing(scripted(Model()), (X,))


def test_an_exception_that_the_model_raises_is_told() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.dim() == 3, "wants three axes"
            return x

    with pytest.raises(ConversionError, match="wants three axes"):
        importing(scripted(Model()), (X,))


def test_state_that_changes_is_refused() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x + self.count

    with pytest.raises(ConversionError, match="changes its own state while it runs: count"):
        importing(scripted(Model()), (X,))


def test_wrong_example_inputs_are_told() -> None:
    model = scripted(Arithmetic())
    with pytest.raises(InputError, match="missing 'b'") as caught:
        importing(model, (X,))
    assert "expected: (a, b)" in str(caught.value)
    with pytest.raises(InputError, match="the model has no input 3"):
        importing(model, (X, X, X))
    with pytest.raises(InputError, match="the model has no 'c'"):
        importing(model, {"a": X, "b": X, "c": X})
    with pytest.raises(ConversionError, match="do not broadcast"):
        importing(model, (X, torch.ones(5)))


def test_example_inputs_by_name_in_any_order() -> None:
    graph = importing(scripted(Arithmetic()), {"b": X, "a": X})
    assert [value.name for value in graph.inputs] == ["a", "b"]


def test_training_branches_of_a_scripted_model_are_not_taken() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0 if self.training else x + 1

    from fwd_ops_torch.importers import jit

    model = jit.script(Model().train())
    (result,) = running(model, (X,))
    assert (result == X.numpy() + 1).all()


def test_dropout_of_a_model_traced_in_training_mode_is_refused() -> None:
    from fwd_ops_torch.importers import jit

    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = jit.trace(model, (X,))
    with pytest.raises(UnsupportedModelError, match="dropout in training mode is random") as caught:
        importing(bad, (X,))
    assert "Hint: call model.eval()" in str(caught.value)


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_themselves_which_have_no_forward_when_scripted(
    make: type[nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module, x = make(3, 4, 2), torch.randn(5, 2, 3)
    path = tmp_path / "layer.pt"
    scripted(module).save(str(path))
    for model in (scripted(module), path):
        check(module, (x,), model=model)


def test_what_does_not_fit_a_scripted_layer_is_said() -> None:
    with pytest.raises(InputError, match=r"no input 3\n  expected: \(input, hx\)"):
        importing(scripted(nn.LSTM(3, 4)), (X, X, X))


def test_a_module_without_forward_is_refused() -> None:
    class Named(nn.Module):
        @torch.jit.export
        def encode(self, x: Tensor) -> Tensor:
            return x + 1

    with pytest.raises(UnsupportedModelError) as error:
        importing(scripted(Named()), (X,))
    assert str(error.value) == (
        "Named has no method forward\n  got:      encode\n"
        "  Hint: script or trace a module whose forward is the model"
    )


@pytest.mark.parametrize(
    ("source", "x", "text"),
    [
        ("x.sum().item() + x", torch.ones(2, 3), r"with axes is no number(.|\n)*float32\[2, 3\]"),
        ("torch.unsqueeze(x, x)", torch.ones(()), r"of floats is no integer(.|\n)*float32\[\]"),
    ],
)
def test_what_is_no_number_is_not_taken_for_one(source: str, x: torch.Tensor, text: str) -> None:
    model = scripted(module_from_source(source, "x"))
    with pytest.raises(RuntimeError, match="Cannot input a tensor of"):
        model(x)
    with pytest.raises(ConversionError, match=text):
        importing(model, (x,))
