"""Every converter has a parity test and every operator its lowerings: a walk over the registries.

That a parity test really converts every overload, with every argument drawn, is checked at the end
of each of them (``parity_cases.covers``).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from original_names import NAMES, NO_TENSORS
from parity_cases import COVERED, plugins

from fwd_core.ir import Operator
from fwd_core.ir.ops import core_operators
from fwd_core.plugins.registers import lowering_key
from fwd_core.testing import assert_parity
from fwd_ops_torch import converters
from fwd_ops_torch.converting.table import ConverterTable, converted_overloads
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "_hooks" / "operators.json"


@pytest.fixture(scope="module")
def covered() -> dict[str, list[str]]:
    """Keys with the tests that cover them, whichever test files this run has collected."""
    COVERED.clear()
    for file in sorted(HERE.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"walk_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        if file.name != Path(__file__).name:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return COVERED


def own_keys() -> list[str]:
    entries = plugins().converters.entries()
    return [entry.key for entry in entries if entry.owner == "torch"]


def test_every_converter_has_a_parity_test(covered: dict[str, list[str]]) -> None:
    keys = own_keys()
    assert len(keys) > 150
    assert sorted(set(keys) - set(covered)) == []


def test_every_parity_test_is_of_a_converter(covered: dict[str, list[str]]) -> None:
    assert sorted(set(covered) - set(own_keys())) == []


def test_all_that_the_original_converted_is_covered(covered: dict[str, list[str]]) -> None:
    assert len(set(NAMES)) == 136
    assert sorted({*NAMES} - {*covered}) == sorted(NO_TENSORS)


@pytest.mark.parametrize("name", NO_TENSORS)
def test_what_computes_no_tensor_is_evaluated(name: str) -> None:
    module = module_from_source(NO_TENSORS[name], "x")
    assert f"{name}(" in str(jit.script(module).inlined_graph)
    x = torch.arange(24.0).reshape(4, 6).numpy()
    parity = assert_parity(module, x, forms=["scripted"], plugins=plugins())
    assert parity.ran == ["openvino"]


def test_the_operator_table_tells_what_was_proved() -> None:
    rows: dict[str, dict[str, list[str]]] = json.loads(TABLE.read_text())
    advice = "nox -s operator-table -- tests/parity/test_FAMILY.py adds rows; remove old ones"
    assert sorted(set(own_keys()) ^ set(rows)) == [], advice
    for key, row in rows.items():
        assert row["backends"] == ["openvino", "tensorrt"], key
        assert row["dtypes"] or not takes_tensors(key), key


def takes_tensors(key: str) -> bool:
    return any(argument.is_tensor for one in converted_overloads(key) for argument in one.arguments)


def test_every_family_has_a_test_file() -> None:
    families = {module.__name__.rsplit(".", 1)[1] for module in converters.FAMILIES}
    assert len(families) >= 10
    assert {f"test_{family}.py" for family in families} <= {file.name for file in HERE.iterdir()}


def test_every_argument_is_a_parameter_or_declared() -> None:
    table, looked_at = ConverterTable.of(plugins()), 0
    for key in own_keys():
        converter = table[key]
        reasons = {**converter.mark.no_effect, **converter.mark.unsupported}
        assert all(reason.strip() for reason in reasons.values()), key
        for schema in converted_overloads(key):
            for argument in schema.arguments:
                looked_at += 1
                taken = converter.parameter_for(schema, argument)
                assert taken or argument.name in reasons, f"{schema.text}: {argument.name}"
    assert looked_at > 400


@pytest.mark.parametrize("backend", ["openvino", "tensorrt"])
def test_every_operator_has_a_lowering_or_decomposes(backend: str) -> None:
    operators, lowerings = core_operators(), plugins().lowerings
    assert len(operators) > 60
    missing = [
        op.kind()
        for op in operators
        if lowering_key(backend, op) not in lowerings and op.decompose is Operator.decompose
    ]
    assert missing == []
