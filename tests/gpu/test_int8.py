"""Int8 on a GPU: engines, ranges beside TensorRT's own, files, and networks trained for it.

Files come from ``python -m benchmarks.gpu.prepare FOLDER --only resnet50 --batch 1 --int8`` and
``python tests/helpers/gpu_int8.py FOLDER``, which need torch; ``FORWARD_GPU_INT8=FOLDER`` names
them here. Without it they are made where torch is. ``FORWARD_GPU_RANGES=FOLDER`` keeps the tables
of ranges and our histograms. ``FORWARD_GPU_LEVEL`` is the optimization level.
``FORWARD_INT8_BACKEND=openvino`` goes the same ways without a GPU, but for what TensorRT tells.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_int8
import numpy as np
import pytest
import tensorrt_ranges
from emulated_pairs import emulated
from quantized_graphs import GRAPHS
from tensorrt_ranges import CLOSE, Calibrating

from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.looks import products
from benchmarks.gpu.packs import plugins
from fwd_core import Builder, Engine, Plugins, core_pack
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.ir import DType, Graph
from fwd_core.ir.serialize import copied, load
from fwd_core.quantize import CalibrationCache, Calibrator, Histogram, algorithm_of
from fwd_core.quantize.calibrate import DEFAULT_ALGORITHM
from fwd_core.quantize.collect import watch
from fwd_core.quantize.placement import quantizable

BACKEND = os.environ.get("FORWARD_INT8_BACKEND", "tensorrt")
PACKS = plugins()
AVAILABLE = PACKS.backends[BACKEND].availability()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not AVAILABLE.run, reason=AVAILABLE.reason or "it runs"),
    pytest.mark.filterwarnings("ignore::fwd_core.errors.ForwardWarning"),  # of files for times
]
ON_TENSORRT = pytest.mark.skipif(BACKEND != "tensorrt", reason="only TensorRT tells")
ALGORITHMS = ("entropy_2", "entropy", "minmax")
#: Images that ranges are compared on, and seconds that TensorRT's calibrators may take.
IMAGES, PATIENCE = 32, 400
ROOT = Path(__file__).parents[2]
#: What the second of ResNet-50's four stages gives.
#: dB that TensorRT's own calibrator comes to on the same network (docs/benchmarks/gpu.md).
LEAST_SQNR = 16.0
HALF_OF_RESNET = "encoder.stages.1.layers.3.activation/relu"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("FORWARD_GPU_INT8"):
        return Path(named)
    pytest.importorskip("torch")
    made = tmp_path_factory.mktemp("int8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    steps: list[list[str]] = [["-m", "benchmarks.gpu.prepare", str(made), "--only", "resnet50"]]
    steps[0] += ["--batch", "1", "--int8", "--images", str(IMAGES)]
    steps += [[str(gpu_int8.__file__), str(made)]]
    for step in steps:  # in processes of their own: torch brings a CUDA of its own
        subprocess.run([sys.executable, *step], check=True, cwd=ROOT, env=environment)
    return made


@pytest.fixture(scope="session")
def case(folder: Path) -> Case:
    return Case(folder, "resnet50", 1, int8=True)


@dataclass(frozen=True)
class Ranges:
    """What Forward saw of every tensor, and TensorRT's calibrators at work."""

    graph: Graph
    histograms: Mapping[str, Histogram]
    theirs: Mapping[str, Calibrating]

    def ours(self, algorithm: str) -> CalibrationCache:
        """Ranges of all tensors."""
        chosen = algorithm_of(PACKS, algorithm)
        found = {name: chosen.amax(one) for name, one in self.histograms.items()}
        return CalibrationCache(found, algorithm)

    @property
    def quantized(self) -> list[str]:
        """Tensors whose ranges int8 needs."""
        return quantizable(self.graph)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("FORWARD_GPU_RANGES")
    made = Path(named) if named else tmp_path_factory.mktemp("ranges")
    made.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture(scope="session")
def theirs(
    case: Case, kept: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Calibrating]]:
    """TensorRT's calibrators, each in a process."""
    if BACKEND != "tensorrt":
        yield {}
        return
    graph, data = load(case.calibration_graph, PACKS.operators), case.calibration(1)[:IMAGES]
    names = [value.name for value in graph.inputs]
    arrays = tmp_path_factory.mktemp("data") / "images.npz"
    whole = {name: np.concatenate([one[i] for one in data]) for i, name in enumerate(names)}
    np.savez(arrays, **whole)  # type: ignore[arg-type]
    started: dict[str, Calibrating] = {}
    try:
        for one in ALGORITHMS:
            started[one] = Calibrating.started(case.calibration_graph, arrays, one, kept)
        yield started
    finally:
        for running in started.values():
            running.process.kill()


