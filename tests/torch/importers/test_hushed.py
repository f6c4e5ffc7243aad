"""What torch logs stays out of the terminal where Forward says it, and there only."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import importing

from fwd_core.errors import InputError, UnsupportedModelError
from fwd_ops_torch.importers.hushed import hushed

X = torch.rand(2, 3)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What comes out of the loggers of torch. Its own handler writes where it was imported."""
    lines: list[str] = []

    class Listed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Listed()
    own = [logging.getLogger(name) for name in ("torch._subclasses.fake_tensor", "torch.export")]
    for logger in own:
        logger.addHandler(handler)
    yield lines
    for logger in own:
        logger.removeHandler(handler)


class Masked(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + mask


@dataclass
class Pair:
    first: Tensor


class Paired(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        return Pair(x + 1)


def test_an_example_that_does_not_fit_is_told_once(logged: list[str]) -> None:
    with pytest.raises(InputError, match="Masked itself fails on the example inputs"):
        importing(Masked().eval(), (X, torch.rand(2, 5)))
    assert logged == []


def test_without_us_torch_logs_it(logged: list[str]) -> None:
    with pytest.raises(RuntimeError):
        torch.export.export(Masked().eval(), (X, torch.rand(2, 5)))
    assert any("failed while attempting to run meta" in line for line in logged)


def test_a_class_that_torch_does_not_know_is_named(tmp_path: Path, logged: list[str]) -> None:
    file = tmp_path / "pair.pt2"
    torch.export.register_dataclass(Pair, serialized_type_name="elsewhere.outputs.Pair")
    torch.export.save(torch.export.export(Paired().eval(), (X,)), file)
    # As in a process that has not imported the class.
    known = torch.utils._pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE.pop("elsewhere.outputs.Pair")
    try:
        with pytest.raises(UnsupportedModelError) as caught:
            importing(str(file), (X,))
    finally:
        torch.utils._pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE["elsewhere.outputs.Pair"] = known
    assert caught.value.what == (
        f"{file} takes or gives elsewhere.outputs.Pair, a class that torch does not know here"
    )
    assert "Deserializing elsewhere.outputs.Pair in pytree is not registered" in str(caught.value)
    assert "`import elsewhere.outputs` before it is built" in str(caught.value.hint)
    assert "torch.jit.trace(module, inputs, strict=False)" in str(caught.value.hint)
    assert "warnings above" not in str(caught.value)
    assert logged == []


def test_what_fails_not_is_logged_when_it_is_over(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    torch_log = logging.getLogger("torch.export")
    with hushed() as heard:
        torch_log.warning("of an older format")
        other = threading.Thread(target=torch_log.warning, args=("elsewhere",))
        other.start()
        other.join()
        print("a graph", file=sys.stderr)
        assert logged == ["elsewhere"], "of another thread, whose failures are not ours"
    assert heard == ["of an older format"]
    assert logged == ["elsewhere", "of an older format"]
    assert "a graph\n" in capsys.readouterr().err


def test_an_interrupt_is_no_error_of_ours(logged: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), hushed():
        logging.getLogger("torch.export").warning("of an older format")
        raise KeyboardInterrupt
    assert logged == ["of an older format"]


def test_who_asks_for_logs_gets_them(logged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_LOGS", "+export")
    with pytest.raises(ValueError, match="no"), hushed() as heard:
        logging.getLogger("torch.export").warning("of an older format")
        raise ValueError("no")
    assert heard == logged == ["of an older format"]


def test_one_thread_at_a_time() -> None:
    """Else the second puts back what the first put in place of the terminal."""
    held, entered = threading.Event(), threading.Event()

    def second() -> None:
        held.wait(30)
        with hushed():
            entered.set()

    before = sys.stderr
    thread = threading.Thread(target=second)
    thread.start()
    with hushed():
        held.set()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()
    assert sys.stderr is before
