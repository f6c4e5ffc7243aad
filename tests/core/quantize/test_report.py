from __future__ import annotations

from nets import Net

from fwd_core.ir import ops
from fwd_core.quantize.placement import place
from fwd_core.quantize.report import Placement


def test_a_placement_prints_as_a_table() -> None:
    net = Net()
    relu = net.add(ops.Relu(net.norm(net.conv(net.input(1, 2, 4, 4), "one"), "norm")), "relu")
    pool = net.pool(relu, "pool")
    two = net.conv(pool, "two")
    total = net.add(ops.Add(net.conv(two, "three"), two), "sum")
    graph = net.finish(net.conv(net.add(ops.Softmax(total, 1), "soft"), "head.conv"))
    ranges = {"x": 1.0, "relu": 2.0, "two": 0.0}
    placement = place(graph, ranges, skip=["head.*"])
    assert str(placement).splitlines() == [
        "int8: 2 of 4 products; 2 activations and 2 weights quantized,"
        " 1 batch normalizations folded",
        "      2  Convolution",
        "      1  hands on int8",
        "products in float:",
        "  three      %two stays in float: it was always 0",
        "  head.conv  kept in float by 'head.*'",
        "other operators in float:",
        "      1  fuses with what is before it, and the pair comes after it",
        "      1  what it adds, or its result, is in float here",
        "      1  exponentials stay in float",
        "tensors without a usable range:",
        "  two  it was always 0",
        "one scale with:",
        "  relu  pool",
    ]


def test_nothing_to_quantize_is_all_of_it() -> None:
    assert Placement().coverage == 1.0
    assert str(Placement()) == (
        "int8: 0 of 0 products; 0 activations and 0 weights quantized,"
        " 0 batch normalizations folded"
    )
