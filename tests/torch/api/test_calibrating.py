"""What ``forward.calibrate``, ``forward.quantize`` and ``forward.build`` take as data, and show."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import forward
from fwd_core.backends import Port
from fwd_core.errors import CalibrationError, InputError, OptionError
from fwd_core.events import Event
from fwd_core.ir import DType, Tensor, TensorType
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator
from fwd_ops_torch.api.calibration import _in_shape
from fwd_ops_torch.api.progress import ProgressLine

ON: Any = {"backend": "openvino"}


class Net(torch.nn.Module):
    """Two products around attention that is written out."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = torch.nn.Linear(8, 24)
        self.outward = torch.nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        query, key, value = self.inward(x).chunk(3, -1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / 8**0.5, -1)
        return self.outward(weights @ value)


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def _rows(count: int) -> Any:
    return torch.randn(count, 6, 8, generator=torch.Generator().manual_seed(1))


DATA = list(torch.split(_rows(16), 4))
X = DATA[0]


class Stream(forward.IPyBatchStream):
    """As the document writes one: flat, and of float64."""

    def __init__(self, arrays: list[Any] = DATA) -> None:
        forward.IPyBatchStream.__init__(self)
        self.arrays, self.asked = arrays, 0

    def next(self) -> bool:
        return self.asked < len(self.arrays)

    def getBatchSize(self) -> int:  # noqa: N802
        return len(self.arrays[0])

    def getNumpyBatch(self) -> Any:  # noqa: N802
        self.asked += 1
        return [self.arrays[self.asked - 1].double().numpy().ravel()]


def _near(net: Any) -> Any:
    def metric(engine: Any) -> float:
        with torch.no_grad():
            return -float((engine(X) - net(X)).norm())

    return metric


# --- streams ------------------------------------------------------------------------------------


def test_a_stream_is_taken_wherever_batches_are(net: Any) -> None:
    wanted = forward.calibrate(net, DATA, **ON)
    stream = Stream()
    assert forward.calibrate(net, stream, example_inputs=X, **ON) == wanted
    assert stream.asked == 4
    given = {"mode": "int8", **ON}
    engine = forward.build(net, X, calibrator=Stream(), **given)
    assert torch.equal(engine(X), forward.build(net, X, calibrator=wanted, **given)(X))
    found = forward.quantize(net, X, Stream(), metric=_near(net), max_drop=9, **ON)
    assert found.placement.coverage == 1


def test_a_stream_does_not_tell_the_models_inputs(net: Any) -> None:
    text = r"a stream of flat arrays does not tell what the model takes(.|\n)*example_inputs="
    with pytest.raises(OptionError, match=text):
        forward.calibrate(net, Stream(), **ON)


@pytest.mark.parametrize("batches", [3, "images", {"x": X}])
def test_what_is_no_batches(net: Any, batches: Any) -> None:
    text = rf"batches are what can be iterated over(.|\n)*got: +{type(batches).__name__}"
    with pytest.raises(CalibrationError, match=text):
        forward.calibrate(net, batches, **ON)
    with pytest.raises(CalibrationError, match=text):
        forward.quantize(net, X, batches, metric=_near(net), **ON)


def test_a_folder_is_no_batches(net: Any, tmp_path: Path) -> None:
    text = r"Python takes arrays, as \[numpy.load\(file\) for file in files\]; a file or a folder"
    with pytest.raises(CalibrationError, match=text):
        forward.calibrate(net, str(tmp_path), **ON)
    with pytest.raises(OptionError, match=text) as told:
        forward.build(net, X, mode="int8", calibrator=str(tmp_path), **ON)
    assert f"got:      a folder, {tmp_path}\n" in str(told.value)


@pytest.mark.parametrize("path", [False, True])
def test_arguments_in_the_wrong_order(net: Any, path: bool) -> None:
    model = "net.pth" if path else net
    with pytest.raises(OptionError) as told:
        forward.calibrate(DATA, model, **ON)
    assert str(told.value) == (
        "calibrate() takes the model first, and then the batches\n"
        "  expected: calibrate(model, batches)\n"
        f"  got:      calibrate(list, {type(model).__name__})"
    )


