"""Attention against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import torch
from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, plugins

from fwd_core.ir import DType, Tensor
from fwd_core.testing import Tolerance, assert_parity
from fwd_core.testing import strategies as fwd

SCORES = {
    DType.FLOAT32: Tolerance(1e-4, 1e-5, reason="exp of scores that are summed in another order"),
    DType.FLOAT16: Tolerance(1e-2, 2e-2, reason="scores and weights are float16 in torch"),
    DType.BFLOAT16: Tolerance(6e-2, 0.15, reason="scores and weights are bfloat16 in torch"),
}
MASKS = ("none", "bool", "float", "causal")


@covers(
    "aten::scaled_dot_product_attention",
    fixed={"dropout_p": "dropout is random: refused, see the tests of importers"},
    each={"mask": MASKS, "grouped": [False, True]},
    examples=2,
)
def test_attention(mask: str, grouped: bool, data: st.DataObject) -> None:
    pick = data.draw
    dtype = pick(fwd.dtypes(FLOATS[:1] + FLOATS), label="dtype")
    batch, heads = pick(st.integers(1, 3), label="batch"), pick(st.integers(1, 3), label="heads")
    queries, keys = pick(st.integers(1, 5), label="L"), pick(st.integers(1, 7), label="S")
    if mask == "none" and pick(st.integers(0, 9), label="no keys at 9") == 9:
        keys = 0
    features, values = pick(st.sampled_from([1, 4, 16])), pick(st.sampled_from([1, 4, 16]))
    times = pick(st.integers(1, 3), label="times") if grouped else 1
    leads = [(batch, heads), (batch,), (2, batch, heads)]
    lead = pick(st.sampled_from(leads if grouped else [*leads, ()]), label="lead")
    wide = (*lead[:-1], lead[-1] * times) if lead else lead

    def array(name: str, *shape: int) -> Any:
        return draw_array(data, name, dtype, shape, low=-2, high=2)

    given = {
        "q": array("q", *wide, queries, features),
        "k": array("k", *lead, keys, features),
        "v": array("v", *lead, keys, values),
    }
    names = ["q", "k", "v"] if lead else []
    more = ", is_causal=True" if mask == "causal" else ""
    if mask in ("bool", "float"):
        whole = (*wide, queries, keys)
        shape = pick(st.sampled_from([whole, whole[-2:], (*whole[:-2], 1, keys)]), label="mask")
        kind = DType.BOOL if mask == "bool" else pick(st.sampled_from([dtype, DType.FLOAT32]))
        given["m"] = removing(data, draw_array(data, "m", kind, shape))
        names += ["m"] if len(shape) == len(whole) and lead else []
        more = ", attn_mask=m"
    scale = pick(st.sampled_from(["None", "0.5", "1.0"]), label="scale")
    more += f", scale={scale}" + ", enable_gqa=True" * grouped
    call = f"F.scaled_dot_product_attention(q, k, v{more})"
    check(data, call, batch=names, tolerance=SCORES, may_raise=True, **given)


def heads_of_four(data: st.DataObject, *, keys: bool = True) -> dict[str, Any]:
    """Queries, keys and values of [batch, heads, length, features]."""
    pick = data.draw
    dtype = pick(fwd.dtypes(FLOATS[:1] + FLOATS), label="dtype")
    batch, heads = pick(st.integers(1, 3), label="batch"), pick(st.integers(1, 3), label="heads")
    # TensorRT-RTX 1.7 cannot compile sums beside the attention of one query to one key in half.
    queries = pick(st.integers(2, 5), label="L")
    length = pick(st.integers(2, 7), label="S") if keys else queries
    features = pick(st.sampled_from([4, 16]), label="E")
    shapes = {"q": queries, "k": length, "v": length}
    return {
        name: draw_array(data, name, dtype, (batch, heads, size, features), low=-2, high=2)
        for name, size in shapes.items()
    }


def first_head(x: Any) -> Any:
    return Tensor(x.data[:, :1], x.dtype) if isinstance(x, Tensor) else x[:, :1].copy()


def arguments(data: st.DataObject, *, causal: bool) -> tuple[str, str]:
    scale = data.draw(st.sampled_from(["None", "0.5", "1.0"]), label="scale")
    return f"0.0, {causal}", f", scale={scale}"


NO_DROPOUT = {"dropout_p": "dropout is random: refused, see the tests of converters"}


def removing(data: st.DataObject, mask: Any) -> Any:
    """A mask of numbers that at times removes keys, of some rows all; bool ones do anyway."""
    words = isinstance(mask, Tensor)
    elements = mask.data if words else mask
    if elements.dtype == bool or not data.draw(st.booleans(), label="removes"):
        return mask
    seed = np.random.default_rng(data.draw(st.integers(0, 99), label="removed"))
    removed = seed.random(elements.shape) < 0.3
    removed |= seed.random((*elements.shape[:-1], 1)) < 0.3
    changed = np.where(removed, 0xFF80 if words else -np.inf, elements).astype(elements.dtype)
    return Tensor(changed, mask.dtype) if words else changed


@covers("aten::_scaled_dot_product_flash_attention_for_cpu", fixed=NO_DROPOUT)
def test_kernel_for_cpu(data: st.DataObject) -> None:
    given = heads_of_four(data)
    shape = (*given["q"].shape[:3], given["k"].shape[2])
    mask = data.draw(st.sampled_from([None, shape, (*shape[:2], 1, shape[3]), shape[2:]]))
    causal, scale = arguments(data, causal=data.draw(st.booleans(), label="causal"))
    names = ["q", "k", "v"]
    if mask is not None:
        dtype = DType.of(given["q"].dtype)
        given["m"] = removing(data, draw_array(data, "m", dtype, mask))
        names += ["m"] * (len(mask) == 4)
    call = f"torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, {causal}"
    call += f"{', attn_mask=m' if mask is not None else ''}{scale})"
    whole = data.draw(st.booleans(), label="both results")
    # Torch decomposes it to a kernel whose second result is another.
    check(data, call if whole else f"{call}[0]", batch=names, tolerance=SCORES,
          decompose=not whole, **given)  # fmt: skip


@covers("aten::_scaled_dot_product_attention_math", fixed=NO_DROPOUT, examples=1.5)
def test_kernel_of_products(data: st.DataObject) -> None:
    given = heads_of_four(data)
    mask = data.draw(st.sampled_from(MASKS), label="mask")
    causal, scale = arguments(data, causal=mask == "causal")
    grouped, names = data.draw(st.booleans(), label="grouped"), ["q", "k", "v"]
    if mask in ("bool", "float"):
        kind = DType.BOOL if mask == "bool" else DType.of(given["q"].dtype)
        mask_shape = given["q"].shape[2], given["k"].shape[2]
        given["m"] = removing(data, draw_array(data, "m", kind, mask_shape))
    if grouped:
        given["k"], given["v"] = (first_head(given[name]) for name in "kv")
    call = (
        "torch.ops.aten._scaled_dot_product_attention_math("
        f"q, k, v, {'m' if 'm' in given else None}, {causal}{scale}, enable_gqa={grouped})"
    )
    whole = data.draw(st.booleans(), label="both results")
    check(data, call if whole else f"{call}[0]", batch=names, tolerance=SCORES, **given)


@pytest.fixture(scope="module")
def kernels() -> Any:
    """The kernels that torch has for CUDA only, computed on the CPU by its own plain form."""
    math = torch.ops.aten._scaled_dot_product_attention_math
    library = torch.library.Library("aten", "IMPL")

    def masked(q: Any, k: Any, v: Any, bias: Any, p: float, causal: bool, scale: Any) -> Any:
        result, _ = math(q, k, v, bias, p, causal, None, scale=scale)
        return result, q.new_zeros(q.shape[:3], dtype=torch.float32)

    def efficient(q, k, v, bias, _sums, p=0.0, causal=False, *, scale=None):  # type: ignore[no-untyped-def]
        seed = torch.zeros((), dtype=torch.int64)
        return (*masked(q, k, v, bias, p, causal, scale), seed, seed.clone())

    def rest(q: Any, k: Any) -> tuple[Any, ...]:
        seeds = (torch.zeros((), dtype=torch.int64), torch.zeros((), dtype=torch.int64))
        return (None, None, q.shape[2], k.shape[2], *seeds, q.new_empty(0))

    def flash(q, k, v, p=0.0, causal=False, _debug=False, *, scale=None):  # type: ignore[no-untyped-def]
        return (*masked(q, k, v, None, p, causal, scale), *rest(q, k))

    def cudnn(q, k, v, bias, _sums, p=0.0, causal=False, _debug=False, *, scale=None):  # type: ignore[no-untyped-def]
        return (*masked(q, k, v, bias, p, causal, scale), *rest(q, k))

    def other(q, k, v, bias=None, p=0.0, causal=False, _debug=False, *, scale=None):  # type: ignore[no-untyped-def]
        return (*masked(q, k, v, bias, p, causal, scale), *rest(q, k))

    for name, function in (
        ("efficient_attention", efficient),
        ("flash_attention", flash),
        ("cudnn_attention", cudnn),
        ("fused_attention_overrideable", other),
    ):
        library.impl(f"_scaled_dot_product_{name}", function, "CPU")
    yield library
    library._destroy()


KERNELS = ("efficient_attention", "flash_attention", "cudnn_attention",
           "fused_attention_overrideable")  # fmt: skip


@pytest.mark.usefixtures("kernels")
@covers(
    "aten::_scaled_dot_product_{name}",
    name=KERNELS,
    without={"quantized": "8-bit floats: declared unsupported"},
    fixed=NO_DROPOUT,
    traced=False,  # sizes are among the results, which the tracer does not take
)
def test_kernel_for_cuda(name: str, data: st.DataObject) -> None:
    given = heads_of_four(data, keys=False)
    causal, scale = arguments(data, causal=data.draw(st.booleans(), label="causal"))
    more = ""
    if name != "flash_attention":
        more = "None, "
        if data.draw(st.booleans(), label="bias"):
            shape = (*given["q"].shape[:3], given["k"].shape[2])
            dtype = DType.of(given["q"].dtype)
            given["m"] = removing(data, draw_array(data, "m", dtype, shape))
            more, causal = "m, ", "0.0, False"
    more += "False, " if name in ("efficient_attention", "cudnn_attention") else ""
    call = f"torch.ops.aten._scaled_dot_product_{name}(q, k, v, {more}{causal}{scale})[0]"
    check(data, call, batch=list(given), tolerance=SCORES, decompose=False, **given)


@covers("aten::_safe_softmax")
def test_safe_softmax(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="axis")
    x = draw_array(data, "x", dtype, shape)
    if dtype is DType.FLOAT32 and np.size(x) and data.draw(st.booleans(), label="masked"):
        x[...] = np.where(data.draw(st.booleans(), label="all") or x < 0, -np.inf, x)
    kind = data.draw(st.sampled_from(["None", "torch.float32"]), label="result")
    batch = ["x"] if shape and axis % len(shape) else []
    check(data, f"torch._safe_softmax(x, {axis}, dtype={kind})", batch=batch, tolerance=SCORES, x=x)


def layer_inputs(data: st.DataObject) -> tuple[dict[str, Any], int, int, DType]:
    """Sizes and weights of self-attention over [batch, length, features]."""
    pick = data.draw
    dtype = pick(fwd.dtypes((FLOATS[0], FLOATS[0], FLOATS[2])), label="dtype")
    # TensorRT-RTX 1.7 cannot compile bfloat16 attention of which all sizes are 1.
    heads, size = pick(st.integers(1, 3), label="heads"), pick(st.sampled_from([2, 4]))
    width, batch, length = heads * size, pick(st.integers(1, 3)), pick(st.integers(2, 5))
    shapes = {"x": (batch, length, width), "w": (3 * width, width), "b": (3 * width,),
              "pw": (width, width), "pb": (width,)}  # fmt: skip
    given = {
        name: draw_array(data, name, dtype, shape, low=-1, high=1) for name, shape in shapes.items()
    }
    return given, heads, width, dtype


def layer_mask(data: st.DataObject, given: dict[str, Any], heads: int) -> tuple[str, list[str]]:
    batch, length, _ = given["x"].shape
    kind = data.draw(st.sampled_from([None, 0, 1, 2]), label="mask_type")
    if kind is None:
        return "None, {}, {}, None", ["x"]
    shape = {0: (length, length), 1: (batch, length), 2: (batch, heads, length, length)}[kind]
    given["m"] = draw_array(data, "m", DType.BOOL, shape)
    given["m"][..., 0] = False  # a row of which nothing is left is NaN in torch
    return f"m, {{}}, {{}}, {kind}", ["x", "m"] if kind else ["x"]


@covers("aten::_native_multi_head_attention")
def test_native_multi_head_attention(data: st.DataObject) -> None:
    given, heads, width, dtype = layer_inputs(data)
    mask, batch = layer_mask(data, given, heads)
    query, key = data.draw(st.sampled_from(["xxx", "xyy", "xyz", "xyx"])), ""
    for name in sorted(set(query) - {"x"}):
        given[name] = draw_array(data, name, dtype, given["x"].shape, low=-1, high=1)
        batch.append(name)
    weights, mean = data.draw(st.booleans(), label="weights"), data.draw(st.booleans())
    call = (
        f"torch._native_multi_head_attention({', '.join(query)}, {width}, {heads}, "
        f"w, b, pw, pb, {mask.format(weights, mean)}){key}"
    )
    if not weights:
        call += "[0]"
    check(data, call, batch=batch, tolerance=SCORES, **given)


@covers("aten::_transformer_encoder_layer_fwd")
def test_transformer_encoder_layer(data: st.DataObject) -> None:
    given, heads, width, dtype = layer_inputs(data)
    mask, batch = layer_mask(data, given, heads)
    inner = data.draw(st.integers(1, 5), label="inner")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("n1", "c1", "n2", "c2", "d2"), (width,))
    shapes |= {"f1": (inner, width), "d1": (inner,), "f2": (width, inner)}
    given |= {name: draw_array(data, name, dtype, shape, low=-1, high=1)
              for name, shape in shapes.items()}  # fmt: skip
    gelu, first = data.draw(st.booleans(), label="gelu"), data.draw(st.booleans(), label="first")
    epsilon = data.draw(st.sampled_from([0.1, 0.5]), label="eps")
    listed = mask.replace("{}, {}, ", "").format()
    call = (
        f"torch._transformer_encoder_layer_fwd(x, {width}, {heads}, w, b, pw, pb, {gelu}, "
        f"{first}, {epsilon}, n1, c1, n2, c2, f1, d1, f2, d2, {listed})"
    )
    check(data, call, batch=batch, tolerance=SCORES, **given)


class SelfAttention(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(8, 2, **options)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result, weights = self.attention(x, x, x, average_attn_weights=False)
        assert weights is not None
        return result, weights


def encoder(**options: Any) -> torch.nn.Module:
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, **options)
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


MODULES = {
    "attention": lambda: SelfAttention(batch_first=True),
    "attention of length first": SelfAttention,
    "attention without biases": lambda: SelfAttention(batch_first=True, bias=False),
    "attention with a key more": lambda: SelfAttention(add_bias_kv=True, add_zero_attn=True),
    "encoder": lambda: encoder(batch_first=True),
    "encoder of length first": encoder,
    "encoder with norm first": lambda: encoder(
        batch_first=True, norm_first=True, activation="gelu"
    ),
}


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_modules(make: Any) -> None:
    """torch's own layers, which have a fast path that traces show and exports do not."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((2, 5, 8), np.float32)
    parity = assert_parity(
        make().eval(),
        (x,),
        backend=("openvino", "tensorrt"),
        tolerance=Tolerance(1e-4, 1e-4, reason="two layers of products in another order"),
        plugins=plugins(),
    )
    forms = {form for forms in parity.graphs.values() for form in forms}
    assert {"traced", "exported", "decomposed"} <= forms
