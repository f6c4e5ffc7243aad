"""Plugins of our own for TensorRT 10 and 11: their contract, fields, and what lowerings refuse.

The classes derive from those of TensorRT-RTX here, which has the same bases and no networks that
take plugins; nothing of this runs inside TensorRT.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from host_kernels import COMPILER, Held, HostDriver
from norm_cases import Case
from refusals import Operands, why

from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.errors import BuildError, OptionError
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_plugins_bert.kernels import driver, norms
from fwd_plugins_bert.ops import EmbeddingNorm, SkipNorm
from fwd_plugins_bert.tensorrt import choice, own
from fwd_plugins_bert.tensorrt.own import classes, embedding, skip_norm

trt = pytest.importorskip("tensorrt_rtx")
ELEVEN = SimpleNamespace(features=ROWS["tensorrt", "11.4.0.106"])
HALF, SINGLE = DType.FLOAT16, DType.FLOAT32
REFERENCE = "FORWARD_REFERENCE_SURFACE"
BASES = ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime")
#: Attributes that TensorRT reads and that have a value without us, or that its bases have.
LEFT = {
    "api_language", "interface_info", "destroy", "DEFAULT_FORMAT_COMBINATION_LIMIT",
    "format_combination_limit", "metadata_string", "timing_cache_id",
}  # fmt: skip
KINDS = classes.kinds(trt)
FEATURES = [("tensorrt", "10.0.1"), ("tensorrt", "10.13.3.9"), ("tensorrt", "11.4.0.106")]


def plugin(kind: Any, phase: str = "BUILD", **numbers: float) -> Any:
    """As TensorRT gets one: of a creator."""
    maker = classes.creator(trt, kind)
    given = classes.arrays(kind.FIELDS, {**kind.FIELDS, **numbers})
    fields = classes.fields(trt, given)
    return maker.create_plugin("one", fields, getattr(trt.TensorRTPhase, phase))


def described(*types: str, layout: str = "LINEAR") -> list[Any]:
    """Tensors as a plugin is asked about them."""
    found = []
    for name in types:
        one = trt.DynamicPluginTensorDesc()
        one.desc.type = getattr(trt.DataType, name)
        one.desc.format = getattr(trt.TensorFormat, layout)
        found.append(one)
    return found


def tensor(name: str, *sizes: int) -> Any:
    one = trt.PluginTensorDesc()
    one.dims, one.type = sizes, getattr(trt.DataType, name)
    return one


@pytest.mark.skipif(REFERENCE not in os.environ, reason=f"{REFERENCE} names no file")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.NAME)
@pytest.mark.parametrize("version", [version for _, version in FEATURES])
def test_all_that_a_version_calls_is_there(kind: Any, version: str) -> None:
    with open(os.environ[REFERENCE], encoding="utf-8") as stream:
        surface = json.load(stream)
    column = [surface["_versions"][one] for one in surface["_columns"]].index(version)
    made = plugin(kind)
    for base in BASES:
        members = surface[base]["members"]
        for name in (name for name, where in members.items() if where[column] == "Y"):
            assert hasattr(made, name) or name in LEFT, f"{base}.{name}"
            own_one = any(name in vars(one) for one in kind.__mro__[:2]) or name in vars(made)
            written = name.startswith(("plugin_", "num_"))
            assert own_one or written or name in LEFT, f"{base}.{name} is the base's"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.NAME)
def test_methods_take_as_many_arguments_as_the_bindings_hand_over(kind: Any) -> None:
    for base in BASES:
        for name, method in vars(getattr(trt, base)).items():
            text = (getattr(method, "__doc__", None) or "").strip().splitlines()[:1]
            if name in LEFT or name.startswith("_") or not text or "(self" not in text[0]:
                continue
            wanted = text[0].count(": ") - 1  # self has a type too
            taken = inspect.signature(getattr(kind, name)).parameters
            assert len(taken) - 1 == wanted, text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.NAME)
def test_what_is_written_makes_an_equal_plugin(kind: Any) -> None:
    numbers = {name: type(value)(3 + i) for i, (name, value) in enumerate(kind.FIELDS.items())}
    built = plugin(kind, **numbers)
    assert built.numbers == numbers
    assert (built.plugin_name, built.plugin_version) == (kind.NAME, "1")
    assert (built.plugin_namespace, built.num_outputs) == ("bert", 1)
    for capability in trt.PluginCapabilityType.__members__.values():
        assert built.get_capability_interface(capability) is built
    fields = built.get_fields_to_serialize()
    loaded = classes.creator(trt, kind).create_plugin("x", fields, trt.TensorRTPhase.RUNTIME)
    for copy in (loaded, built.clone(), loaded.attach_to_context(None)):
        assert type(copy) is kind
        assert copy is not built
        assert copy.numbers == numbers
    assert built.get_workspace_size([], []) == 0
    assert built.get_valid_tactics() == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.NAME)
def test_creators_tell_their_fields(kind: Any) -> None:
    maker = classes.creator(trt, kind)
    assert (maker.name, maker.plugin_version, maker.plugin_namespace) == (kind.NAME, "1", "bert")
    assert {field.name for field in maker.field_names} == set(kind.FIELDS)
    kinds = {int: trt.PluginFieldType.INT32, float: trt.PluginFieldType.FLOAT32}
    for field in maker.field_names:
        assert field.type == kinds[type(kind.FIELDS[field.name])]


def test_types_of_residual_sums() -> None:
    made = plugin(KINDS[0], bias=1)
    for name, other in (("FLOAT", "HALF"), ("HALF", "FLOAT")):
        assert made.get_output_data_types([getattr(trt.DataType, name)] * 5)[0].name == name
        assert made.get_output_datatypes([getattr(trt.DataType, name)] * 5)[0].name == name
        good = described(*[name] * 6)
        assert all(made.supports_format_combination(at, good, 5) for at in range(6))
        for at in range(1, 6):
            bad = described(*[name] * at, other, *[name] * (5 - at))
            assert not made.supports_format_combination(at, bad, 5)
    assert not made.supports_format_combination(0, described(*["BF16"] * 6), 5)
    assert not made.supports_format_combination(0, described(*["HALF"] * 6, layout="CHW2"), 5)


def test_types_of_int8() -> None:
    made = plugin(KINDS[0], scale=0, shift=0, step=0.5)
    assert made.get_output_data_types([trt.DataType.HALF] * 2) == [trt.DataType.INT8]
    assert made.supports_format_combination(2, described("HALF", "HALF", "INT8"), 2)
    assert not made.supports_format_combination(2, described("HALF", "HALF", "HALF"), 2)
    assert not made.supports_format_combination(1, described("HALF", "INT8", "INT8"), 2)


def test_types_of_embeddings() -> None:
    made = plugin(KINDS[1], tables=2, added=1, shift=0)
    order = ("INT32", "HALF", "INT32", "HALF", "HALF", "HALF", "HALF")
    assert made.get_output_data_types([getattr(trt.DataType, one) for one in order]) == [
        trt.DataType.HALF
    ]
    good = described(*order)
    assert all(made.supports_format_combination(at, good, 6) for at in range(7))
    for at, other in ((0, "INT64"), (1, "INT32"), (2, "HALF"), (3, "FLOAT"), (6, "FLOAT")):
        bad = described(*order[:at], other, *order[at + 1 :])
        assert not made.supports_format_combination(at, bad, 6)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if COMPILER is None:
        pytest.skip("there is no g++")
    made = HostDriver(tmp_path)
    monkeypatch.setattr(driver, "function", made.function)
    monkeypatch.setattr(driver, "launch", made.launch)


def enqueue(made: Any, case: Case, arrays: list[Any]) -> None:
    """Run a plugin on arrays of the host, as TensorRT does on those of a GPU."""
    places = [Held(array) for array in (*arrays, case.out())]
    kinds = {"float16": "HALF", "int32": "INT32", "float32": "FLOAT", "int8": "INT8"}
    *inputs, out = [tensor(kinds[str(one.array.dtype)], *one.array.shape) for one in places]
    *given, result = [one.address for one in places]
    made.on_shape_change(inputs, [out])
    made.enqueue(inputs, [out], given, [result], 0, 0)
    case.check(places[-1].array.reshape(-1, case.norm.width))


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("step", [0.0, 0.03])
def test_residual_sums_are_normalized(step: float) -> None:
    numbers = np.random.default_rng(0)
    made = plugin(KINDS[0], bias=1, scale=0, epsilon=0.5, step=step)
    norm = norms.Norm(64, True, scale=False, bias=True, int8=step > 0)
    # Shapes may change; each context has its own.
    for lead, running in (((2, 3), made), ((5,), made), ((1, 1, 4), made.attach_to_context(None))):
        x, skip = numbers.standard_normal((2, *lead, 64)).astype(np.float16)
        bias, shift = numbers.standard_normal((2, 64)).astype(np.float16)
        flat = {"x": x.reshape(-1, 64), "skip": skip.reshape(-1, 64), "bias": bias, "shift": shift}
        case = Case(norm, x.size // 64, 0.5, step or 1.0, **flat)
        enqueue(running, case, [x, skip, bias, shift])


@pytest.mark.usefixtures("host")
def test_embeddings_are_normalized() -> None:
    numbers = np.random.default_rng(0)
    made = plugin(KINDS[1], tables=2, added=2, epsilon=0.5)
    words, kinds = (numbers.standard_normal((n, 64)).astype(np.float32) for n in (100, 2))
    ids, types = (numbers.integers(0, n, (4, 8)).astype(np.int32) for n in (100, 2))
    positions, every, scale, shift = (
        numbers.standard_normal(shape).astype(np.float32) for shape in ((1, 8, 64), 64, 64, 64)
    )
    case = Case(norms.Norm(64, tables=2, added=2), 32, 0.5, scale=scale, shift=shift)
    case.tables, case.indices = [words, kinds], [ids.ravel(), types.ravel()]
    case.added = [positions[0], every[None]]
    enqueue(made, case, [ids, words, types, kinds, positions, every, scale, shift])


@pytest.mark.parametrize(("flavour", "version"), ROWS)
def test_versions_that_have_none(flavour: str, version: str) -> None:
    of, ctx = Operands(), SimpleNamespace(features=ROWS[flavour, version])
    op = SkipNorm(of.input(2, 8), of.input(2, 8), None, None, None, 1e-12)
    told = why(skip_norm.skip_norm, op, ctx)
    expected = f"{flavour} here has no plugins of version 3"
    assert told == (None if (flavour, version) in FEATURES else expected)


def test_residual_sums_that_are_left() -> None:
    def told(of: Operands, *shape: Any) -> str | None:
        op = SkipNorm(of.input(*shape), of.input(*shape), None, None, None, 0.5)
        return why(skip_norm.skip_norm, op, ELEVEN)

    assert told(Operands(), 2, 8) is None
    assert told(Operands(SINGLE), symbol("rows", 1, 2, 3), 8) is None
    assert told(Operands(DType.BFLOAT16), 2, 8) == "kernels take float32 and float16, not bfloat16"
    assert told(Operands(), 2, 40000) == "kernels take rows of 1 to 32768 features, not 40000"
    wide = symbol("width", 1, 2, 3)
    assert told(Operands(), 2, wide) == "kernels need a fixed number of features"


def test_embeddings_that_are_left() -> None:
    of, batch, length = Operands(), symbol("batch", 1, 2, 3), symbol("length", 1, 2, 3)
    ids = of.input(batch, length, dtype=DType.INT64)

    def told(*added: tuple[Any, ...], tables: int = 1) -> str | None:
        values = tuple(of.input(*shape) for shape in added)
        op = EmbeddingNorm((of.input(9, 8),) * tables, (ids,) * tables, values, None, None, 0.5)
        return why(embedding.embedding_norm, op, ELEVEN)

    assert told((length, 8), (1, length, 8), (batch, length, 8), (8,), tables=4) is None
    order = "kernels add whole rows, which come again in the same order"
    assert told((1, 1, 8), (batch, 1, 8)) == order
    assert told((length, 1)) == order
    assert told((1,)) == order
    assert told(tables=5) == "kernels add rows of 4 tables and 4 tensors"


def test_one_lowering_for_one_operator() -> None:
    assert choice.chosen({choice.VARIABLE: "own-emb, own-skip,gelu"}) == (
        "gelu", "own-skip", "own-emb",
    )  # fmt: skip
    for text in ("skip,own-skip", "all,own-emb"):
        with pytest.raises(OptionError, match="are plugins for one operator") as told:
            choice.chosen({choice.VARIABLE: text})
        assert text in str(told.value)


def test_networks_that_take_none() -> None:
    from tensorrt_networks import network

    graph = Graph()
    graph.set_outputs([graph.add(ops.Abs(graph.add_input("x", TensorType(SINGLE, (2,)))))], ["y"])
    refusal = pytest.raises(BuildError, match="tensorrt_rtx has no plugins of version 3")
    with network(graph) as ctx, refusal as told:
        ctx.plugin_v3("bert", "ForwardSkipNorm", {"epsilon": np.zeros(1, np.float32)}, [])
    assert "plugin ForwardSkipNorm of 'bert'" in str(told.value)


def test_the_pack_says_how_its_plugins_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import fwd_plugins_bert.pack
    from fwd_core import Plugins, core_pack

    providers: dict[str, Any] = {}
    monkeypatch.setattr(creators, "_PROVIDERS", providers)
    packs = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    assert set(packs.backends) >= {"openvino", "tensorrt"}
    assert packs.failures() == []
    assert providers == {"bert": own.creators}