def test_bfloat16_is_rounded_and_not_cut_to_its_words() -> None:
    port = Port("x", TensorType(DType.BFLOAT16, (2, 2)))
    numbers = np.array([1.5, -2.0, 0.1, 300.0])
    words = Tensor(numbers.astype(np.float32).reshape(2, 2)).astype(DType.BFLOAT16).data
    for given in (numbers, numbers.astype(np.float32), words):
        found = _in_shape(port, given, 2)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, words)


# --- sizes --------------------------------------------------------------------------------------


def test_the_last_batch_of_a_loader_is_smaller(net: Any) -> None:
    loader = torch.utils.data.DataLoader(_rows(30), batch_size=4)
    with pytest.raises(
        InputError, match=r"expected: 4\n  got:      2\n  Hint: .*dynamic_batch=True"
    ):
        forward.calibrate(net, loader, **ON)
    cache = forward.calibrate(net, loader, dynamic_batch=True, algorithm="minmax", **ON)
    assert cache["x"] == pytest.approx(float(_rows(30).abs().max()))
    built = forward.build(net, X, mode="int8", calibrator=cache, **ON)
    assert torch.allclose(built(X), net(X), atol=0.1)
    found = forward.quantize(
        *(net, X, loader), metric=_near(net), max_drop=9, dynamic_batch=True, **ON
    )
    assert found.engine(_rows(30)[28:]).shape == (2, 6, 4)


def test_sizes_are_said_once(net: Any) -> None:
    dynamic: Any = {"x": {0: ("batch", 1, 4, 4)}}
    for made in (
        lambda **more: forward.calibrate(net, DATA, **more, **ON),
        lambda **more: forward.quantize(net, X, DATA, metric=_near(net), **more, **ON),
    ):
        with pytest.raises(OptionError, match="dynamic= says everything about dynamic sizes"):
            made(dynamic=dynamic, dynamic_batch=True)
        with pytest.raises(OptionError, match="argument 'dynamic_batch'"):
            made(dynamic_batch=3)


# --- attention, and files -----------------------------------------------------------------------


def test_products_of_attention_are_counted_or_quantized(net: Any) -> None:
    plain = forward.calibrate(net, DATA, **ON)
    all_of_it = forward.calibrate(net, DATA, attention=True, **ON)
    assert set(plain) < set(all_of_it)
    found = forward.quantize(net, X, DATA, metric=_near(net), max_drop=9, **ON)
    assert str(found).splitlines()[1] == (
        "int8: 2 of 2 products, and 2 products of attention in float, in 1 build"
    )
    assert str(found.placement).startswith(
        "int8: 2 of 2 products, and 2 products of attention in float; "
    )
    found = forward.quantize(
        net, X, DATA, metric=_near(net), max_drop=9, attention=True, cache=all_of_it, **ON
    )
    assert str(found).splitlines()[1] == "int8: 4 of 4 products, in 1 build"
    assert found.placement.attention == 0


