"""One route in a process of its own, so that no peer's idle threads disturb another.

Reads commands from standard input, one JSON object a line, and answers in kind.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.cpu.int8_routes import ROUTES as INT8_ROUTES
from benchmarks.cpu.int8_routes import MissingPeerError
from benchmarks.cpu.routes import ROUTES
from benchmarks.models import Inputs, further_inputs, make, of_tokens, settle
from benchmarks.summary import difference, sqnr
from fwd_core.errors import ForwardError


def main() -> None:
    """Build the route named on the command line, then serve ``run`` commands."""
    model_name, route, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print must not mix with the answers

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    torch.set_num_threads(threads)
    model, inputs = make(model_name)
    settle(model)
    begin = time.perf_counter()
    try:
        if route in INT8_ROUTES:
            call, precision = INT8_ROUTES[route](model_name, model, inputs, threads)
        else:
            call, precision = ROUTES[route](model, inputs, threads)
    except ForwardError as error:  # a CPU without a half type
        answer({"failed": error.what})
        return
    except MissingPeerError as error:  # a peer that is not installed
        answer({"failed": str(error)})
        return

    def found() -> Any:
        return of_tokens(model_name, inputs, np.array(call()))

    def wanted() -> Any:
        return of_tokens(model_name, inputs, _reference(model, inputs))

    results = [found()]
    build = time.perf_counter() - begin
    kept = [tensor.clone() for tensor in inputs]
    references = [wanted()]
    for another in further_inputs(model_name):
        _set(inputs, another)
        results.append(found())
        references.append(wanted())
    _set(inputs, kept)
    result, expected = np.stack(results), np.stack(references)
    distance, cosine = difference(result, expected)
    answer(
        {
            "precision": precision,
            "build_s": build,
            "error": distance,
            "cosine": cosine,
            "sqnr_db": sqnr(result, expected),
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
    for line in sys.stdin:
        count = json.loads(line)["run"]
        times = []
        for _ in range(count):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        answer({"times": times})


def _set(inputs: Inputs, values: Sequence[torch.Tensor]) -> None:
    """Write in place: every route reads the memory of the inputs at each call."""
    for tensor, value in zip(inputs, values, strict=True):
        tensor.copy_(value)


def _reference(model: torch.nn.Module, inputs: Inputs) -> Any:
    with torch.inference_mode():
        return model(*inputs)[0].numpy().copy()


if __name__ == "__main__":
    main()
