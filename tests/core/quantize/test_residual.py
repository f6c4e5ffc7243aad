"""Additions after products, and batch normalization between the two."""

from __future__ import annotations

import pytest
from blocks import residual_block
from nets import Net, everything, lines

from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import Value, ops, symbol
from fwd_core.quantize.placement import place, quantizable


def _block(net: Net, *, shortcut: bool = False, normed: bool = False) -> Value:
    x = net.add(ops.Relu(net.conv(net.input(1, 4, 4, 4), "stem")), "x0")
    main = net.conv(x, "main", bias=True)
    if normed:
        main = net.norm(main, "main.norm")
    other = net.conv(x, "shortcut") if shortcut else x
    total = net.add(ops.Add(main, other), "sum")
    return net.add(ops.Relu(total), "out")


def test_what_is_added_to_a_product_is_read_in_int8() -> None:
    net = Net()
    graph = net.finish(net.conv(_block(net), "next"))
    assert quantizable(graph) == ["x", "x0", "out"]
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Add, ops.Relu) == [
        "x0 = Relu(stem)",
        "sum = Add(main, x0/dequantized)",
        "out = Relu(sum)",
    ]
    assert placement.quantized["sum"] == "residual addition"
    assert list(placement.scales) == ["x", "x0", "out"]


def test_of_two_products_the_later_one_takes_the_addition_in() -> None:
    net = Net()
    graph = net.finish(net.conv(_block(net, shortcut=True), "next"))
    assert quantizable(graph) == ["x", "x0", "main", "shortcut", "out"]
    assert quantizable(graph, skip=["main"]) == ["x", "x0", "main", "out"]
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Add) == ["sum = Add(main/dequantized, shortcut)"]
    assert placement.quantized["sum"] == "residual addition"


def test_an_addition_stays_in_float_where_its_result_is() -> None:
    net = Net()
    graph = net.finish(_block(net))
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Add) == ["sum = Add(main, x0)"]
    assert placement.floats["sum"] == "what it adds, or its result, is in float here"


def test_an_addition_stays_in_float_where_its_product_is() -> None:
    net = Net()
    graph = net.finish(net.conv(_block(net), "next"))
    place(graph, everything(graph), skip=["main"])
    assert lines(graph, ops.Add) == ["sum = Add(main, x0)"]


def test_an_addition_without_a_range_for_the_other_side_stays_in_float() -> None:
    net = Net()
    x = net.input(1, 4, 4, 4)
    other = net.input(1, 4, 4, 4, name="other")
    total = net.add(ops.Add(net.conv(x, "main"), other), "sum")
    graph = net.finish(net.conv(total, "next"))
    placement = place(graph, everything(graph, but=["other"]))
    assert lines(graph, ops.Add) == ["sum = Add(main, other)"]
    assert placement.unquantized == {"other": "it has no range"}


def test_an_addition_behind_an_activation_reads_both_in_int8() -> None:
    net = Net()
    x = net.input(1, 4, 4, 4)
    relu = net.add(ops.Relu(net.conv(x, "main")), "relu")
    graph = net.finish(net.conv(net.add(ops.Add(relu, x), "sum"), "next"))
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Add) == ["sum = Add(relu/dequantized, x/dequantized)"]
    assert placement.quantized["sum"] == "addition"
    assert list(placement.scales) == ["x", "relu", "sum"]


@pytest.mark.parametrize("case", ["itself", "narrower", "constant", "of floats"])
def test_other_additions_stay_in_float(case: str) -> None:
    net = Net()
    x = net.input(1, 4, 4, 4)
    main = net.conv(x, "main")
    if case == "itself":
        total = net.add(ops.Add(main, main), "sum")
    elif case == "narrower":
        total = net.add(ops.Add(main, net.input(1, 4, 1, 1, name="b")), "sum")
    elif case == "constant":
        total = net.add(ops.Add(main, net.constant(1, 4, 4, 4)), "sum")
    else:
        other = net.add(ops.Softmax(main, 1), "softmax")
        total = net.add(ops.Add(net.add(ops.Relu(main), "relu"), other), "sum")
    graph = net.finish(net.conv(total, "next"))
    placement = place(graph, everything(graph))
    assert "dequantized" not in lines(graph, ops.Add)[0]
    assert "sum" in placement.floats
    assert list(placement.scales) == ["x", "sum"]


