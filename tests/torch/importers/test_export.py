"""torch.export programs, raw and decomposed, and plain modules through torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch.export import Dim
from torch_models import check, importing

from fwd_core.errors import ConversionError, InputError, UnsupportedModelError
from fwd_core.importing import OptBatch
from fwd_core.ir import DType, TensorType, ops, symbol

X = torch.randn(4, 3, 8)
Y = torch.randn(4, 6)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        a = self.linear(x)
        a += 1
        batch = x.shape[0]
        return {"flat": a.flatten(1), "rest": [y.view(batch, -1) * batch, x]}


def exported(**dims: Any) -> torch.export.ExportedProgram:
    return torch.export.export(Model().eval(), (X, Y), dynamic_shapes=dims or None)


def test_raw_decomposed_file_and_module(tmp_path: Path) -> None:
    module = Model()
    program = torch.export.export(module.eval(), (X, Y))
    path = tmp_path / "model.pt2"
    torch.export.save(program, path)
    for model in (program, program.run_decompositions(), path, module):
        check(module, (X, Y), model=model)


def test_a_dynamic_program_serves_the_range_that_is_asked_for() -> None:
    batch = Dim("n", min=1, max=16)
    module = Model()
    program = torch.export.export(
        module.eval(), (X, Y), dynamic_shapes={"x": {0: batch}, "y": {0: batch}}
    )
    for model in (program, program.run_decompositions(), module):
        check(module, (X, Y), (X[:1], Y[:1]), (X[:3], Y[:3]), model=model, dynamic=OptBatch(2))
    graph = importing(program, (X, Y), OptBatch(2))
    assert graph.inputs[0].type == TensorType(DType.FLOAT32, (symbol("batch", 1, 2, 4), 3, 8))


def test_a_dynamic_program_is_static_when_nothing_is_asked_for() -> None:
    batch = Dim("n", min=1, max=16)
    graph = importing(exported(x={0: batch}, y={0: batch}), (X, Y))
    assert all(value.type.is_static for value in graph.values())


def test_a_program_of_fixed_sizes_cannot_become_dynamic() -> None:
    with pytest.raises(InputError, match="exported for one size") as caught:
        importing(exported(), (X, Y), OptBatch())
    assert "Hint: export it with dynamic_shapes" in str(caught.value)


def test_sizes_that_the_program_ties_together_need_one_name() -> None:
    batch = Dim("n", min=1, max=16)
    program = exported(x={0: batch}, y={0: batch})
    with pytest.raises(InputError, match="equals another input's size"):
        importing(program, (X, Y), {"x": {0: ("a", 1, 2, 4)}, "y": {0: ("b", 1, 2, 4)}})


def test_sizes_that_follow_from_others() -> None:
    class Pairs(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.cat([x, y], 0).reshape(x.shape[0], -1)

    half = Dim("half", min=2, max=8)
    a, b = torch.randn(4, 3), torch.randn(8, 3)
    program = torch.export.export(
        Pairs(), (a, b), dynamic_shapes={"x": {0: half}, "y": {0: 2 * half}}
    )
    importing(program, (a, b))
    dynamic = {"x": {0: ("h", 2, 2, 4)}, "y": {0: ("2*h", 4, 4, 8)}}
    check(Pairs(), (a, b), (a[:2], b[:4]), model=program, dynamic=dynamic)
    with pytest.raises(InputError, match=r"the program says its size is 2\*"):
        importing(program, (a, b), {"x": {0: ("h", 2, 2, 4)}, "y": {0: ("k", 4, 4, 8)}})


def test_example_inputs_must_fit_the_program() -> None:
    with pytest.raises(InputError, match="does not fit the exported program") as caught:
        importing(exported(), (X.double(), Y))
    assert "torch.float64" in str(caught.value)
    with pytest.raises(InputError, match="missing 'y'"):
        importing(exported(), (X,))
    with pytest.raises(InputError, match="exported for one size"):
        importing(exported(), (X[:2], Y[:2]))


def test_inputs_and_outputs_keep_their_nesting_and_names() -> None:
    class Nested(nn.Module):
        def forward(
            self, pair: tuple[Tensor, Tensor], *, scale: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            return pair[0] * scale, {"b": pair[1]}

    program = torch.export.export(Nested(), ((X, Y),), {"scale": torch.tensor(2.0)})
    graph = importing(program, {"pair": (X, Y), "scale": torch.tensor(2.0)})
    assert [value.name for value in graph.inputs] == ["pair_0", "pair_1", "scale"]
    assert graph.output_names == ["output_0", "output_1.b"]


def test_module_paths_and_lines() -> None:
    graph = importing(exported(), (X, Y))
    (linear,) = [node for node in graph if node.location.operator == "aten::linear"]
    assert linear.location.module == "linear"
    assert linear.location.frame is not None
    assert "linear.py" in linear.location.frame.file
    (add,) = [node for node in graph if isinstance(node.op, ops.Add)]
    assert add.location.operator == "aten::add_"
    assert add.location.user is not None
    assert add.location.user.file == __file__


def test_a_training_module_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"Model is in training mode") as caught:
        importing(Model().train(), (X, Y))
    assert "Hint: call model.eval()" in str(caught.value)


def test_a_module_that_torch_cannot_export_is_told_in_torchs_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedModelError, match="torch.export cannot export Branch") as caught:
        importing(Branch().eval(), (X,))
    assert "data-dependent" in str(caught.value)
    assert str(caught.value.where).startswith(f"{__file__}:")
    assert "choose with torch.where or torch.cond" in str(caught.value.hint)
    for noise in ("TORCH_LOGS", "TORCHDYNAMO", "docs.google.com"):
        assert noise not in str(caught.value)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_size_that_the_model_fixes_is_told() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(8, -1) * 2

    with pytest.raises(UnsupportedModelError, match="torch.export cannot export Fixed") as caught:
        importing(Fixed().eval(), (torch.rand(8, 3),), OptBatch())
    assert "the model fixes a size that was to change" in str(caught.value.hint)


def test_state_that_changes_is_refused() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.count.add_(1)
            return x + self.count

    program = torch.export.export(Counter().eval(), (X,))
    for model in (program, program.run_decompositions()):
        with pytest.raises(ConversionError, match="changes its own state while it runs: count"):
            importing(model, (X,))


def test_no_grad_regions_are_walked_through() -> None:
    class Quiet(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                y = x * 2
            return y + 1

    program = torch.export.export(Quiet().eval(), (X,))
    check(Quiet(), (X,), model=program)


def test_both_branches_of_a_condition_are_imported() -> None:
    class Cond(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    program = torch.export.export(Cond().eval(), (X,))
    for model in (program, program.run_decompositions()):
        check(Cond(), (X,), (-X,), model=model)


def test_loops_on_data_are_listed() -> None:
    class Loop(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            (result,) = torch._higher_order_ops.while_loop(
                lambda x: x.sum() < 10, lambda x: (x + 1,), (x,)
            )
            return result

    program = torch.export.export(Loop().eval(), (X,))
    with pytest.raises(
        UnsupportedModelError, match=r"higher_order::while_loop \(1x\): a loop depends on the con"
    ) as caught:
        importing(program, (X,))
    (problem,) = caught.value.problems
    assert problem.hint.startswith("run a fixed number of rounds")
