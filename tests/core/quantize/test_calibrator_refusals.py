"""What a calibrator would ignore is refused, and so is a mode that would write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net

from fwd_core import Builder
from fwd_core.errors import CalibrationError, OptionError
from fwd_core.ir import Graph
from fwd_core.quantize import CalibrationCache, Calibrator
from fwd_core.quantize.search import search

X = np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)


def _graph() -> Graph:
    net = Net()
    return net.finish(net.conv(net.conv(net.input(1, 4, 6, 6), "conv"), "last"))


def _builder(mode: str, calibrator: Calibrator | None) -> Builder:
    return Builder(backend="openvino", mode=mode, calibrator=calibrator)


def _compile(mode: str, calibrator: Calibrator) -> Any:
    return _builder(mode, calibrator).compile(_graph())


def _never() -> Iterator[Any]:
    raise AssertionError("the data was run all the same")
    yield


@pytest.fixture
def scales(tmp_path: Path) -> Path:
    path = tmp_path / "m.scales"
    path.write_text("x:1.5\nconv:2.5\n")
    return path


# --- int8_calib ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache", "got"), [(None, "no cache"), (CalibrationCache({"x": 1.0}, "mse"), "a cache in mem")]
)
def test_int8_calib_has_a_file_to_write(cache: Any, got: str) -> None:
    calibrator = Calibrator([X], cache=cache)
    text = rf"mode 'int8_calib' writes a calibration cache, and no file is named(.|\n)*{got}"
    with pytest.raises(OptionError, match=text) as caught:
        _compile("int8_calib", calibrator)
    assert "Calibrator(batches, cache='model.cache'); mode 'int8' needs no file" in str(
        caught.value
    )


def test_int8_calib_and_scales(scales: Path) -> None:
    text = r"mode 'int8_calib' calibrates, and these ranges are set by hand(.|\n)*m\.scales"
    with pytest.raises(OptionError, match=text):
        _compile("int8_calib", Calibrator(scales=scales))


def test_int8_calib_is_refused_before_the_model_is_read() -> None:
    with pytest.raises(OptionError, match="and no file is named"):
        _builder("int8_calib", Calibrator([X])).build("no model", (X,))


def test_int8_calib_holds_a_cache_that_is_there_against_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    CalibrationCache({"x": 1.0, "other": 2.0}, "minmax").save(path)
    with pytest.raises(CalibrationError, match=r"does not fit the model(.|\n)*other"):
        _compile("int8_calib", Calibrator([X], cache=path))
    path.unlink()
    _compile("int8_calib", Calibrator([X], cache=path)).close()
    assert list(CalibrationCache.load(path)) == ["x", "conv"]
    _compile("int8_calib", Calibrator(cache=path)).close()


# --- what would not be used ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"algorithm": "mse"}, "algorithm"),
        ({"cache": "m.cache"}, "cache"),
        ({"algorithm": "mse", "cache": "m.cache"}, "algorithm and cache"),
    ],
)
def test_scales_give_all_ranges(more: dict[str, Any], names: str, scales: Path) -> None:
    text = f"a scale file gives all ranges, so {names} would not be used"
    with pytest.raises(OptionError, match=text):
        Calibrator(scales=scales, **more)


def test_batches_beside_ranges_that_are_there(scales: Path) -> None:
    cache = CalibrationCache({"x": 1.0, "conv": 2.0}, "mse")
    for given, got in (({"scales": scales}, "a scale file"), ({"cache": cache}, "a cache in mem")):
        calibrator = Calibrator([X], **given)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=rf"the batches would not be used(.|\n)*{got}"):
            _compile("int8", calibrator)


def test_batches_beside_scales_rank_layers(scales: Path) -> None:
    """So they are of use where layers may go to float."""
    builder = _builder("int8", Calibrator([X], scales=scales))
    found = search(_graph(), builder, lambda _: 1.0, 0.0)
    assert found.placement.scales["x"] == pytest.approx(1.5 / 127)
    found.engine.close()


def test_a_misspelt_algorithm_is_told_whatever_else_is_given(scales: Path, tmp_path: Path) -> None:
    CalibrationCache({"x": 1.0, "conv": 2.0}, "mse").save(tmp_path / "c")
    by_hand = Calibrator(cache="none", algorithm="entropi")
    by_hand.scales = scales
    for calibrator in (by_hand, Calibrator(cache=tmp_path / "c", algorithm="entropi")):
        with pytest.raises(OptionError, match="unknown calibration algorithm 'entropi'"):
            _compile("int8", calibrator)


def test_a_cache_in_memory_is_of_the_algorithm_that_is_asked_for(tmp_path: Path) -> None:
    cache = CalibrationCache({"x": 1.0, "conv": 2.0}, "mse")
    text = r"calibrated by another algorithm\n  expected: minmax\n  got:      mse"
    with pytest.raises(CalibrationError, match=text):
        _compile("int8", Calibrator(cache=cache, algorithm="minmax"))
    _compile("int8", Calibrator(cache=cache, algorithm="mse")).close()
    cache.save(tmp_path / "c")
    read = CalibrationCache.load(tmp_path / "c")
    with pytest.raises(CalibrationError, match=r"load\(path, algorithm='mse'\) does"):
        _compile("int8", Calibrator(cache=read, algorithm="mse"))
    known = CalibrationCache.load(tmp_path / "c", algorithm="mse")
    _compile("int8", Calibrator(cache=known, algorithm="mse")).close()


# --- files --------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_told_before_the_data_is_run(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "m.cache"
    text = r"cannot write .*m\.cache: No such file or directory\n  Hint: create the folder"
    for mode in ("int8", "int8_calib"):
        with pytest.raises(CalibrationError, match=text):
            _compile(mode, Calibrator(_never(), cache=path))
    builder = _builder("int8", Calibrator(_never(), cache=path))
    with pytest.raises(CalibrationError, match=text):
        search(_graph(), builder, lambda _: 1.0, 0.0)
