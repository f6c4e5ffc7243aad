"""What the tests of int8 on a GPU rest on, as far as it goes without one."""

from __future__ import annotations

from pathlib import Path

import gpu_int8
import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

import tensorrt_ranges
from tensorrt_ranges import Calibrating, table, told

from benchmarks.gpu import calibrators
from benchmarks.gpu.build import library
from fwd_core import Builder, Plugins, core_pack
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.errors import BuildError
from fwd_core.ir.serialize import save
from fwd_core.quantize import CalibrationCache, Calibrator, Histogram
from fwd_core.quantize.placement import quantizable

CACHE = Path(gpu_int8.__file__).parents[1] / "gpu" / "small.cache"


@pytest.mark.filterwarnings("ignore:.*fewer than 10000 values")
def test_the_cache_that_is_kept_is_what_openvino_finds() -> None:
    pytest.importorskip("openvino")
    builder = Builder(backend="openvino", plugins=Plugins({"core": core_pack}))
    calibrator = Calibrator(gpu_int8.images(), algorithm="entropy_2")
    found = calibrator.calibrate(gpu_int8.small(), builder)
    kept = CalibrationCache.load(CACHE)
    assert list(kept) == list(found) == quantizable(gpu_int8.small())
    for name, amax in found.items():
        assert kept[name] == pytest.approx(amax, rel=0.02), name
    by_hand = CalibrationCache.load_scales(CACHE.with_suffix(".scales"))
    assert list(by_hand) == list(kept)


def test_tensors_of_the_network_have_the_names_that_ranges_have(tmp_path: Path) -> None:
    file = tmp_path / "small.graph"
    save(gpu_int8.small(), file)
    chosen = library()
    with listen(chosen.trt) as record:
        builder = chosen.trt.Builder(logger(chosen.trt))
        network = tensorrt_ranges.network_of(chosen, builder, record, file).network
        layers = [network.get_layer(index) for index in range(network.num_layers)]
        names = {network.get_input(index).name for index in range(network.num_inputs)}
        names |= {one.get_output(i).name for one in layers for i in range(one.num_outputs)}
    assert set(quantizable(gpu_int8.small())) <= names


def test_ranges_are_compared_by_name(tmp_path: Path) -> None:
    ours = {"a": 1.0, "b": 2.2, "c": 3.0, "d": 1.0}
    rows = table(ours, {"a": 1.04, "b": 2.0, "d": 1.0, "e": 9.0}, ["a", "b", "c"])
    assert [(row.name, row.close) for row in rows] == [
        *(("a", True), ("b", False), ("c", False), ("d", True))
    ]
    found = told("minmax", rows)
    assert found["close of quantized"] == pytest.approx(1 / 3)
    assert found["close of all"] == pytest.approx(2 / 3)
    assert found["missing"] == ["c"]
    histogram = Histogram("a")
    histogram.update(np.array([0.0, 0.25, -1.0], np.float32))
    tensorrt_ranges.keep({"a": histogram}, tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz") as kept:
        assert (kept["counts"].sum(), kept["zeros"], kept["maximum"]) == (2, [1], [1.0])


def test_a_process_that_cannot_calibrate_says_why(tmp_path: Path) -> None:
    file, arrays = tmp_path / "small.graph", tmp_path / "images.npz"
    save(gpu_int8.small(1), file)
    np.savez(arrays, image=np.concatenate(gpu_int8.images(1)))
    started = Calibrating.started(file, arrays, "entropy_2", tmp_path)
    with pytest.raises(AssertionError, match=r"(?s)exit code 1:.*has no IInt8EntropyCalibrator2"):
        started.found(120)


def test_a_flavour_without_calibrators_is_refused(tmp_path: Path) -> None:
    trt = library().trt
    with pytest.raises(BuildError, match=r"has no IInt8MinMaxCalibrator"):
        calibrators.attach(trt, None, None, [], tmp_path / "x", algorithm="minmax")