def test_a_cache_that_lacks_attention_says_so(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "plain.cache"
    plain = forward.calibrate(net, DATA, **ON)
    plain.save(path)
    missing = set(forward.calibrate(net, DATA, attention=True, **ON)) - set(plain)
    calibrator = Calibrator(cache=path, attention=True)
    with pytest.raises(CalibrationError) as caught:
        forward.build(net, X, mode="int8", calibrator=calibrator, **ON)
    what, expected, got, lacking, hint = str(caught.value).splitlines()
    count = len(plain) + len(missing)
    assert what == f"the calibration cache {path} has no ranges of what attention multiplies"
    assert (
        expected == f"  expected: ranges of the {count} tensors that int8 needs with attention=True"
    )
    assert got == f"  got:      {len(plain)} ranges"
    assert lacking.startswith(f"  missing here ({len(missing)}): ")
    assert set(lacking.partition(": ")[2].split(", ")) == missing
    assert hint == (
        "  Hint: it was calibrated without attention=True: calibrate with it, or leave it out"
    )


def test_quantize_takes_a_cache_of_any_algorithm(net: Any, tmp_path: Path) -> None:
    cache = forward.calibrate(net, DATA, algorithm="minmax", **ON)
    cache.save(tmp_path / "m.cache")
    for given in (cache, tmp_path / "m.cache"):
        found = forward.quantize(net, X, DATA, metric=_near(net), max_drop=9, cache=given, **ON)
        assert found.placement.scales["x"] == pytest.approx(cache["x"] / 127)
        with pytest.raises(CalibrationError, match="was calibrated by another algorithm"):
            forward.quantize(net, X, DATA, metric=_near(net), cache=given, algorithm="mse", **ON)


def test_int8_calib_from_data_alone_would_write_nothing(net: Any, tmp_path: Path) -> None:
    for given in (DATA, CalibrationCache({"x": 1.0}, "mse")):
        with pytest.raises(OptionError, match="mode 'int8_calib' writes a calibration cache, and"):
            forward.build(net, X, mode="int8_calib", calibrator=given, **ON)
    path = tmp_path / "m.cache"
    forward.build(net, X, mode="int8_calib", calibrator=Calibrator(DATA, cache=path), **ON)
    forward.calibrate(net, DATA, **ON).save(tmp_path / "again.cache")
    assert path.read_bytes() == (tmp_path / "again.cache").read_bytes()


# --- progress -----------------------------------------------------------------------------------


def _steps(told: list[Event]) -> list[tuple[int, int | None]]:
    of = [one for one in told if (one.phase, one.state) == ("calibrate", "step")]
    return [(one.step, one.total) for one in of]


def test_events_tell_how_many_batches_there_are(net: Any) -> None:
    told: list[Event] = []
    loader = torch.utils.data.DataLoader(_rows(16), batch_size=4)
    forward.calibrate(net, loader, on_event=told.append, **ON)
    steps = [
        (one.step, one.total) for one in told if (one.phase, one.state) == ("calibrate", "step")
    ]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    told.clear()
    forward.quantize(net, X, DATA, metric=_near(net), max_drop=9, on_event=told.append, **ON)
    steps = [
        (one.step, one.total) for one in told if (one.phase, one.state) == ("calibrate", "step")
    ]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_line(net: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    forward.calibrate(net, DATA, **ON)
    assert capfd.readouterr().err == "", "a file or a pipe gets none"
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    forward.calibrate(net, DATA, **ON)
    shown = re.split("[\r\n]", terminal.getvalue())
    assert shown == ["", *(f"calibrate: batch {count} of 4" for count in (1, 2, 3, 4)), ""]
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    forward.calibrate(net, DATA, on_event=lambda _: None, **ON)
    assert terminal.getvalue() == "", "who listens shows it as they like"


def test_builds_that_calibrate_show_the_line_too(
    net: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Path
) -> None:
    def shown(**how: Any) -> str:
        monkeypatch.setattr("sys.stderr", terminal := Terminal())
        forward.build(net, X, **how, **ON)
        return terminal.getvalue()

    line = "".join(f"\rcalibrate: batch {count} of 4" for count in (1, 2, 3, 4)) + "\n"
    path = tmp_path / "c"
    assert shown(mode="int8_calib", calibrator=Calibrator(DATA, cache=path)) == line
    assert shown(mode="int8", calibrator=path) == "", "nothing is run"
    assert shown(mode="int8", calibrator=DATA) == line
    assert shown(mode="int8", calibrator=DATA, on_event=lambda _: None) == ""
    assert shown() == ""

    builder = forward.TorchBuilder(**ON)
    builder.set_mode("int8")
    builder.set_calibrator(forward.TrtInt8Calibrator(Stream(), tmp_path / "stream", "minmax"))
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    builder.build(net, X)
    assert terminal.getvalue() == re.sub(" of 4", "", line), "a stream does not tell its length"
    monkeypatch.undo()
    capfd.readouterr()
    forward.build(net, X, mode="int8", calibrator=DATA, **ON)
    assert capfd.readouterr().err == "", "a file or a pipe gets none"


def test_a_line_without_a_total() -> None:
    line = ProgressLine(stream := io.StringIO())
    for event in (
        Event("import", "start"),
        Event("calibrate", "start"),
        Event("calibrate", "step", 1),
        Event("calibrate", "end", 1),
        Event("calibrate", "end", 0),
    ):
        line(event)
    assert stream.getvalue() == "\rcalibrate: batch 1\n"
