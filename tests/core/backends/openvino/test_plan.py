"""Engine files of the OpenVINO backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import MODES, half_type
from on_openvino import PLUGINS, assert_same, graph_of

from fwd_core import Builder, Engine
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.backends.openvino.plan import require_machine
from fwd_core.errors import EngineFileError
from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol

openvino = pytest.importorskip("openvino")

B = symbol("b", 1, 2, 8)


def several(graph: Graph, x: Value, ids: Value, unused: Value) -> list[Value]:
    """Every kind of port, so that their order and origin must survive the file."""
    table = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    y = graph.add(ops.Add(x, graph.add(ops.Gather(graph.constant(table), ids, 0))))
    return [x, y, graph.constant(np.arange(3)), y, ids, graph.add(ops.Relu(x))]


def engine_of(mode: str = "float32", *, embed_graph: bool = False, **options: object) -> Engine:
    graph = graph_of(
        several,
        [
            TensorType(DType.FLOAT32, (B, 4)),
            TensorType(DType.INT64, (B,)),
            TensorType(DType.BOOL, (3,)),
        ],
    )
    return Builder(
        backend="openvino", mode=mode, options=options, embed_graph=embed_graph, plugins=PLUGINS
    ).compile(graph)


def feeds(size: int) -> dict[str, Any]:
    rng = np.random.default_rng(size)
    return {
        "x0": rng.normal(size=(size, 4)).astype(np.float32),
        "x1": rng.integers(0, 10, size),
        "x2": np.zeros(3, bool),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"hint": "throughput"}, {"threads": 1}], ids=str)
def test_round_trip(mode: str, options: dict[str, Any], tmp_path: Path) -> None:
    engine = engine_of(mode, **options)
    engine.save(tmp_path / "model.engine")
    loaded = Engine.load(tmp_path / "model.engine", plugins=PLUGINS)
    assert loaded.manifest == engine.manifest
    assert loaded.inputs == engine.inputs
    assert loaded.outputs == engine.outputs
    assert loaded.contexts.limit == engine.contexts.limit
    for size in (2, 8, 1):
        before, after = engine.run(feeds(size)), loaded.run(feeds(size))
        for name, array in before.items():
            assert_same(after[name], array)
    plan: Any = loaded.plan
    for key in ("INFERENCE_PRECISION_HINT", "PERFORMANCE_HINT", "INFERENCE_NUM_THREADS"):
        original: Any = engine.plan
        assert str(plan.compiled.get_property(key)) == str(original.compiled.get_property(key))
    loaded.save(tmp_path / "again.engine")
    assert (tmp_path / "again.engine").read_bytes() == (tmp_path / "model.engine").read_bytes()


def test_the_export_is_made_when_asked_for_and_not_kept() -> None:
    plan = engine_of().plan
    first, second = plan.payload(), plan.payload()
    assert isinstance(first, memoryview)
    assert first.nbytes > 1000
    assert first is not second
    read = OpenVINOBackend().read_plan(plan.manifest, first)
    assert read.payload() is first


def test_manifest() -> None:
    manifest = engine_of("float32", hint="throughput", threads=2).manifest
    assert manifest["openvino"] == openvino.get_version()
    assert manifest["device"] == openvino.Core().get_property("CPU", "FULL_DEVICE_NAME").strip()
    assert manifest["compute"] == "float32"
    assert manifest["properties"] == {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": 2,
    }
    assert manifest["ports"] == {
        "outputs": [
            ["input", 0],
            ["result", 0],
            ["result", 1],
            ["result", 0],
            ["input", 1],
            ["result", 2],
        ],
        "passed": [],
        "narrowed": [1],
    }


DIFFERENCES = [
    ("openvino", "2024.0.0", "another version of OpenVINO"),
    ("device", "Another CPU @ 1 GHz", "another CPU"),
    ("capabilities", ["FP32"], "a CPU with other instructions"),
]


@pytest.mark.parametrize(("key", "value", "title"), DIFFERENCES)
def test_another_machine_is_refused(key: str, value: object, title: str) -> None:
    engine = engine_of()
    manifest = {**engine.plan.manifest, key: value}
    shown = str(value).replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(
        EngineFileError,
        match=rf"compiled for {title}\n(.|\n)*expected:(.|\n)*got:      {shown}\n"
        r"(.|\n)*Engine.load\(path, rebuild=True\)",
    ):
        OpenVINOBackend().read_plan(manifest, memoryview(engine.plan.payload()))


def test_a_manifest_without_the_entry_is_refused() -> None:
    here = {"openvino": "1", "device": "x", "capabilities": []}
    with pytest.raises(EngineFileError, match="got:      nothing"):
        require_machine({}, here)
    require_machine(here, here)


def altered(path: Path, target: Path) -> None:
    """The same engine, said to be of another version of OpenVINO."""
    from fwd_core import files
    from fwd_core.engine.file import FORMAT, VERSION

    document, tensors = files.read(path, format=FORMAT, version=VERSION)
    document["plan"]["openvino"] = "2024.0.0"
    content = {key: value for key, value in document.items() if key not in ("format", "version")}
    files.write(target, content, tensors, format=FORMAT, version=VERSION)


def test_rebuild_from_the_graph_that_the_file_holds(tmp_path: Path) -> None:
    engine = engine_of("float16" if half_type() else "float32", embed_graph=True, hint="throughput")
    engine.save(tmp_path / "model.engine")
    altered(tmp_path / "model.engine", tmp_path / "other.engine")
    with pytest.raises(EngineFileError, match=r"another version of OpenVINO\n(.|\n)*other.engine"):
        Engine.load(tmp_path / "other.engine", plugins=PLUGINS)
    rebuilt = Engine.load(tmp_path / "other.engine", plugins=PLUGINS, rebuild=True)
    assert rebuilt.manifest == engine.manifest
    for name, array in engine.run(feeds(3)).items():
        assert_same(rebuilt.run(feeds(3))[name], array)


def test_rebuild_without_a_graph_is_refused(tmp_path: Path) -> None:
    engine_of().save(tmp_path / "model.engine")
    altered(tmp_path / "model.engine", tmp_path / "other.engine")
    with pytest.raises(EngineFileError, match="another version of OpenVINO"):
        Engine.load(tmp_path / "other.engine", plugins=PLUGINS, rebuild=True)


@pytest.mark.parametrize("damage", ["empty", "short", "first half", "noise", "header"])
def test_damaged_exports_are_errors(damage: str) -> None:
    engine = engine_of()
    blob = bytes(engine.plan.payload())
    bad = {
        "empty": b"",
        "short": blob[:-10],
        "first half": blob[: len(blob) // 2],
        "noise": bytes(range(256)) * 8,
        "header": bytes(64) + blob[64:],
    }[damage]
    with pytest.raises(
        EngineFileError,
        match=rf"(?s)cannot read its own export.*{len(bad)} bytes.*build the engine",
    ):
        OpenVINOBackend().read_plan(engine.plan.manifest, memoryview(bad))
