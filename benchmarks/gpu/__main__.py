"""All rows, most important first: ``python -m benchmarks.gpu --output DIR``.

Runs the steps of each row one after the other, so that its routes are measured within minutes of
one another: ``prepare`` and ``torch_routes`` with one Python, ``measure`` with another, which may
be the same. A row is written to ``DIR/rows.jsonl`` as soon as it is measured, and what is there is
not measured again: if it has as many layers, all routes of torch that are asked for, and files
that were made with the arguments of this command. A row of which the ONNX route alone failed
counts as measured, and the page says so, unless ``--again`` is given. ``DIR`` also gets the timing
caches of both routes on TensorRT, which make the next builds quick, and ``log.txt``. Where a
machine is lent for minutes only, take ``DIR`` along to the next one (``--from``) and give each run
a budget.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import prepared, rows
from benchmarks.gpu.needs import MISSING
from benchmarks.gpu.prepared import OtherFilesError
from benchmarks.gpu.rows import TORCH_ROUTES as ROUTES
from benchmarks.gpu.rows import Row

#: Seconds that a step takes at least; it is not begun when less is left.
_LEAST = {"tensorrt": 60.0, "torch": 45.0}
_ROOT = Path(__file__).parents[2]
#: Kernels are loaded when they are first launched, as is CUDA's own way since 12.2.
_LAZY = {"CUDA_MODULE_LOADING": "LAZY"}
_PACKAGES = ("fwd_core", "fwd_ops_torch", "fwd_plugins_bert")
UNFINISHED = 3
#: Seconds that a Python may take to say what it misses: the first import of torch is slow.
_PATIENCE = 120.0


class Steps:
    """Runs the programs of the steps, within a budget.

    Args:
        asked: The command line.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._end: float = time.monotonic() + asked.budget_seconds
        self.output: Path = asked.output
        self.rows = self.output / "rows.jsonl"
        self._log = self.output / "log.txt"

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def step(self, kind: str, row: Row) -> bool:
        """Measure half a row; whether it is in the file now."""
        asked = self._asked
        torch, tensorrt = asked.torch_python, asked.tensorrt_python
        case = ["--only", row.model, "--batch", str(row.batch)]
        layers = [] if asked.layers is None else ["--layers", str(asked.layers)]
        onnx = ["--attention", asked.attention, "--opset", str(asked.opset)]
        onnx += ["--half"] if asked.half_onnx else []
        onnx += ["--int8", "--images", str(asked.images)] if row.mode == "int8" else []
        if not self.is_prepared(row) and not self._run(
            torch, "prepare", str(asked.work), *case, *layers, *onnx
        ):
            return False
        common = [str(asked.work), *case, "--mode", row.mode, "--output", str(self.rows)]
        common += ["--seconds", str(asked.seconds)]
        if kind == "torch":
            routes = ["--device", asked.device, "--routes", *asked.routes]
            done = self._run(torch, "torch_routes", *common, *routes)
        else:
            extra = ["--workspace", str(asked.workspace)]
            extra += [] if asked.no_timing_cache else ["--timing-cache", str(self.output)]
            bert = row.model == "bert_base" and row.batch == 1
            first = row.batch == 1 and row.mode == "float16"
            extra += ["--overhead"] if first else []
            extra += ["--together"] if asked.together else []
            extra += ["--unasked"] if asked.unasked and row.mode == "int8" else []
            extra += ["--memory"] if bert and row.mode != "int8" else []
            done = self._run(tensorrt, "measure", *common, *extra)
        return done and self.has(kind, row)

    def missing(self, left: Sequence[tuple[str, Row]]) -> str | None:
        """What the Pythons miss for what is left, in one line; ``None`` if they miss nothing.

        A Python that fails otherwise, or takes too long, is left to the step that it fails.
        """
        asked = self._asked
        steps = {kind: asked.torch_python if kind == "torch" else asked.tensorrt_python
                 for kind, _ in left}  # fmt: skip
        if not all(self.is_prepared(row) for _, row in left):
            steps = {"prepare": asked.torch_python, **steps}
        for python in dict.fromkeys(steps.values()):
            its = [step for step, other in steps.items() if other == python]
            command = [*shlex.split(python), "-m", "benchmarks.gpu.needs", *its]
            command += ["--device", asked.device, *([] if asked.no_timing_cache else ["--times"])]
            try:
                done = subprocess.run(
                    command, cwd=_ROOT, env=_environment(),
                    timeout=min(self.left / 2, _PATIENCE), capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                continue
            except OSError as error:
                return f"{', '.join(its)}: {python!r} does not start: {error}"
            if done.returncode == MISSING and done.stdout.strip():
                return done.stdout.strip().splitlines()[-1]
        return None

    def has(self, kind: str, row: Row) -> bool:
        """Whether half a row is in the file, with all routes that are asked for."""
        asked = self._asked
        found = rows.read(self.rows)
        if kind == "torch":
            return rows.has(found, kind, row, asked.routes, device=asked.device)
        routes = ["forward"]
        routes += [rows.UNASKED] if asked.unasked and row.mode == "int8" else []
        routes += ["onnx"] if asked.again else []
        return rows.has(found, kind, row, routes, prepared=self._files(row))

    def is_prepared(self, row: Row) -> bool:
        """Whether the files of a row are there.

        Raises:
            OtherFilesError: They were made with other arguments.
        """
        folder = self._asked.work / row.case
        return prepared.is_there(folder, self._files(row), half=self._asked.half_onnx)

    def _files(self, row: Row) -> dict[str, Any]:
        """The arguments that a row's files depend on."""
        one = self._asked
        return prepared.asked(
            row, layers=one.layers, attention=one.attention, opset=one.opset, images=one.images
        )

    def _run(self, python: str, module: str, *arguments: str) -> bool:
        """Run a step's program; it is ended when the budget is."""
        command = [*shlex.split(python), "-m", f"benchmarks.gpu.{module}", *arguments]
        self._say(f"[{self.left:.0f} s left] {module} {' '.join(arguments)}")
        before = self._log.stat().st_size
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=_ROOT, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
            limit = self.left if self.left < 1e9 else None
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the build that it may have begun
                process.wait()
                self._say(f"{module}: the budget ended")
                return False
        if code:
            told = self._log.read_bytes()[before:].decode(errors="replace")
            self._say(f"{module} failed with exit code {code}:\n{told[-1500:]}")
        return code == 0

    def _say(self, text: str) -> None:
        print(text, flush=True)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")


def _environment() -> dict[str, str]:
    """This environment, with the packages of the checkout on the path."""
    sources = [str(_ROOT / name / "src") for name in _PACKAGES]
    given = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([*sources, str(_ROOT), *([given] if given else [])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **_LAZY}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for.

    Returns:
        0 if all is there, 1 if a row failed, 3 if the budget ended, 4 if nothing was begun, because
        a package or the GPU is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--from", dest="earlier", type=Path, help="results of an earlier run")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "forward-gpu",
                        help="folder of models and engines, some GB")  # fmt: skip
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--tensorrt-python", default=sys.executable)
    parser.add_argument("--only", nargs="*", default=[], choices=rows.MODELS, help="models")
    parser.add_argument("--batch", nargs="*", type=int, default=[], choices=rows.BATCHES)
    parser.add_argument("--mode", nargs="*", default=[], choices=rows.MODES)
    parser.add_argument("--kinds", nargs="*", default=list(rows.KINDS), choices=rows.KINDS)
    parser.add_argument("--routes", nargs="*", default=ROUTES, choices=ROUTES, help="of torch")
    parser.add_argument("--budget-seconds", type=float, default=float("inf"))
    parser.add_argument("--seconds", type=float, default=10, help="of calls per row and step")
    parser.add_argument("--workspace", type=int, default=4096, help="MiB for both builders")
    parser.add_argument("--attention", default="eager", choices=("eager", "sdpa"), help="in ONNX")
    parser.add_argument("--opset", type=int, default=17, help="of ONNX")
    parser.add_argument("--half-onnx", action="store_true",
                        help="for TensorRT 11 and RTX, whose parser has no flag FP16")  # fmt: skip
    parser.add_argument("--unasked", action="store_true", help="one more route in int8")
    parser.add_argument("--images", type=int, default=64, help="to calibrate int8 with")
    parser.add_argument("--together", action="store_true", help="build both sides at once")
    parser.add_argument("--no-timing-cache", action="store_true",
                        help="keep no times of kernels: TensorRT 8 needs cuDNN to")  # fmt: skip
    parser.add_argument("--layers", type=int, help="of transformers, for a quick try")
    parser.add_argument("--again", action="store_true",
                        help="measure rows again of which the ONNX route failed")  # fmt: skip
    parser.add_argument("--device", default="cuda", help="of torch; cpu is for trying")
    asked = parser.parse_args(arguments)
    asked.output = asked.output.resolve()
    asked.work = asked.work.resolve()
    asked.output.mkdir(parents=True, exist_ok=True)
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.earlier is not None:
        for file in [*asked.earlier.glob("*.timing"), *asked.earlier.glob("*.jsonl")]:
            shutil.copyfile(file, asked.output / file.name)  # what comes back is read-only
    steps = Steps(asked)
    chosen = rows.in_order(asked.only, asked.batch, asked.mode, asked.layers)
    left = [
        (kind, row)
        for row in chosen
        for kind in asked.kinds
        if kind in row.kinds and not steps.has(kind, row)
    ]
    try:
        for _, row in left:  # before anything is measured of files that are not those
            steps.is_prepared(row)
    except OtherFilesError as error:
        parser.error(str(error))
    if left and steps.left >= _LEAST[left[0][0]] and (told := steps.missing(left)):
        print(f"python -m benchmarks.gpu: {told}", file=sys.stderr)
        return MISSING
    failed = False
    for kind, row in left:
        if steps.left < _LEAST[kind]:
            return UNFINISHED
        failed = not steps.step(kind, row) or failed
    return UNFINISHED if steps.left <= 0 else int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
