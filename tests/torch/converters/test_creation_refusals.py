"""What converters of several tensors, bits and made tensors refuse, and in what words.

Every operator of torch that draws random numbers is named, with a way round.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import DynamicDims
from fwd_core.ir import Location
from fwd_core.plugins import Plugins
from fwd_ops_torch.converting.table import ConverterTable
from fwd_ops_torch.importers.problems import Problems
from fwd_ops_torch.testing import module_from_source

F32, I64, BOOL = torch.float32, torch.int64, torch.bool


def of(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "bits of floats": (
        "torch.bitwise_and(x, x)",
        [of(2)],
        "bitwise_and: not for float32.*integers or",
    ),
    "shifts of floats": (
        "x << 1",
        [of(2)],
        "not for float32.*expected: integers.*cast the operands",
    ),
    "shifts of bool": (
        "torch.bitwise_left_shift(x, x)",
        [of(2, dtype=BOOL)],
        "shift: not for bool",
    ),
    "fmod of bool": ("torch.fmod(x, x)", [of(2, dtype=BOOL)], "fmod: not for bool"),
    "hypot of integers": ("torch.hypot(x, x)", [of(2, dtype=I64)], "hypot: not for int64.*floats"),
    "float_power_": ("x.clone().float_power_(2)", [of(2)], "float_power_: for float64 only"),
    "heaviside": (
        "torch.heaviside(x, y)",
        [of(2), of(2, dtype=I64)],
        "heaviside: both need one dtype",
    ),
    "ldexp": ("torch.ldexp(x, y)", [of(2), of(2, dtype=BOOL)], "ldexp: not by bool"),
    "lerp of integers": ("torch.lerp(x, x, 1)", [of(2, dtype=I64)], "lerp: not for integers"),
    "lerp": ("torch.lerp(x, y, 0.5)", [of(2), of(2, dtype=I64)], "lerp: one dtype for all"),
    "addcmul": ("torch.addcmul(x, x, x)", [of(2, dtype=BOOL)], "addcmul: not for bool"),
    "addcdiv": ("torch.addcdiv(x, x, x)", [of(2, dtype=I64)], "addcdiv: integers do not divide"),
    "isclose": ("torch.isclose(x, y)", [of(2), of(2, dtype=I64)], "isclose: both need one dtype"),
    "tolerances": ("torch.isclose(x, x, -1.0)", [of(2)], "tolerances are 0 or more.*-1.0"),
    "triangle": ("torch.tril(x)", [of(2)], "tril: at least 2 axes"),
    "one_hot": (
        "F.one_hot(x)",
        [of(2, dtype=I64)],
        "'num_classes'.*depends on data.*how many classes",
    ),
    "one_hot of int32": ("F.one_hot(x, 3)", [of(2, dtype=torch.int32)], "one_hot: for int64 only"),
    "no classes": ("F.one_hot(x, 0)", [of(2, dtype=I64)], "num_classes must be positive"),
    "indexing": (
        "torch.meshgrid([x, y], indexing='ab')[0]",
        [of(2), of(2)],
        "unknown indexing.*ij, xy",
    ),
    "meshgrid": ("torch.meshgrid([x, y], indexing='ij')[0]", [of(2), of(2, 2)], "at most 1 axis"),
    "dtypes of a grid": (
        "torch.meshgrid([x, y], indexing='ij')[0]",
        [of(2), of(2, dtype=I64)],
        "one dtype for all",
    ),
    "cartesian_prod": ("torch.cartesian_prod([x, y])", [of(2), of(2, 2)], "vectors only"),
    "bounds": ("torch.linspace(x, 1, 3)", [of(2)], "bounds are numbers or 0-d"),
    "steps": ("torch.linspace(x, 1, -3)", [of()], "steps must not be negative.*-3"),
    "whole range": (
        "torch.linspace(x, 1, 3, dtype=torch.int64)",
        [of()],
        "'dtype'.*int64 of bounds.*float range",
    ),
    "complex": (
        "torch.complex(x, x).real",
        [of(2)],
        "no complex numbers.*real and imaginary parts",
    ),
    "Fourier": ("torch.fft.rfft(x).abs()", [of(2)], "no complex numbers in a graph"),
}
#: The same for a dynamic first axis of x.
DYNAMIC: dict[str, tuple[str, str]] = {
    "eye": ("torch.eye(x.shape[0], -1)", "eye: sizes must not be negative"),
    "fine steps": (
        "torch.arange(0, x.shape[0], 1e-4)",
        "sizes and floats together.*in integers first",
    ),
    "float steps of a size": (
        "torch.arange(0.5, 9, x.shape[0])",
        "'step' .*a step that is dynamic, .*and multiply",
    ),
    "steps of a size down": (
        "torch.arange(0, 9, x.shape[0] - 1)",
        "'step' .*no whole number above 0",
    ),
    "between sizes": ("torch.arange(x.shape[0], x.shape[0] * 2, 0.1)", "sizes and floats together"),
    "indices": ("torch.tril_indices(x.shape[0], 3)", "number of its indices.*torch.tril"),
    "upper indices": ("torch.triu_indices(x.shape[0], 3)", "number of its indices.*torch.triu"),
}


def refusal(source: str, given: list[torch.Tensor], dynamic: DynamicDims | None = None) -> str:
    model = scripted(module_from_source(source, *["x", "y"][: len(given)]))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given, dynamic)
    return str(caught.value)


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


@pytest.mark.parametrize(("source", "text"), DYNAMIC.values(), ids=DYNAMIC)
def test_dynamic(source: str, text: str) -> None:
    batch: Any = {"x": {0: ("batch", 1, 2, 4)}}
    assert re.search(text, refusal(source, [of(4)], batch), re.DOTALL)


RANDOM = {
    "rand": "torch.rand(2, 3)", "randn": "torch.randn([2])", "randint": "torch.randint(5, [2])",
    "randperm": "torch.randperm(4)", "rand_like": "torch.rand_like(x)",
    "randn_like": "torch.randn_like(x)", "randint_like": "torch.randint_like(x, 5)",
    "bernoulli": "torch.bernoulli(x)", "bernoulli_": "x.clone().bernoulli_(0.5)",
    "multinomial": "torch.multinomial(x, 1)", "normal": "torch.normal(x, 1.0)",
    "normal_": "x.clone().normal_()", "poisson": "torch.poisson(x)",
    "uniform_": "x.clone().uniform_()", "exponential_": "x.clone().exponential_()",
    "geometric_": "x.clone().geometric_(0.5)", "cauchy_": "x.clone().cauchy_()",
    "log_normal_": "x.clone().log_normal_()", "random_": "x.clone().random_()",
}  # fmt: skip


@pytest.mark.parametrize(("name", "source"), RANDOM.items(), ids=RANDOM)
@pytest.mark.parametrize("form", ["scripted", "exported"])
def test_random_numbers_are_refused_by_name(name: str, source: str, form: str) -> None:
    module = module_from_source(f"x, {source}", "x")
    x = torch.rand(4)
    model = scripted(module) if form == "scripted" else torch.export.export(module, (x,))
    with pytest.raises(UnsupportedModelError, match="it draws random numbers") as caught:
        importing(model, (x,))
    (problem,) = caught.value.problems
    # torch.export writes functions in place as ones that are not.
    assert problem.operator.removeprefix("aten::").startswith(name.rstrip("_"))
    assert problem.hint == "draw outside the model and pass the numbers as an input"


def random_operators() -> list[str]:
    """All operators of torch that it calls random, without kernels of attention and RNNs.

    Nor those of nested tensors, which are refused for what they are.
    """
    names = {schema.name for schema in torch._C._jit_get_all_schemas()}
    parts = (
        "attention",
        "sdp",
        "cudnn",
        "miopen",
        "mps",
        "mem_eff",
        "lstm",
        "gru",
        "rnn",
        "nested",
    )
    found = []
    for name in sorted(name for name in names if name.startswith("aten::")):
        packet = getattr(torch.ops.aten, name.removeprefix("aten::"), None)
        tags = [getattr(packet, one).tags for one in packet.overloads()] if packet else []
        if any(torch.Tag.nondeterministic_seeded in said for said in tags):
            found += [name] if not any(part in name for part in parts) else []
    return found


def test_every_random_operator_is_named_as_one() -> None:
    plugins = Plugins.discover({})
    table, found = ConverterTable.of(plugins), random_operators()
    refused = [name for name in found if name not in table]
    assert len(refused) >= 30
    for name in refused:
        problems = Problems(plugins)
        problems.note_unknown(name, Location(), table)
        (problem,) = problems.listed()
        assert problem.reason == "it draws random numbers", name
        assert re.search("outside the model" if "dropout" not in name else "eval", problem.hint)
    # What has a converter draws only in training, or takes no random numbers at all.
    for name in set(found) - set(refused):
        assert re.search("dropout|rrelu", name), name
