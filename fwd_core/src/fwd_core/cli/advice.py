"""Which of the measured modes to choose, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fwd_core.cli.dataset import RANDOM

Row = Mapping[str, Any]


def choose(rows: Sequence[Row], bound: float, data: str) -> tuple[str | None, list[str]]:
    """The fastest mode whose results are near enough, and what else is to be said.

    Args:
        rows: Modes with ``latency_ms`` and ``sqnr``, or with the ``reason`` why they are not here.
        bound: Least SQNR in dB.
        data: Where the results are from.
    """
    found = {row["mode"]: row for row in rows if "reason" not in row}
    good = {mode: row for mode, row in found.items() if row["sqnr"] >= bound}
    choice = min(good, key=lambda mode: _median(good[mode]), default=None)
    words = [_verdict(choice, found, bound)] if found else ["no mode of these can be built here"]
    if slower := _slower_int8(found):
        words.append(slower)
    for mode, row in found.items():
        if mode not in good:
            words.append(
                f"{mode} has {_decibels(row['sqnr'])}, less than {bound:g} dB: "
                + (
                    "`fwd inspect --sensitivity` lists the layers that lose most, and "
                    "`fwd quantize` keeps them in float"
                    if mode == "int8"
                    else "its numbers are too coarse or too small for this model"
                )
            )
    if data == RANDOM and set(found) - {"float32"}:
        words.append(
            "the data is made up, so SQNR says little of yours: give it with --calibrate DATA"
        )
    return choice, words


def _verdict(choice: str | None, found: Mapping[str, Row], bound: float) -> str:
    if choice is None:
        return f"no mode of these has {bound:g} dB: choose float32"
    row = found[choice]
    if len(found) == 1:
        return f"choose {choice}: nothing else was measured"
    near = [] if row["sqnr"] == math.inf else [_decibels(row["sqnr"])]
    slower = [
        f"{_median(one) / _median(row):.2f} x as fast as {mode}"
        for mode, one in found.items()
        if mode != choice and _median(one) > _median(row)
    ]
    told = ", ".join(slower + near)
    said = f"choose {choice}: the fastest with {bound:g} dB or more"
    return f"{said} ({told})" if told else said


def _slower_int8(found: Mapping[str, Row]) -> str | None:
    """Int8 costs quality and work, so one that gains no time is told of, whatever is chosen."""
    if "int8" not in found:
        return None
    time = _median(found["int8"])
    beaten = [
        mode for mode in ("float16", "float32") if mode in found and _median(found[mode]) <= time
    ]
    if not beaten:
        return None
    against = " and ".join(f"{mode} ({_median(found[mode]):.3f} ms)" for mode in beaten)
    return f"int8 ({time:.3f} ms) is not faster than {against} here: it gains nothing in speed"


def _median(row: Row) -> float:
    return float(row["latency_ms"]["median"])


def _decibels(value: float) -> str:
    return "nothing in common with float32" if value == -math.inf else f"{value:.1f} dB"
