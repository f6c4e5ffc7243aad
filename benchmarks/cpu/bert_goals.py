"""What BERT-base on a CPU is held to, from the numbers of one folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Peers in float32; float16 and int8 are held against the quickest that was measured beside them.
PEERS = ("openvino", "onnxruntime", "onnxruntime + optimizer", "torch eager", "torch.compile")
#: A goal, what was found, and whether that reaches it.
Judged = tuple[str, str, bool]


def goals(
    latency: dict[str, Any], int8: dict[str, Any], fusing: dict[str, Any] | None = None
) -> Iterator[Judged]:
    """Judge ``latency.json``, ``int8.json``, ``fusing.json``; what was not measured has no goal."""
    # Which of the median and its interval's bounds counts, by its place.
    for route, told, bound, place in (
        ("openvino", "OpenVINO's own front end, the whole interval", 1.0, 2),
        ("onnxruntime + optimizer", "ONNX Runtime with its transformer optimizer", 0.9, 0),
    ):
        if found := latency.get(route, {}).get("forward float32 / this"):
            judged = found[place]
            yield f"float32 at most {bound:.2f} × {told}", *_time(found, judged, bound)
    for rows, mode, bound, near in ((latency, "float16", 0.55, 0.999), (int8, "int8", 0.35, 0.99)):
        ours = f"forward {mode}"
        ratios = {name: rows[name][f"{ours} / this"] for name in PEERS if _beside(rows, name, ours)}
        if not ratios:
            continue
        best = max(ratios, key=lambda name: float(ratios[name][0]))
        found = ratios[best]
        title = f"{mode} at most {bound:.2f} × the best float32 peer ({best})"
        yield title, *_time(found, found[0], bound)
        cosine = rows[ours]["cosine"]
        title = f"{mode}: cosine of hidden states with torch in float32 at least {near}"
        yield title, f"{cosine:.6f}", cosine >= near

    if fusing is not None:
        title = f"recognising an encoder of {fusing['layers']} layers: 1 s at most"
        yield title, f"{fusing['most']:.2f} s", fusing["most"] <= 1.0


def table(
    latency: dict[str, Any], int8: dict[str, Any], fusing: dict[str, Any] | None = None
) -> Iterator[str]:
    """The goals as a chapter."""
    yield "\n### Goals\n"
    yield (
        "Those that this project set itself for BERT-base on OpenVINO, 2 threads, 128 tokens. A "
        "time is held to its bound by its median, unless the goal names the interval. Int8 is of "
        "[the page of int8](int8.md). Cosines are of real tokens."
    )
    yield "\n| asked for | reached |"
    yield "|---|---|"
    for goal, found, met in goals(latency, int8, fusing):
        yield f"| {goal} | {'reached' if met else '**not reached**'}: {found} |"


def _beside(rows: dict[str, Any], route: str, ours: str) -> bool:
    return ours in rows and f"{ours} / this" in rows.get(route, {})


def _time(found: list[float], judged: float, bound: float) -> tuple[str, bool]:
    told = "{:.3f} [{:.3f}, {:.3f}]".format(*found)
    if judged > bound:
        told += f", {judged - bound:.3f} above"
    return told, judged <= bound
