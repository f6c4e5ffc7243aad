"""What hooks are handed."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from toy_ops import Halves, Twice

from fwd_core import lowering
from fwd_core.errors import PluginError
from fwd_core.plugins import registers as reg


def _keys(register: reg.Register[Any]) -> list[tuple[str, str, bool]]:
    return [(entry.key, entry.owner, entry.override) for entry in register.entries]


class Named:
    """Stands for an importer, a backend, a reference or a rewrite: all have a name."""

    name = "mine"
    priority = 1


def test_operators_are_known_by_kind() -> None:
    register = reg.OperatorRegister("p")
    register.add(Halves)
    assert _keys(register) == [("toy.Halves", "p", False)]


@pytest.mark.parametrize("kind", [reg.ImporterRegister, reg.BackendRegister])
def test_named_things(kind: type[reg.ImporterRegister] | type[reg.BackendRegister]) -> None:
    register = kind("p")
    register.add(Named(), override=True)  # type: ignore[arg-type]
    assert _keys(register) == [("mine", "p", True)]


def test_references_and_rewrites() -> None:
    references, rewrites = reg.ReferenceRegister("p"), reg.RewriteRegister("p")
    references.add(Named())  # type: ignore[arg-type,unused-ignore]
    rewrite: Any = Named()
    rewrites.add(rewrite, stage="fusion")
    assert _keys(references) == _keys(rewrites) == [("mine", "p", False)]
    assert rewrites.entries[0].item == (rewrite, "fusion", None)


def test_conditions_are_for_fusions() -> None:
    rewrites = reg.RewriteRegister("p")
    rewrite: Any = Named()
    rewrites.add(rewrite, stage="fusion", when=bool)
    assert rewrites.entries[0].item.when is bool
    with pytest.raises(PluginError, match="'mine' has a condition, but stage 'clean-up' takes"):
        rewrites.add(rewrite, stage="clean-up", when=bool)
    assert len(rewrites.entries) == 1


def test_commands() -> None:
    register = reg.CommandRegister("p")
    register.add(print, name="show")
    assert _keys(register) == [("show", "p", False)]
    assert register.entries[0].item is print


def _converter() -> None: ...


setattr(_converter, reg.CONVERTER_KEYS, ("a::b", "a::b_"))


def test_converters_have_one_entry_per_key() -> None:
    register = reg.ConverterRegister("p")
    register.add(_converter)
    assert _keys(register) == [("a::b", "p", False), ("a::b_", "p", False)]
    with pytest.raises(PluginError, match="is no converter\n  Hint: decorate it with @converts"):
        register.add(print)


def test_lowerings_have_one_entry_per_operator() -> None:
    @lowering("toy", Halves, Twice, override=True)
    def function(_ctx: Any, _op: Any) -> None: ...

    register = reg.LoweringRegister("p")
    register.add(function)
    assert _keys(register) == [("toy:toy.Halves", "p", True), ("toy:toy.Twice", "p", True)]
    with pytest.raises(PluginError, match="is no lowering\n  Hint: decorate it with @lowering"):
        register.add(print)


def test_modules_give_all_that_they_define() -> None:
    @lowering("toy", Halves)
    def function(_ctx: Any, _op: Any) -> None: ...

    module = ModuleType("somewhere")
    function.__module__ = "somewhere"
    module.function = function  # type: ignore[attr-defined]
    lowerings = reg.LoweringRegister("p")
    lowerings.add_module(module)
    assert _keys(lowerings) == [("toy:toy.Halves", "p", False)]

    own = ModuleType(__name__)
    own.converter = _converter  # type: ignore[attr-defined]
    converters = reg.ConverterRegister("p")
    converters.add_module(own, override=True)
    assert _keys(converters) == [("a::b", "p", True), ("a::b_", "p", True)]
