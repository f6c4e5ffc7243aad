"""A program whose borrowed arrays outlive the module that lent them."""

from __future__ import annotations

import subprocess
import sys

_LENDER = """
import builtins, sys
import numpy as np
from fwd_core.engine import dlpack
from fwd_core.ir import DType

class Lender:
    def __init__(self):
        self.array = np.arange(4.0)
    def __dlpack__(self, **options):
        return dlpack.lend(self, self.array.ctypes.data, (4,), DType.FLOAT64, (dlpack.CPU, 0))
    def __dlpack_device__(self):
        return (dlpack.CPU, 0)

"""


def run(borrowing: str) -> tuple[int, str, str]:
    """Run a program that borrows of ``Lender``: exit code, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", _LENDER + borrowing], check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr
