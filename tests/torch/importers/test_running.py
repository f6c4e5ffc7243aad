"""Models as importers run them: what is around them, what they leave, and how they run again."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import installed, scripted, traced

from fwd_core.errors import InputError
from fwd_core.importing import ImportRequest, ModelResults
from fwd_core.ir import TensorType
from fwd_core.ir.dtypes import DType
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.export import ExportImporter
from fwd_ops_torch.importers.module import ModuleImporter
from fwd_ops_torch.importers.torchscript import TorchScriptImporter

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) - 0.5
IMPORTERS = (TorchScriptImporter(), ExportImporter(), ModuleImporter())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = torch.tanh(self.body(x))
        return result


class Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


SOURCES: dict[str, Callable[[nn.Module], Any]] = {
    "module": lambda module: module.eval(),
    "traced": lambda module: traced(module, (X,)),
    "scripted": scripted,
    "exported": lambda module: torch.export.export(module.eval(), (X,)),
}


def _results(source: Any, *inputs: Any) -> ModelResults:
    importer = next(one for one in IMPORTERS if one.accepts(source))
    return importer.results(source, ImportRequest(inputs, installed()))


def _wide(tensor: Any) -> Any:
    return tensor.numpy().astype(np.float64)


def _array(results: ModelResults) -> Any:
    return results.outputs[0].data


@pytest.mark.parametrize("kind", SOURCES)
class TestAround:
    def test_autocast_is_left(self, kind: str) -> None:
        model = Net()
        wanted = model(X).detach().numpy()
        source = SOURCES[kind](model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results = _results(source, X)
            assert torch.is_autocast_enabled("cpu")
        assert results.outputs[0].dtype is DType.FLOAT32
        np.testing.assert_allclose(_array(results), wanted, rtol=1e-6)

    def test_values_that_are_made_up_leave_the_random_state(self, kind: str) -> None:
        source = SOURCES[kind](Net())
        torch.manual_seed(1)
        wanted = torch.rand(4, 6)
        torch.manual_seed(1)
        results = _results(source, TensorType(DType.FLOAT32, (4, 6)))
        np.testing.assert_array_equal(results.inputs[0].data, wanted.numpy())
        assert torch.equal(torch.rand(4, 6), wanted)


def test_autocast_of_the_model_itself() -> None:
    class Module(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                result: Tensor = self.body(x)
                return result

    assert _results(Module().eval(), X).outputs[0].dtype is DType.BFLOAT16


def test_compiled_models_are_run_as_they_are_written() -> None:
    asked = []

    def backend(module: Any, _: Any) -> Any:
        asked.append(module)
        return module.forward

    class Part(Net):
        def __init__(self) -> None:
            super().__init__()
            self.part = torch.compile(nn.Linear(8, 8), backend=backend)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.part(super().forward(x))
            return result

    model = torch.compile(Net(), backend=backend).eval()
    for one in (model, Part().eval()):
        _results(one, X).again()
    assert not asked
    model(X)  # and its owner's calls still compile it
    assert asked


def test_one_thread_at_a_time() -> None:
    """Else the second puts back the warnings' filters of the first, which ignore everything."""
    entered, left = threading.Event(), threading.Event()

    class First(Net):
        def forward(self, x: Tensor) -> Tensor:
            started.set()
            entered.wait(0.5)
            return super().forward(x)

    class Second(Net):
        def forward(self, x: Tensor) -> Tensor:
            entered.set()
            left.wait(5)
            return super().forward(x)

    def first() -> None:
        _results(First().eval(), X)
        left.set()

    started = threading.Event()
    before = list(warnings.filters)
    threads = [threading.Thread(target=first),
               threading.Thread(target=_results, args=(Second().eval(), X))]  # fmt: skip
    threads[0].start()
    assert started.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert entered.is_set()
    assert warnings.filters == before


def test_torch_is_quiet_in_one_thread_at_a_time() -> None:
    """It sets the warnings' filters too."""
    entered = threading.Event()

    def second() -> None:
        with jit.quiet():
            entered.set()

    class Module(Net):
        def forward(self, x: Tensor) -> Tensor:
            thread.start()
            assert not entered.wait(0.2)
            return super().forward(x)

    thread = threading.Thread(target=second)
    _results(Module().eval(), X)
    assert entered.wait(30)
    thread.join()


