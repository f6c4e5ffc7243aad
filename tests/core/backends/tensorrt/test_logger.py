from __future__ import annotations

import threading

import pytest

pytest.importorskip("tensorrt_rtx")

from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import aside, listen, logger, new_recorder

TRT = load("tensorrt_rtx").trt
SEVERITY = TRT.ILogger.Severity


def test_a_process_has_one_logger() -> None:
    assert logger(TRT) is logger(TRT)


def test_messages_are_kept_while_someone_listens() -> None:
    log = logger(TRT)
    log.log(SEVERITY.ERROR, "before")
    with listen(TRT) as record:
        log.log(SEVERITY.ERROR, "an error")
        log.log(SEVERITY.INFO, "something")
        log.log(SEVERITY.VERBOSE, "much")
    log.log(SEVERITY.ERROR, "after")
    assert [line.text for line in record.lines] == ["an error", "something"]


def test_verbose_messages_are_kept_if_asked_for() -> None:
    with listen(TRT, verbose=True) as record:
        logger(TRT).log(SEVERITY.VERBOSE, "much")
    assert [line.text for line in record.lines] == ["much"]


def test_problems_are_errors_then_warnings_each_once() -> None:
    with listen(TRT) as record:
        log = logger(TRT)
        log.log(SEVERITY.WARNING, "first input has type Float but second has type Half ")
        log.log(SEVERITY.INFO, "something")
        record.recorder.report_error(TRT.ErrorCodeTRT.INVALID_CONFIG, "bad layer")
        record.recorder.report_error(TRT.ErrorCodeTRT.INVALID_CONFIG, "bad layer")
        assert record.failed
        found = record.problems()
        assert found == ["bad layer", "first input has type Float but second has type Half"]
        assert not record.failed
        assert record.problems() == []


def test_the_absence_of_a_gpu_is_no_problem() -> None:
    with listen(TRT) as record:
        for text in (
            "CUDA initialization failure with error: cudaError 35",
            "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError "
            "at checkMacros.cpp:250 (cudaError 100: no CUDA-capable device is detected))",
        ):
            logger(TRT).log(SEVERITY.ERROR, text)
            record.recorder.report_error(TRT.ErrorCodeTRT.INTERNAL_ERROR, text)
    assert record.problems() == []


def test_what_a_gpu_fails_by_is_told() -> None:
    text = "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (cudaError 1001: no)"
    with listen(TRT) as record:
        logger(TRT).log(SEVERITY.ERROR, text)
        record.recorder.report_error(TRT.ErrorCodeTRT.INTERNAL_ERROR, text)
        assert record.failed
    assert record.problems() == [text]


def test_a_recorder_tells_what_tensorrt_reports_to_it() -> None:
    recorder = new_recorder(TRT)
    builder = TRT.Builder(logger(TRT))
    network = builder.create_network(1)
    network.error_recorder = recorder
    assert network.add_input("x", TRT.float32, (2, 3)) is not None
    assert network.add_input("x", TRT.float32, (2, 3)) is None
    assert recorder.num_errors() > 0
    assert recorder.get_error_desc(0)
    assert recorder.get_error_code(0) is not None
    assert not recorder.has_overflowed()
    assert all(recorder.told())
    assert recorder.num_errors() == 0
    recorder.report_error(TRT.ErrorCodeTRT.INTERNAL_ERROR, "again")
    recorder.clear()
    assert recorder.told() == []


def test_tensorrt_can_ask_a_recorder_how_many_errors_it_has(
    capfd: pytest.CaptureFixture[str],
) -> None:
    recorder = new_recorder(TRT)
    code = TRT.ErrorCodeTRT.INVALID_CONFIG

    def asked() -> int:  # as TensorRT does: by the class, past what Python looks up first
        return int(TRT.IErrorRecorder.num_errors(recorder))

    assert asked() == 0
    recorder.report_error(code, "bad layer")
    assert asked() == recorder.num_errors() == 1
    recorder.clear()
    assert asked() == 0
    assert "pure virtual" not in capfd.readouterr().err


def test_one_thread_listens_at_a_time() -> None:
    order: list[str] = []

    def other() -> None:
        with listen(TRT):
            order.append("other")

    thread = threading.Thread(target=other)
    with listen(TRT) as record:
        thread.start()
        thread.join(0.1)
        order.append("first")
        logger(TRT).log(SEVERITY.ERROR, "mine")
    thread.join()
    assert order == ["first", "other"]
    assert record.problems() == ["mine"]


def test_a_listener_inside_another_gives_it_back() -> None:
    with listen(TRT) as outer:
        with listen(TRT) as inner:
            logger(TRT).log(SEVERITY.ERROR, "inner")
        logger(TRT).log(SEVERITY.ERROR, "outer")
    assert inner.problems() == ["inner"]
    assert outer.problems() == ["outer"]


def test_a_thread_listens_to_itself_while_another_builds() -> None:
    found: list[list[str]] = []

    def load() -> None:
        with aside(TRT) as record:
            logger(TRT).log(SEVERITY.ERROR, "of the load")
            with aside(TRT) as inner:
                logger(TRT).log(SEVERITY.WARNING, "of a part")
            record.recorder.report_error(TRT.ErrorCodeTRT.INTERNAL_ERROR, "told")
            found.extend([inner.problems(), record.problems()])
        logger(TRT).log(SEVERITY.ERROR, "of nobody else")

    thread = threading.Thread(target=load, daemon=True)
    with listen(TRT) as build:
        thread.start()
        thread.join(30)
        assert not thread.is_alive(), "it waits for the build"
        logger(TRT).log(SEVERITY.ERROR, "of the build")
    assert found == [["of a part"], ["told", "of the load"]]
    assert build.problems() == ["of nobody else", "of the build"]


def test_errors_go_to_a_recorder_of_ones_own() -> None:
    recorder = new_recorder(TRT)
    with aside(TRT, recorder) as record:
        recorder.report_error(TRT.ErrorCodeTRT.INTERNAL_ERROR, "mine")
        assert record.problems() == ["mine"]