@pytest.fixture(scope="session", autouse=True)
def early(request: pytest.FixtureRequest) -> None:
    """Let TensorRT's calibrators begin before the first test: they take minutes."""
    if any("theirs" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("theirs")


@pytest.fixture(scope="session")
def ranges(case: Case, kept: Path, theirs: dict[str, Calibrating]) -> Ranges:
    graph, data = load(case.calibration_graph, PACKS.operators), case.calibration(1)[:IMAGES]
    floats = [
        value.name
        for value in graph.values()
        if value.constant is None and value.type.dtype is DType.FLOAT32
    ]
    histograms = {name: Histogram(name) for name in floats}

    def look(name: str, array: Any) -> None:
        histograms[name].update(array)

    builder = _builder("float32", optimization_level=0)
    watch(graph, floats, data, builder, look, phase="look", detail="", to="to look at")
    tensorrt_ranges.keep(histograms, kept / "histograms.npz")
    return Ranges(graph, histograms, theirs)


def _builder(mode: str, calibrator: Calibrator | None = None, **options: Any) -> Builder:
    if BACKEND != "tensorrt":
        options = {}
    elif level := os.environ.get("FORWARD_GPU_LEVEL"):
        options = {"optimization_level": int(level), **options}
    return Builder(
        backend=BACKEND, mode=mode, plugins=PACKS, options=options, calibrator=calibrator
    )


def _compile(graph: Graph, mode: str, calibrator: Calibrator | None = None) -> Engine:
    layers = {"layers": True} if mode == "int8" else {}
    return _builder(mode, calibrator, **layers).compile(graph)


def _assert_of_integers(engine: Engine, least: float = 0.8) -> None:
    """Most products that TensorRT tells of multiply integers."""
    if BACKEND != "tensorrt":
        return
    found = products([CompiledLayer.from_json(one) for one in engine.manifest["layers"]])
    print(found)
    counts = found["products"]
    assert counts, found
    assert counts.get("Int8", 0) >= least * sum(counts.values()), found


def _assert_near(engine: Engine, exact: Engine, least: float = 0.99) -> None:
    """Results are near those of float32."""
    for image in gpu_int8.images(3):
        found = accuracy(engine.run_list([image]), exact.run_list([image]))
        print(found)
        assert found["cosine"] >= least


@pytest.fixture(scope="session")
def exact() -> Iterator[Engine]:
    with _compile(gpu_int8.small(), "float32") as engine:
        yield engine


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_small_network_is_calibrated_here(algorithm: str, exact: Engine) -> None:
    calibrator = Calibrator(gpu_int8.images(), algorithm=algorithm)
    with _compile(gpu_int8.small(), "int8", calibrator) as engine:
        _assert_near(engine, exact)
        _assert_of_integers(engine)


@pytest.mark.parametrize("file", ["small.cache", "small.scales"])
def test_files_mean_what_they_mean_elsewhere(file: str, exact: Engine) -> None:
    """A cache that was calibrated on OpenVINO, and ranges that were set by hand."""
    path = Path(__file__).with_name(file)
    given = {"cache": path} if file.endswith("cache") else {"scales": path}
    with _compile(gpu_int8.small(), "int8", Calibrator(**given)) as engine:  # type: ignore[arg-type]
        _assert_near(engine, exact)
        _assert_of_integers(engine)


@pytest.mark.parametrize("name", GRAPHS)
def test_pairs_of_a_graph(name: str) -> None:
    """Integers beside half give what integers beside float32 give."""
    make, _ = GRAPHS[name]
    with _compile(make(), "int8") as engine, _compile(make(), "float32") as single:
        port = engine.inputs[0]
        x = np.random.default_rng(4).standard_normal(port.type.static_shape(), np.float32)
        found = accuracy(engine.run_list([x]), single.run_list([x]))
        layers = engine.manifest.get("layers", ())
    print(name, found, products([CompiledLayer.from_json(one) for one in layers]))
    assert found["cosine"] >= 0.995


@pytest.mark.parametrize("mode", ["int8", "float32"])
def test_a_network_that_was_trained_with_quantization(mode: str, folder: Path) -> None:
    """It gives what torch gives, within one step of what it rounds to."""
    file, x, expected = gpu_int8.trained(folder)
    with _compile(load(file, PACKS.operators), mode) as engine:
        (found,) = engine.run_list([x])
        if mode == "int8":
            _assert_of_integers(engine)
    steps = (found - expected) / gpu_int8.STEP
    print(mode, "greatest difference in steps", np.abs(steps).max(), "equal", (steps == 0).mean())
    assert found.shape == expected.shape
    assert np.abs(steps).max() <= 1.1  # half has 11 bits for up to 127 steps
    assert (np.abs(steps) < 0.5).mean() >= 0.9


def _calibrated(ranges: Ranges, algorithm: str) -> Calibrator:
    ours = ranges.ours(algorithm)
    return Calibrator(cache=CalibrationCache({n: ours[n] for n in ranges.quantized}, algorithm))


def test_resnet_is_near_float32_and_of_integers(case: Case, ranges: Ranges) -> None:
    inputs, expected = case.read()
    calibrator = _calibrated(ranges, DEFAULT_ALGORITHM)
    with _compile(load(case.graph, PACKS.operators), "int8", calibrator) as engine:
        found = accuracy(engine.run_list(inputs), expected)
        print("resnet50", found)
        _assert_of_integers(engine, 0.9)
    assert found["sqnr_db"] >= LEAST_SQNR


@pytest.mark.parametrize("algorithm", ["mse", "entropy_2"])
def test_half_of_resnet_is_what_its_pairs_say(algorithm: str, case: Case, ranges: Ranges) -> None:
    """Whatever the ranges: integers give what the same rounding gives in float32.

    Of the stem and two stages, 24 convolutions: all of the network makes of a number that rounds
    the other way as much noise as int8 itself, since its weights are drawn. Of half of it that
    noise has to be less than half of what int8 takes away; on TensorRT 8, which hands tensors of
    half from kernel to kernel, about as much (26.0 dB were seen where int8 leaves 25.9).
    """
    inputs, _ = case.read()
    floats = load(case.graph, PACKS.operators)
    floats.set_outputs([floats.value(HALF_OF_RESNET)], ["half"])
    with _compile(floats, "float32") as engine:
        exact = engine.run_list(inputs)
    placed = load(case.graph, PACKS.operators)
    _calibrated(ranges, algorithm).quantize(placed, _builder("float32"))
    placed.set_outputs([placed.value(HALF_OF_RESNET)], ["half"])
    with _compile(emulated(copied(placed, PACKS.operators)), "float32") as engine:
        wanted = engine.run_list(inputs)
    with _compile(placed, "int8") as engine:
        found = accuracy(engine.run_list(inputs), wanted)
        _assert_of_integers(engine, 0.9)
    taken = accuracy(wanted, exact)
    print("resnet50", algorithm, found, "of int8", taken)
    assert found["sqnr_db"] >= taken["sqnr_db"] + (-1 if BACKEND == "tensorrt" else 3)


@ON_TENSORRT
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ranges_are_those_of_tensorrts_calibrator(algorithm: str, ranges: Ranges) -> None:
    theirs = ranges.theirs[algorithm].found(PATIENCE)
    rows = tensorrt_ranges.table(ranges.ours(algorithm), theirs, ranges.quantized)
    told = tensorrt_ranges.told(algorithm, rows)
    target = ranges.theirs[algorithm].cache.with_suffix(".json")
    target.write_text(json.dumps(told, indent=1), encoding="utf-8")
    needed = [row for row in rows if row.quantized and row.ratio is not None]
    for row in needed:
        if not row.close:
            print(f"{row.name}: ours {row.ours:.5g}, theirs {row.theirs:.5g}, {row.ratio}")
    print({key: value for key, value in told.items() if key != "tensors"})
    assert len(needed) >= 0.9 * len(ranges.quantized), sorted(set(theirs) - set(ranges.histograms))
    assert told["close of quantized"] >= 0.9, f"within {CLOSE:.0%}"


def test_modes_are_measured_beside_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of ``fwd bench --modes``, of the program itself."""
    pytest.importorskip("typer")
    import toy_program

    monkeypatch.chdir(tmp_path)
    toy_program.model(tmp_path, [["linear", 6], ["relu"], ["linear", 3]])
    np.save("x.npy", np.random.default_rng(5).random((64, 4), np.float32))
    packs = Plugins({"core": core_pack, "files": toy_program.Pack()})
    command = ["bench", "model.layers", "-i", "2x4", "--iterations", "30", "--warmup", "2"]
    command += ["--modes", "float32,float16,int8", "--backend", BACKEND, "--calibrate", "x.npy"]
    result = toy_program.fwd(*command, "--json", packs=packs)
    assert result.code == 0, result.err
    rows = {row["mode"]: row for row in result.json["modes"]}
    print(result.json["advice"], rows)
    assert set(rows) == {"float32", "float16", "int8"}
    for mode in ("float32", "int8", *(() if "reason" in rows["float16"] else ("float16",))):
        assert rows[mode]["cosine"] > 0.99
        assert rows[mode]["latency_ms"]["median"] > 0
    assert rows["int8"]["quantized"] == rows["int8"]["products"] == 2
