"""Calibrating from scripts: streams of the original project, and any iterable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from machine import beside_int8
from openvino_kernels import integer_kernels, products

import forward
from fwd_core import Builder
from fwd_core.errors import CalibrationError, ForwardWarning, OptionError
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator


class Net(torch.nn.Module):
    """Two products, and a head that may stay in float."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(8, 16)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.first(x)))


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def _data(count: int = 8, rows: int = 4) -> list[Any]:
    numbers = torch.Generator().manual_seed(1)
    return [torch.randn(rows, 8, generator=numbers) for _ in range(count)]


class Stream(forward.IPyBatchStream):
    """Flat arrays of float64, as the document's stream gives them."""

    def __init__(self, arrays: list[Any], batch: int = 4) -> None:
        forward.IPyBatchStream.__init__(self)
        self.arrays, self.batch, self.asked = list(arrays), batch, 0

    def next(self) -> bool:
        return self.asked < len(self.arrays)

    def getBatchSize(self) -> int:  # noqa: N802
        return self.batch

    def getNumpyBatch(self) -> Any:  # noqa: N802
        self.asked += 1
        return self.arrays[self.asked - 1]


def _flat(data: list[Any]) -> list[Any]:
    return [[one.double().numpy().ravel()] for one in data]


def _engine(net: Any, calibrator: Any, mode: str = "int8") -> Any:
    builder = forward.TorchBuilder(backend="openvino")
    builder.set_calibrator(calibrator)
    assert builder.set_mode(mode) is True
    return builder.build(net, _data(1)[0])


def _assert_close(engine: Any, net: Any) -> None:
    x = _data(1)[0]
    found, wanted = engine(x), net(x).detach()
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert torch.nn.functional.cosine_similarity(found.ravel(), wanted.ravel(), 0) > 0.99
    noise = float((found - wanted).square().sum() / wanted.square().sum())
    assert noise > 1e-7, "float32 is nearer than int8 can be"


