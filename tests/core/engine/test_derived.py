"""Inputs that engines make themselves, and options that packs add to builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
from toy_sums import SumsPack, WithSums, sums

from fwd_core import Builder, Engine, Plugins
from fwd_core.errors import EngineFileError, InputError, OptionError, PluginError
from fwd_core.ir import Derived, DType, Graph, TensorType, ops, symbol
from fwd_core.ir.serialize import from_parts, to_parts
from fwd_core.plugins import Pack

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def _plugins(maker: Any = sums) -> Plugins:
    return Plugins({"toy": toy_backend, "sums": SumsPack(maker)})


def _graph() -> Graph:
    graph = Graph("relu")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (symbol("batch", 1, 2, 4), 3)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    return graph


def _engine(maker: Any = sums, **more: Any) -> Engine:
    options = {"with_sums": True}
    return Builder(plugins=_plugins(maker), options=options, **more).compile(_graph())


def test_callers_do_not_give_what_is_made() -> None:
    engine = _engine()
    assert [port.name for port in engine.inputs] == ["x"]
    assert [port.name for port in engine.all_inputs] == ["x", "sums"]
    wanted = X + X.sum(1, keepdims=True)
    for found in (
        engine.run({"x": X})["y"],
        engine(X),
        engine(x=X),
        engine.run_list([X])[0],
        engine.run_async({"x": X}).result()["y"],
    ):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(engine(X[:1]), wanted[:1])
    with pytest.raises(InputError, match="unknown 'sums'"):
        engine.run({"x": X, "sums": X})
    with pytest.raises(InputError, match="wrong number of inputs"):
        engine.run_list([X, X])


def test_what_is_made_can_be_asked_for() -> None:
    found = _engine().made_inputs([X])
    assert list(found) == ["sums"]
    np.testing.assert_array_equal(found["sums"], X.sum(1, keepdims=True))
    assert Builder(plugins=_plugins()).compile(_graph()).made_inputs([X]) == {}
    with pytest.raises(InputError, match="wrong number of inputs"):
        _engine().made_inputs([])


def test_the_manifest_says_what_was_asked_for_and_of_whom() -> None:
    engine = _engine()
    assert engine.manifest["build options"] == {"with_sums": True}
    assert engine.manifest["packs"] == ["sums", "toy"]
    plain = Builder(plugins=_plugins()).compile(_graph())
    assert "build options" not in plain.manifest
    np.testing.assert_array_equal(plain(X), X)


def test_values_come_as_text_from_a_command_line() -> None:
    engine = Builder(plugins=_plugins(), options={"with_sums": "true"}).compile(_graph())
    assert engine.manifest["build options"] == {"with_sums": True}
    with pytest.raises(OptionError, match=r"option 'with_sums'\n  expected: True or False"):
        Builder(plugins=_plugins(), options={"with_sums": "perhaps"}).compile(_graph())


def test_an_option_that_no_pack_has_is_refused() -> None:
    plugins = toy_backend.plugins()
    builder = Builder(plugins=plugins, options={"with_sums": True})
    with pytest.raises(OptionError) as told:
        builder.compile(_graph())
    assert str(told.value) == (
        "backend 'toy' has no option 'with_sums'\n  expected: parallel, device\n"
        "  Hint: leave it out; or if it is of a pack, pip install that (`fwd plugins` lists those "
        "here)"
    )
    plugins.packs["sums"] = Pack("sums", disabled=True)  # as FWD_DISABLE_PACKS does
    plugins.packs["lame"] = Pack("lame", failure="OSError: no library")
    with pytest.raises(OptionError) as told:
        builder.compile(_graph())
    assert str(told.value).endswith(
        "expected: parallel, device\n  pack 'lame': OSError: no library\n  Hint: leave it out; or "
        "if it is of a pack, let that in: 'sums' left out by FWD_PACKS or FWD_DISABLE_PACKS"
    )


def test_a_misspelt_option_is_told_with_the_right_one() -> None:
    with pytest.raises(OptionError) as told:
        Builder(plugins=_plugins(), options={"with_sum": True}).compile(_graph())
    assert "backend 'toy' has no option 'with_sum'" in str(told.value)
    assert "expected: parallel, device, with_sums" in str(told.value)
    assert "did you mean 'with_sums'?" in str(told.value)
    with pytest.raises(OptionError, match=r"calibrator=Calibrator\(batches, skip=...\) takes it"):
        Builder(plugins=_plugins(), options={"skip": ["y"]}).compile(_graph())


def test_files_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "sums.engine"
    _engine(embed_graph=True).save(path)
    with Engine.load(path, plugins=_plugins()) as engine:
        np.testing.assert_array_equal(engine(X), X + X.sum(1, keepdims=True))
        assert engine.derived == (Derived("toy.sums", ("x",), ("sums",)),)
    with pytest.raises(EngineFileError) as told:
        Engine.load(path, plugins=toy_backend.plugins())
    assert str(told.value).startswith("inputs sums are made by 'toy.sums', of no loaded pack")
    assert str(told.value).endswith("Hint: install pack 'sums'")


def test_a_graph_file_keeps_it() -> None:
    graph = _graph()
    WithSums().apply(graph, True)
    document, constants = to_parts(graph)
    again = from_parts(document, constants, _plugins().operators)
    assert again.derived == graph.derived


@pytest.mark.parametrize(
    ("maker", "told"),
    [
        (
            lambda x: [],
            "'toy.sums' made the wrong number of arrays\n  expected: 1: sums",
        ),
        (lambda x: x.nonsense, "input maker 'toy.sums' failed on x\n  AttributeError"),
    ],
)
def test_a_maker_that_fails_is_named(maker: Any, told: str) -> None:
    with pytest.raises(PluginError) as error:
        _engine(maker)(X)
    assert told in str(error.value)


def test_what_a_maker_makes_is_checked() -> None:
    with pytest.raises(InputError, match="'sums'"):
        _engine(lambda x: [x.sum(1, keepdims=True).astype(np.int8)])(X)
    with pytest.raises(InputError, match="sums"):
        _engine(lambda x: [x])(X)


class _Elsewhere:
    """An array of a device whose library copies it to the host when it is asked to."""

    def __init__(self, method: str) -> None:
        setattr(self, method, lambda: X)

    def __dlpack__(self) -> Any:
        raise BufferError("it is not on the host")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


@pytest.mark.parametrize("method", ["cpu", "get", "numpy"])
def test_what_makers_read_is_brought_to_the_host(method: str) -> None:
    engine = _engine()
    made = engine._derivation.complete([_Elsewhere(method)])
    np.testing.assert_array_equal(made[1], X.sum(1, keepdims=True))
    with pytest.raises(InputError, match="input 'x': this _Elsewhere cannot be read on the host"):
        engine._derivation.complete([_Elsewhere("nothing")])
