"""Converters are checked against PyTorch's schemas when they are registered."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fwd_core import Plugins, hookimpl
from fwd_core.errors import PluginError
from fwd_core.ir import Value, ops
from fwd_ops_torch.converting import ConversionContext, converts, schemas
from fwd_ops_torch.converting.table import ConverterTable, converted_overloads


def table(*converters: Any, override: bool = False) -> ConverterTable:
    """A table of converters that one pack registers."""

    class Pack:
        @hookimpl
        def fwd_register_converters(self, register: Any) -> None:
            for converter in converters:
                register.add(converter, override=override)

    plugins = Plugins({"mine": Pack()})
    found = ConverterTable(plugins.converters)
    assert not plugins.packs["mine"].failure
    return found


def test_arguments_bind_by_name_and_the_first_by_position() -> None:
    @converts("aten::leaky_relu")
    def leaky(ctx: ConversionContext, anything: Value, negative_slope: float = 0.01) -> Value:
        return ctx.emit(ops.LeakyRelu(anything, negative_slope))

    converter = table(leaky)["aten::leaky_relu"]
    (schema,) = converted_overloads("aten::leaky_relu")
    names = [converter.parameter_for(schema, argument) for argument in schema.arguments]
    assert names == ["anything", "negative_slope"]
    assert converter.owner == "mine"


def test_an_argument_that_is_left_out_is_refused() -> None:
    @converts("aten::leaky_relu")
    def leaky(ctx: ConversionContext, x: Value) -> Value:
        return x

    with pytest.raises(PluginError, match="leaves out argument 'negative_slope'") as caught:
        table(leaky)
    text = str(caught.value)
    assert "converter 'leaky' of pack 'mine'" in text
    assert "aten::leaky_relu(Tensor self" in text
    assert "no_effect= or unsupported=" in text


def test_an_argument_may_be_left_out_with_a_reason() -> None:
    @converts("aten::leaky_relu", unsupported={"negative_slope": "only the default"})
    def leaky(ctx: ConversionContext, x: Value) -> Value:
        return x

    mark = table(leaky)["aten::leaky_relu"].mark
    assert mark.unsupported == {"negative_slope": "only the default"}


def test_a_parameter_that_no_overload_has_is_refused() -> None:
    @converts("aten::relu")
    def relu(ctx: ConversionContext, x: Value, slope: float = 0.0) -> Value:
        return x

    with pytest.raises(PluginError, match="that no overload of its operators has: slope"):
        table(relu)


def test_keys_have_a_namespace() -> None:
    with pytest.raises(ValueError, match="converter key 'relu' is not of the form"):
        converts("relu")


def test_operators_that_are_not_loaded_are_not_checked() -> None:
    @converts("not_loaded::operator")
    def later(ctx: ConversionContext, x: Value, turns: int) -> Value:
        return x

    assert "not_loaded::operator" in table(later)


def test_a_function_without_keys_is_refused() -> None:
    class Pack:
        @hookimpl
        def fwd_register_converters(self, register: Any) -> None:
            register.add(lambda ctx, x: x)

    plugins = Plugins({"mine": Pack()})
    assert len(plugins.converters) == 0
    assert "is no converter" in plugins.packs["mine"].failure


def test_schemas_say_what_torch_says() -> None:
    (schema,) = [s for s in schemas.overloads("aten::add_") if s.overload == "Tensor"]
    assert schema.written is not None
    assert schema.written.name == "self"
    assert [a.name for a in schema.arguments] == ["self", "other", "alpha"]
    assert schema.arguments[2].default == 1
    (to,) = [s for s in schemas.overloads("aten::to") if s.overload == "dtype"]
    assert to.arguments[1].kind == "ScalarType"
    (pool,) = [s for s in schemas.overloads("aten::avg_pool2d") if not s.has_out]
    assert (pool.arguments[1].is_list, pool.arguments[1].length) == (True, 2)
    assert all(not s.has_out for s in converted_overloads("aten::index"))
    assert schemas.overloads("aten::no_such_operator") == []


NAMED = {
    "aten::flatten.named_out_dim(Tensor(a) self, int start_dim, str out_dim) -> Tensor(a)": True,
    "aten::sum.dim_DimnameList(Tensor self, str[1] dim, bool keepdim=False) -> Tensor": True,
    "aten::full.names(int[] size, Scalar value, *, str[]? names) -> Tensor": True,
    "aten::gelu(Tensor self, *, str approximate) -> Tensor": False,
    "aten::conv1d.padding(Tensor input, Tensor weight, str padding) -> Tensor": False,
    "aten::sum.dim_IntList(Tensor self, int[1]? dim) -> Tensor": False,
}  # fmt: skip


@pytest.mark.parametrize(("text", "named"), NAMED.items(), ids=[t.split("(")[0] for t in NAMED])
def test_forms_for_named_dimensions(text: str, named: bool) -> None:
    assert schemas.parse(text).has_names is named