def test_calibrate_once_then_build_from_the_cache(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.cache"
    stream = Stream(_flat(_data()))
    calibrator = forward.TrtInt8Calibrator(stream, str(path), forward.MINMAX_CALIBRATION)
    plain = _engine(net, calibrator, "int8_calib")
    torch.testing.assert_close(plain(_data(1)[0]), net(_data(1)[0]), rtol=1e-5, atol=1e-5)
    assert stream.asked == 8
    written = path.read_bytes()
    _assert_close(_engine(net, calibrator), net)
    only = forward.TrtInt8Calibrator(str(path), forward.MINMAX_CALIBRATION, 4)
    _assert_close(_engine(net, only), net)
    assert stream.asked == 8, "the cache was used"
    assert path.read_bytes() == written
    greatest = max(float(one.abs().max()) for one in _data())
    cache = CalibrationCache.load(path)
    assert cache["x"] == pytest.approx(greatest, rel=1e-6)


def test_calibrate_takes_any_iterable_and_its_cache_builds(net: Any, tmp_path: Path) -> None:
    data = _data()
    cache = forward.calibrate(net, data, algorithm="minmax", backend="openvino")
    assert list(cache) == ["x", "relu"]
    for batches in (
        iter(data),
        [(one,) for one in data],
        [{"x": one.numpy()} for one in data],
        torch.utils.data.DataLoader(torch.cat(data), batch_size=4),
    ):
        again = forward.calibrate(net, batches, algorithm="minmax", backend="openvino")
        assert again == cache
    cache.save(tmp_path / "net.cache")
    for given in (cache, tmp_path / "net.cache", data, Calibrator(data, algorithm="percentile")):
        engine = forward.build(net, data[0], mode="int8", backend="openvino", calibrator=given)
        _assert_close(engine, net)
        assert engine.engine.manifest["compute"] == f"int8, {beside_int8()}"


@integer_kernels
def test_products_are_kernels_of_integers_as_the_runtime_tells(net: Any) -> None:
    def of(mode: str, **more: Any) -> Any:
        return forward.build(net, _data(1)[0], mode=mode, backend="openvino", **more).engine

    int8, plain = of("int8", calibrator=_data()), of("float32")
    assert [kernel.is_of_integers for kernel in products(int8)] == [True, True]
    assert products(plain)
    assert not any(kernel.is_of_integers for kernel in products(plain))
    head = of("int8", calibrator=Calibrator(_data(), skip=["head"]))
    assert any(kernel.is_of_integers for kernel in products(head))
    none = of("int8", calibrator=Calibrator(_data(), skip=["*"]))
    assert not any(kernel.is_of_integers for kernel in products(none))
    rest = beside_int8()
    assert (head.manifest["compute"], none.manifest["compute"]) == (f"int8, {rest}", rest)


@pytest.mark.parametrize("algorithm", ["entropy", "entropy_2", "minmax", "percentile=99.9", "mse"])
def test_every_algorithm_calibrates(net: Any, algorithm: str) -> None:
    data = _data(320)  # entropy searches are warned of with fewer
    cache = forward.calibrate(net, data, algorithm=algorithm, backend="openvino")
    greatest = max(float(one.abs().max()) for one in data)
    beyond = 0.5 / 2048 if algorithm.startswith("entropy") else 0.0  # TensorRT's half a bin
    assert 0.3 * greatest < cache["x"] <= greatest * (1 + beyond)


def test_what_is_skipped_stays_in_float(net: Any) -> None:
    calibrator = Calibrator(_data(), skip=["head*"])
    forward.build(net, _data(1)[0], mode="int8", backend="openvino", calibrator=calibrator)
    assert calibrator.placement is not None
    assert any(name.startswith("first") for name in calibrator.placement.quantized)
    assert any(name.startswith("head") for name in calibrator.placement.floats)


def test_a_stream_may_end_with_none(net: Any, tmp_path: Path) -> None:
    stream = Stream([*_flat(_data(2)), None, *_flat(_data(2))])
    calibrator = forward.TrtInt8Calibrator(stream, str(tmp_path / "c"), "minmax")
    _engine(net, calibrator, "int8_calib")
    assert stream.asked == 3


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([[np.zeros(7)]], r"another number of elements(.|\n)*\[4, 8\], of batch size 4(.|\n)*7"),
        ([[np.zeros(32), np.zeros(32)]], "another number of arrays than the model has inputs"),
        ([], "there were no batches to calibrate with"),
        ([[np.full(32, np.nan)]], "'x'"),
    ],
)
def test_streams_that_do_not_fit(net: Any, tmp_path: Path, arrays: Any, text: str) -> None:
    calibrator = forward.TrtInt8Calibrator(Stream(arrays), str(tmp_path / "c"), "minmax")
    with pytest.raises(CalibrationError, match=text):
        _engine(net, calibrator)
    assert not (tmp_path / "c").exists()


def test_a_cache_of_another_model(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.cache"
    CalibrationCache({"x": 1.0, "relu_7": 2.0}, "minmax").save(path)
    with pytest.raises(CalibrationError, match="does not fit the model(.|\n)*relu_7"):
        _engine(net, forward.TrtInt8Calibrator(str(path), "minmax", 1))


def test_what_is_refused(net: Any, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="mode 'int8' needs a calibrator"):
        forward.build(net, _data(1)[0], mode="int8", backend="openvino")
    with pytest.raises(CalibrationError, match="there is no calibration cache"):
        _engine(net, forward.TrtInt8Calibrator(str(tmp_path / "none"), "minmax", 1))
    with pytest.raises(OptionError, match=r"\(cache_file, algo, batch_size\)"):
        forward.TrtInt8Calibrator(3, "x", "minmax")
    with pytest.raises(OptionError, match="argument 'calibrator'(.|\n)*TrtInt8Calibrator"):
        forward.TorchBuilder().set_calibrator("calibrator.cache")
    with pytest.raises(OptionError, match="argument 'calibrator'(.|\n)*int"):
        forward.build(net, _data(1)[0], mode="int8", calibrator=3)
    with pytest.raises(OptionError, match="a calibrator needs data, a cache or a scale file"):
        Calibrator()
    with pytest.raises(OptionError, match="skip is a list of patterns"):
        Calibrator([], skip="head")
    with pytest.raises(CalibrationError, match="there were no batches"):
        forward.calibrate(net, [])
    with pytest.raises(OptionError, match="unknown calibration algorithm 'entropi'"):
        forward.calibrate(net, _data(1), algorithm="entropi", backend="openvino")


def test_flat_arrays_of_dynamic_sizes(tmp_path: Path) -> None:
    conv = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3)).eval()
    x = torch.randn(1, 1, 8, 8)
    calibrator = forward.TrtInt8Calibrator(
        Stream([[np.zeros(64)]], 1), str(tmp_path / "c"), "minmax"
    )
    with pytest.raises(CalibrationError, match="dynamic sizes, which a flat array does not tell"):
        forward.build(
            conv,
            x,
            mode="int8",
            backend="openvino",
            dynamic={"input": {2: ("h", 8, 8, 16)}},
            calibrator=calibrator,
        )


