"""What is said when TensorRT refuses; stand-ins refuse, into TensorRT's own recorder and logger."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from host_cuda import host_cuda
from values import kind

trt = pytest.importorskip("tensorrt_rtx")

from fwd_core.backends import Port
from fwd_core.backends.tensorrt.logger import listen, logger, new_recorder
from fwd_core.backends.tensorrt.runtime.program import TensorRTProgram, execution_context
from fwd_core.errors import BuildError, DeviceError, InputError

PORTS = [Port("x", kind(2, 3))]
INTERNAL = trt.ErrorCodeTRT.INTERNAL_ERROR
WARNING = trt.ILogger.Severity.WARNING


class Context:
    """Takes everything but what it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self._refused = refused
        self.error_recorder: Any = None
        self.device_memory = 0
        self.done: list[object] = []

    def _answer(self, name: str, *given: object) -> bool:
        self.done.append((name, *given))
        if name in self._refused:
            self.error_recorder.report_error(INTERNAL, f"no {name} today")
            return False
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return self._answer("set_input_shape", name, shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        return self._answer("set_tensor_address", name, address)

    def execute_async_v3(self, stream: int) -> bool:
        return self._answer("execute_async_v3", stream)

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        logger(trt).log(WARNING, "and a hint")
        return self._answer("set_optimization_profile_async", profile, stream)


def _program(context: Context, profile: int | None = None) -> TensorRTProgram:
    return TensorRTProgram(trt, context, ["x", "y"], PORTS, 4096, profile, 0)


def test_shapes_are_set_where_they_change_and_addresses_each_time() -> None:
    context = Context()
    program = _program(context)
    assert context.device_memory == 4096
    for shapes, addresses in (((2, 3), (256, 512)), ((2, 3), (768, 512))):
        program.prepare((shapes,), addresses, 5)
    program.enqueue(5)
    assert context.done == [
        ("set_input_shape", "x", (2, 3)),
        ("set_tensor_address", "x", 256),
        ("set_tensor_address", "y", 512),
        ("set_tensor_address", "x", 768),
        ("set_tensor_address", "y", 512),
        ("execute_async_v3", 5),
    ]


def test_a_shape_that_is_refused() -> None:
    program = _program(Context("set_input_shape"))
    with pytest.raises(
        InputError,
        match=r"^TensorRT refuses the shape of input 'x'\n  expected: x: float32\[2, 3\]\n"
        r"  got:      \[2, 3\]\n  no set_input_shape today$",
    ):
        program.prepare(((2, 3),), (256, 512), 0)


def test_an_address_that_is_refused() -> None:
    program = _program(Context("set_tensor_address"))
    with pytest.raises(
        DeviceError,
        match=r"^TensorRT refuses the address of tensor 'x'\n  got:      0x1f00\n"
        r"  no set_tensor_address today$",
    ):
        program.prepare(((2, 3),), (0x1F00, 512), 0)


def test_a_run_that_is_refused() -> None:
    program = _program(Context("execute_async_v3"))
    program.prepare(((2, 3),), (256, 512), 0)
    with pytest.raises(
        DeviceError,
        match=r"^TensorRT could not run\n  got:      \[2, 3\]\n  no execute_async_v3 today$",
    ):
        program.enqueue(0)


def test_a_profile_that_is_refused() -> None:
    with pytest.raises(
        BuildError,
        match=r"^TensorRT refuses optimization profile 3\n"
        r"  no set_optimization_profile_async today\n  and a hint$",
    ):
        _program(Context("set_optimization_profile_async"), 3)


class NoContext:
    """An engine that makes none."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder

    def create_execution_context(self, strategy: Any) -> None:
        assert strategy == trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._recorder.report_error(INTERNAL, "out of memory")
        logger(trt).log(WARNING, "there is little left")


def test_a_context_that_is_not_made() -> None:
    recorder, lock = new_recorder(trt), threading.Lock()
    with pytest.raises(
        BuildError,
        match=r"^TensorRT makes no execution context\n  out of memory\n  there is little left$",
    ):
        execution_context(trt, NoContext(recorder), recorder, lock)
    assert not lock.locked()
    assert recorder.told() == []


def test_programs_are_made_while_a_build_listens() -> None:
    made: list[TensorRTProgram] = []

    def make() -> None:
        with host_cuda():
            engine = SimpleNamespace(create_execution_context=lambda _strategy: Context())
            context = execution_context(trt, engine, new_recorder(trt), threading.Lock())
            made.append(_program(context, 0))

    thread = threading.Thread(target=make, daemon=True)
    with listen(trt) as record:
        thread.start()
        thread.join(30)
        assert not thread.is_alive(), "it waits for the build"
    assert len(made) == 1
    assert record.problems() == [], "what another thread says is not the build's"
