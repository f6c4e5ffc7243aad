"""What the decorator makes of a class."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Optional

import pytest

from fwd_core.ir import DType, Graph, Operator, TensorType, Value, operator, ops
from fwd_core.ir.operator import OperandField
from fwd_core.ir.ops import FAMILIES, core_operators


@operator
class Mixed(Operator, namespace="demo"):
    """One of each kind of field."""

    x: Value
    rest: tuple[Value, ...]
    bias: Value | None = None
    old: Optional[Value] = None
    size: int = 3
    label: str | None = None

    def infer(self) -> TensorType:
        return self.x.type


def _graph() -> tuple[Graph, Value, Value]:
    graph = Graph()
    kind = TensorType(DType.FLOAT32, (2,))
    return graph, graph.add_input("a", kind), graph.add_input("b", kind)


def test_fields_are_sorted_into_operands_and_attributes() -> None:
    assert Mixed.operand_fields() == (
        OperandField("x", "one"),
        OperandField("rest", "many"),
        OperandField("bias", "optional"),
        OperandField("old", "optional"),
    )
    assert Mixed.attribute_fields() == ("size", "label")
    assert Mixed.kind() == "demo.Mixed"


def test_operands_leave_out_absent_ones() -> None:
    _, a, b = _graph()
    assert list(Mixed(a, (b, a)).operands()) == [a, b, a]
    assert list(Mixed(a, (), bias=b).operands()) == [a, b]
    assert Mixed(a, (), size=4).attributes() == {"size": 4, "label": None}


def test_map_operands_changes_each_use() -> None:
    _, a, b = _graph()
    changed = Mixed(a, (a, b), bias=a).map_operands(lambda value: b if value is a else value)
    assert list(changed.operands()) == [b, b, b, b]
    assert changed.attributes() == {"size": 3, "label": None}


def test_operators_are_frozen_and_compare_by_identity() -> None:
    _, a, b = _graph()
    one, other = Mixed(a, (b,)), Mixed(a, (b,))
    assert one != other
    assert len({one, other}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.size = 5  # type: ignore[misc]


def test_a_docstring_is_demanded() -> None:
    with pytest.raises(TypeError, match="operator Silent needs a docstring: meaning, shapes"):

        @operator
        class Silent(Operator):
            x: Value


def test_names_of_the_base_are_taken() -> None:
    with pytest.raises(TypeError, match="operator Shadow: fields may not be called kind, operand"):

        @operator
        class Shadow(Operator):
            """Two bad names."""

            operands: int  # type: ignore[assignment]
            kind: str  # type: ignore[assignment]


def test_other_containers_of_values_are_refused() -> None:
    @operator
    class Listed(Operator):
        """A list of operands."""

        xs: list[Value]

    with pytest.raises(TypeError, match=r"Listed.xs: operands are Value, Value \| None or tuple"):
        Listed.operand_fields()


def test_annotations_must_be_there_at_run_time() -> None:
    if TYPE_CHECKING:
        from pathlib import Path

    @operator
    class Lazy(Operator):
        """Its annotation is known to type checkers only."""

        where: Path

    with pytest.raises(TypeError, match="operator Lazy: name 'Path' is not defined; what fields"):
        Lazy.attribute_fields()


def test_infer_must_be_written() -> None:
    @operator
    class Vague(Operator):
        """Says nothing of its types."""

    with pytest.raises(NotImplementedError, match=r"fwd.Vague has no infer\(\)"):
        Vague().infer()


def test_namespaces_are_inherited() -> None:
    class Base(Operator, namespace="mine"):
        pass

    @operator
    class Leaf(Base):
        """In the namespace of its base."""

    assert Leaf.kind() == "mine.Leaf"
    assert Operator.namespace == "fwd"


class TestCoreOperators:
    def test_are_concrete_documented_and_unique(self) -> None:
        found = core_operators()
        assert len(found) > 60
        kinds = [cls.kind() for cls in found]
        assert len(set(kinds)) == len(kinds)
        for cls in found:
            assert not cls.abstract
            assert cls.__doc__
            assert "infer" in dir(cls)
            cls.operand_fields()

    def test_are_exported_by_name(self) -> None:
        for cls in core_operators():
            assert getattr(ops, cls.__name__) is cls

    def test_bases_are_left_out(self) -> None:
        bases = {
            member
            for family in FAMILIES
            for member in vars(family).values()
            if isinstance(member, type) and issubclass(member, Operator) and member.abstract
        }
        assert len(bases) > 5
        assert not bases & set(core_operators())

    def test_survive_without_docstrings(self) -> None:
        code = "from fwd_core.ir.ops import core_operators; print(len(core_operators()))"
        done = subprocess.run(
            [sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True
        )
        assert int(done.stdout) == len(core_operators())
