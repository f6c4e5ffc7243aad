"""Frames out of TorchScript's source ranges and Python's stack traces."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from fwd_core.ir import Frame
from fwd_ops_torch.importers.locations import (
    frames_of_range,
    frames_of_trace,
    is_users,
    locate,
)

TRACED = """/home/me/env/lib/python3.11/site-packages/torch/nn/modules/linear.py(134): forward
/home/me/env/lib/python3.11/site-packages/torch/nn/modules/module.py(1789): _call_impl
/home/me/project/model.py(22): forward
/home/me/project/main.py(7): <module>
Serialized   File "code/__torch__.py", line 20
    x = torch.linear(input, weight, bias)
        ~~~~~~~~~~~~ <--- HERE
"""
SCRIPTED = """  File "/home/me/project/model.py", line 10
        b = x.size(0)
        if b > 2: x = x + 1
                      ~~~~~ <--- HERE
Serialized   File "code/__torch__.py", line 20
    x1 = torch.add(x, 1)
         ~~~~~~~~~ <--- HERE
"""
ONLY_SERIALIZED = """
Serialized   File "code/__torch__.py", line 20
    x1 = torch.add(x, 1)
         ~~~~~~~~~ <--- HERE
"""
TRACE = """  File "/home/me/project/model.py", line 12, in forward
    y = self.layer(x)
  File "/home/me/env/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 134, in forward
    return F.linear(input, self.weight, self.bias)
"""


def test_traced_ranges_have_a_line_per_frame() -> None:
    frames = frames_of_range(TRACED)
    assert [frame.line for frame in frames] == [134, 1789, 22, 7]
    place = locate("block.0", "aten::linear", frames)
    assert place.user == Frame("/home/me/project/model.py", 22, "forward")
    assert place.frame is not None
    assert place.frame.line == 134
    start = "block.0 aten::linear (/home/me/project/model.py:22 in forward, from "
    assert str(place).startswith(start)


def test_scripted_ranges_have_one() -> None:
    (frame,) = frames_of_range(SCRIPTED)
    assert frame == Frame("/home/me/project/model.py", 10)


def test_the_serialized_line_stands_in_when_nothing_else_is_known() -> None:
    (frame,) = frames_of_range(ONLY_SERIALIZED)
    assert frame == Frame("code/__torch__.py", 20)
    assert not is_users(frame)
    assert locate("", "aten::add", (frame,)).user is None


def test_stack_traces_are_innermost_last() -> None:
    frames = frames_of_trace(TRACE)
    assert [frame.line for frame in frames] == [134, 12]
    assert locate("", "", frames).user == Frame("/home/me/project/model.py", 12, "forward")


@pytest.mark.parametrize(
    ("file", "users"),
    [
        ("/env/lib/python3.11/site-packages/torch/nn/functional.py", False),
        ("/env/lib/python3.11/site-packages/transformers/models/bert/modeling_bert.py", False),
        ("/env/lib/python3.11/site-packages/timm/models/resnet.py", True),
        ("/home/me/torch/model.py", True),
        ("torch/fx/passes/runtime_assert.py", False),
        ("<string>", False),
        ("C:\\env\\lib\\site-packages\\torch\\nn\\functional.py", False),
    ],
)
def test_whose_a_frame_is(file: str, users: bool) -> None:
    assert is_users(Frame(file, 1)) is users


def test_nothing_gives_nothing() -> None:
    assert frames_of_range(":0:0") == ()
    assert frames_of_trace("") == ()
    assert str(locate("", "", ())) == ""
