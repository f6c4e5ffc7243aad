"""What the whole process shares and models are run with: random states, warnings, torch's modes."""

from __future__ import annotations

import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

#: Held while something that threads share is set and put back. Two that did so at once would put
#: back what the other one set; and torch's flag that tells a model that it is exported is shared.
PROCESS = threading.RLock()


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Put random states back, torch's and Python's and NumPy's."""
    has_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if has_cuda else ()
    with PROCESS, torch.random.fork_rng(devices=list(devices)):
        states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the process's own
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002 - as above


@contextmanager
def as_imported(others: bool) -> Iterator[None]:
    """What importers assume of torch while a model runs; random states stay as they are.

    With ``others`` what it draws are other numbers than those that come next.

    Gradients are on: without them torch's encoder takes its fast path, which gives other numbers
    in places of padding. Autocast around the build is off, as graphs do not hold it, and
    what torch.compile made runs as it was written: compiling it takes long, and serves one run.
    """
    with ExitStack() as stack:
        stack.enter_context(kept_random_states())
        if others:
            seed = torch.initial_seed() % 2**32 ^ 1
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - it is put back
            random.seed(seed)
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            stack.enter_context(torch.autocast(kind, enabled=False))
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and it takes long to import
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # what the model warns of is no news of the build
        yield