def test_a_normalization_is_part_of_its_convolution_before_weights_have_scales() -> None:
    net = Net()
    graph = net.finish(net.conv(_block(net, normed=True), "next"))
    names = quantizable(graph)
    assert names == ["x", "x0", "out"]
    assert lines(graph, ops.BatchNorm)[0].startswith("main.norm = ")
    placement = place(graph, dict.fromkeys(names, 2.0))
    assert placement.folded == 1
    assert lines(graph, ops.BatchNorm) == []
    assert lines(graph, ops.Add) == ["sum = Add(main.norm, x0/dequantized)"]
    assert "main.weight/folded/quantized" in {value.name for value in graph.values()}
    assert "main.weight" not in {value.name for value in graph.values()}
    assert placement.coverage == 1.0


def test_a_normalization_that_is_kept_keeps_its_addition_in_float() -> None:
    net = Net()
    graph = net.finish(net.conv(_block(net, normed=True), "next"))
    assert quantizable(graph, skip=["main.norm"]) == ["x", "x0", "out"]
    placement = place(graph, everything(graph), skip=["main.norm"])
    assert placement.folded == 0
    assert placement.quantized["main"] == "Convolution"
    assert placement.floats["main.norm"] == "kept in float by 'main.norm'"
    assert lines(graph, ops.Add) == ["sum = Add(main.norm, x0)"]


def test_a_residual_network() -> None:
    graph = residual_block(symbol("batch", 1, 2, 4))
    names = quantizable(graph)
    placement = place(graph, dict.fromkeys(names, 4.0))
    graph.verify()
    assert placement.coverage == 1.0
    assert placement.folded == 7
    assert placement.shared == (("stem.relu", "stem.pool"),)
    assert lines(graph, ops.MaxPool, ops.Add) == [
        "stem.pool = MaxPool(stem.relu/dequantized)",
        "block1.add = Add(block1.conv3.bn, stem.pool)",
        "block2.add = Add(block2.conv3.bn, block1.out)",  # its result is averaged in float
    ]


def test_a_convolution_stays_in_float_before_a_sum_of_floats_that_no_kernel_makes() -> None:
    net = Net()
    graph = net.finish(_block(net, normed=True))
    placement = place(graph, everything(graph), adds_floats=False)
    assert lines(graph, ops.Add) == ["sum = Add(main.norm, x0)"]
    assert placement.quantized == {"stem": "Convolution"}
    told = "it is added to floats, which no kernel of 8 bits of this backend does"
    assert placement.floats["main.norm"] == told


def test_what_is_added_then_is_read_in_int8_where_others_read_it_so() -> None:
    """Otherwise the sum before would be one of floats too, and so on up to the first."""
    net = Net()
    x = net.add(ops.Relu(net.conv(net.input(1, 4, 4, 4), "stem")), "x0")
    first = net.add(ops.Relu(net.add(ops.Add(net.conv(x, "first"), x), "sum.0")), "x1")
    inner = net.conv(first, "inner")
    graph = net.finish(net.add(ops.Add(net.conv(inner, "last"), first), "sum.1"))
    placement = place(graph, everything(graph), adds_floats=False)
    assert lines(graph, ops.Add) == [
        "sum.0 = Add(first, x0/dequantized)",
        "sum.1 = Add(last, x1/dequantized)",
    ]
    assert list(placement.quantized) == ["stem", "first", "sum.0", "inner"]


def test_other_products_are_quantized_before_a_sum_of_floats_on_any_backend() -> None:
    net = Net()
    x = net.input(1, 4, 4)
    graph = net.finish(net.add(ops.Add(net.linear(x, "linear"), x), "sum"))
    assert place(graph, everything(graph), adds_floats=False).quantized == {"linear": "Linear"}
    assert (OpenVINOBackend.adds_floats, TensorRTBackend.adds_floats) == (True, False)