class TestAgain:
    @pytest.mark.parametrize(
        ("dtype", "far"),
        [
            (torch.float64, 2.0**-15),
            (torch.float32, 2.0**-15),
            (torch.float16, 2.0**-7),
            (torch.bfloat16, 2.0**-5),
        ],
    )
    def test_floats_are_moved(self, dtype: Any, far: float) -> None:
        x = torch.rand(1000).to(dtype) + 1
        results = _results(Same().eval(), x)
        again = results.again()
        moved = _wide(again[0]) / _wide(results.inputs[0]) - 1
        assert again[0].type == results.outputs[0].type
        assert far / 2 < np.abs(moved).max() <= far * 1.3  # the types round
        assert moved.min() < -far / 4
        assert moved.max() > far / 4
        np.testing.assert_array_equal(_wide(results.again()[0]), _wide(again[0]))
        np.testing.assert_array_equal(_wide(results.outputs[0]), x.double().numpy())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_what_cannot_move(self, dtype: Any) -> None:
        """The least number stands in masks for no attention, and -inf would make NaN of it."""
        told = torch.finfo(dtype)
        x = torch.tensor([told.min, told.max, torch.inf, -torch.inf, torch.nan, 0.0] * 50).to(dtype)
        again = _wide(_results(Same().eval(), x).again()[0]).reshape(50, 6)
        assert np.isfinite(again[:, :2]).all()
        np.testing.assert_array_equal(again[:, 2:], x.double().numpy().reshape(50, 6)[:, 2:])

    @pytest.mark.parametrize("kind", SOURCES)
    def test_inputs_stay(self, kind: str) -> None:
        x = X.clone()
        results = _results(SOURCES[kind](Net()), x)
        wanted = _array(results).copy()
        again = results.again()[0].data
        assert 0 < np.abs(again - wanted).max() < 1e-4
        assert torch.equal(x, X)
        np.testing.assert_array_equal(results.inputs[0].data, X.numpy())

    def test_integers_and_flags_stay(self) -> None:
        class Module(nn.Module):
            def forward(self, x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
                return x, y, torch.tensor(scale)

        results = _results(Module().eval(), torch.arange(9), torch.arange(9) > 3, 0.3)
        for one, other in zip(results.outputs, results.again(), strict=True):
            np.testing.assert_array_equal(one.data, other.data)

    def test_a_script_in_training_mode(self) -> None:
        module = scripted(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout())).train()
        before = {name: one.clone() for name, one in module.state_dict().items()}
        results = _results(module, X)
        np.testing.assert_allclose(_wide(results.again()[0]), _array(results), atol=1e-4)
        assert all(torch.equal(before[name], one) for name, one in module.state_dict().items())
        assert module.training


class TestWhatModelsKeep:
    def test_lists_and_their_like(self) -> None:
        class Module(Net):
            def __init__(self) -> None:
                super().__init__()
                self.list: list[Any] = [0]
                self.dict: dict[str, Any] = {"n": 0, "m": 1}
                self.ordered: OrderedDict[str, Any] = OrderedDict(a=1, b=2)
                self.set = {1}
                self.deque: deque[Any] = deque([1, 2], maxlen=2)

            def forward(self, x: Tensor) -> Tensor:
                self.list.append(x)
                self.dict["n"] += 1
                del self.dict["m"]
                self.ordered.move_to_end("a")
                self.set.add(2)
                self.deque.append(x)
                return super().forward(x)

        model = Module().eval()
        names = ("list", "dict", "ordered", "set", "deque")
        were = [getattr(model, name) for name in names]
        _results(model, X).again()
        assert [getattr(model, name) for name in names] == [
            [0], {"n": 0, "m": 1}, OrderedDict(a=1, b=2), {1}, deque([1, 2])
        ]  # fmt: skip
        assert list(model.dict) == ["n", "m"]
        assert all(getattr(model, name) is was for name, was in zip(names, were, strict=True))

    def test_what_is_registered_late(self) -> None:
        class Module(Net):
            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("early", None)

            def forward(self, x: Tensor) -> Tensor:
                self.early = torch.ones(8)
                self.register_buffer("late", torch.ones(8), persistent=False)
                self.register_parameter("parameter", nn.Parameter(torch.ones(8)))
                self.body.add_module("part", nn.Linear(2, 2))
                return super().forward(x)

        model = Module().eval()
        _results(model, X).again()  # a second time torch would refuse to register
        assert model.early is None
        assert list(model.state_dict()) == ["body.weight", "body.bias"]
        assert [name for name, _ in model.named_buffers()] == []
        assert [name for name, _ in model.named_modules()] == ["", "body"]


class TestModelsOfSomeKinds:
    def test_data_parallel(self) -> None:
        model = Net().eval()
        np.testing.assert_allclose(
            _array(_results(nn.DataParallel(model).eval(), X)), model(X).detach().numpy(), rtol=1e-6
        )

    def test_data_parallel_that_cannot_be_exported_is_told_of_its_inputs(self) -> None:
        request = ImportRequest((torch.rand(4, 5),), installed())
        with pytest.raises(InputError, match="shapes cannot be multiplied"):
            ModuleImporter().load(nn.DataParallel(Net()).eval(), request)

    def test_one_that_is_written_for_no_grad(self) -> None:
        class Module(Net):
            def forward(self, x: Tensor) -> Tensor:
                result: Tensor = torch.from_numpy(super().forward(x).numpy())
                return result

        model = Module().eval()
        with torch.no_grad():
            wanted = model(X).numpy()
        np.testing.assert_allclose(_array(_results(model, X)), wanted, rtol=1e-6)

    def test_one_that_fails_either_way_tells_its_first_error(self) -> None:
        class Module(Net):
            def forward(self, x: Tensor) -> Tensor:
                self.ran = getattr(self, "ran", 0) + 1
                raise RuntimeError(f"with gradients: {torch.is_grad_enabled()}, run {self.ran}")

        with pytest.raises(RuntimeError, match=r"^with gradients: True, run 1$"):
            _results(Module().eval(), X)