def test_a_stream_says_what_is_missing() -> None:
    stream = forward.IPyBatchStream()
    for name in ("next", "getBatchSize", "size", "bytesPerBatch", "getNumpyBatch"):
        with pytest.raises(NotImplementedError, match=name):
            getattr(stream, name)()


def test_an_engine_with_its_graph_is_compiled_again_without_data(net: Any, tmp_path: Path) -> None:
    x = _data(1)[0]
    engine = forward.build(
        net, x, mode="int8", backend="openvino", calibrator=_data(), embed_graph=True
    )
    engine.save(tmp_path / "net.engine")
    graph = forward.load(tmp_path / "net.engine").engine.graph
    assert graph is not None
    kinds = [node.op.kind() for node in graph]
    assert kinds.count("fwd.Quantize") == 2
    again = Builder(backend="openvino", mode="int8").compile(graph)
    torch.testing.assert_close(torch.from_numpy(again.run_list([x.numpy()])[0]), engine(x))


class Trained(torch.nn.Module):
    """As quantization-aware training leaves a model."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 8))

    def forward(self, x: Any) -> Any:
        scales, zeros = self.weight.detach().abs().amax(1) / 127, torch.zeros(4, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(self.weight, scales, zeros, 0, -127, 127)
        x = torch.fake_quantize_per_tensor_affine(x, 0.03, 0, -128, 127)
        return torch.nn.functional.linear(x, weight)


def test_a_model_trained_in_int8_needs_no_calibration() -> None:
    torch.manual_seed(2)
    model, x = Trained().eval(), _data(1)[0]
    engine = forward.build(model, x, mode="int8", backend="openvino")
    torch.testing.assert_close(engine(x), model(x), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("skip", ["first", "head"])
def test_narrow_products_beside_ones_in_float(net: Any, skip: str) -> None:
    calibrator = Calibrator(_data(), algorithm="minmax", skip=[skip])
    x = _data(1)[0]
    engine = forward.build(net, x, mode="int8", backend="openvino", calibrator=calibrator)
    wanted = net(x)
    noise = (engine(x) - wanted).square().sum() / wanted.square().sum()
    assert 0 < noise < 1e-3


def test_a_calibrator_in_another_mode_is_refused(net: Any) -> None:
    with pytest.raises(OptionError) as told:
        forward.build(net, _data(1)[0], backend="openvino", calibrator=_data())
    assert "mode 'float32' computes in floats and needs no calibrator" in str(told.value)
    assert "expected: mode='int8', or 'int8_calib' to write a cache" in str(told.value)


def test_a_cache_that_is_there_is_told_where_one_was_to_be_written(
    net: Any, tmp_path: Path
) -> None:
    calibrator = Calibrator(_data(), cache=tmp_path / "net.cache")
    forward.build(net, _data(1)[0], mode="int8_calib", backend="openvino", calibrator=calibrator)
    with pytest.warns(
        ForwardWarning, match="net.cache is there and is used as it is: delete it"
    ) as told:
        forward.build(
            net, _data(1)[0], mode="int8_calib", backend="openvino", calibrator=calibrator
        )
    assert told[0].filename == __file__, "the user's line, not Forward's"


def test_batches_alone_are_no_calibrator_of_a_builder() -> None:
    with pytest.raises(OptionError) as told:
        Builder(calibrator=_data())  # type: ignore[arg-type]
    assert str(told.value) == (
        "argument 'calibrator'\n  expected: a Calibrator\n  got:      list\n"
        "  Hint: Calibrator(batches), of fwd_core.quantize"
    )
