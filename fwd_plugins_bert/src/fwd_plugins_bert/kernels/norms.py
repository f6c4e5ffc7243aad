"""The kernels of ``norms.cu``: what they are compiled for, and how they are launched."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from fwd_plugins_bert.kernels import compiling, driver
from fwd_plugins_bert.kernels.compiling import KernelError

#: Elements of a row.
MOST_WIDTH = 32768
#: Tables, and tensors added to their rows, of embeddings.
MOST_TERMS = 4
#: Elements that a thread holds, all in registers.
_HELD = 32
_WARP = 32
#: Threads of a block whose warps have a row each.
_BLOCK = 128
#: Bytes of the widest load.
_LOAD = 16
#: Steps for int8 whose inverse is a number too.
_STEPS = (1e-30, 1e30)


@dataclass(frozen=True)
class Norm:
    """What a kernel computes, which it is compiled for.

    Attributes:
        width: Elements of a row.
        half: Elements are float16, else float32.
        scale: Whether there is a vector to multiply with.
        shift: Whether there is one to add at the end.
        bias: Whether there is one to add to the sum; not for embeddings.
        int8: The result is int8; not for embeddings.
        tables: How many tables rows are picked from; 0 for a residual sum.
        added: How many tensors are added to these rows.
        long: Indices are int64, else int32.
    """

    width: int
    half: bool = False
    scale: bool = True
    shift: bool = True
    bias: bool = False
    int8: bool = False
    tables: int = 0
    added: int = 0
    long: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MOST_WIDTH:
            raise KernelError(
                "norms have kernels for rows of some widths",
                expected=f"1 … {MOST_WIDTH}",
                got=self.width,
            )
        if max(self.tables, self.added) > MOST_TERMS or (self.added and not self.tables):
            raise KernelError(
                f"kernels add rows of 1 … {MOST_TERMS} tables and 0 … {MOST_TERMS} tensors",
                got=f"{self.tables} and {self.added}",
            )
        if self.tables and (self.int8 or self.bias):
            raise KernelError("the kernel for embeddings has no bias, and no result in int8")

    @property
    def name(self) -> str:
        """Of the kernel."""
        return "embedding_norm" if self.tables else "skip_norm"

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return 2 if self.half else 4

    def vector(self, addresses: Sequence[int] = (), out: int = 0) -> int:
        """Elements of one load: as many as width and addresses allow, and 16 bytes hold.

        Args:
            addresses: Of what is read.
            out: Of what is written.
        """
        size = _LOAD // self.itemsize
        wide = self.itemsize * size
        common = math.gcd(wide, *addresses) // self.itemsize
        item = 1 if self.int8 else self.itemsize
        return math.gcd(size, self.width, common, max(math.gcd(wide, out) // item, 1))

    def threads(self, vector: int) -> tuple[int, int]:
        """Threads that share a row, and rows of a block."""
        threads = _WARP
        while math.ceil(self.width // vector / threads) * vector > _HELD:
            threads *= 2
        return threads, max(_BLOCK // threads, 1) if threads == _WARP else 1

    def options(self, vector: int) -> tuple[str, ...]:
        """Macros of the source."""
        threads, rows = self.threads(vector)
        macros: dict[str, object] = {
            "HALF": int(self.half),
            "INT8": int(self.int8),
            "WIDTH": self.width,
            "VECTOR": vector,
            "THREADS": threads,
            "ROWS": rows,
            "BIAS": int(self.bias),
            "SCALE": int(self.scale),
            "SHIFT": int(self.shift),
            "TABLES": self.tables,
            "ADDED": self.added,
            "INDEX": "Long" if self.long else "int",
        }
        return tuple(f"-D{name}={value}" for name, value in macros.items())

    def compiled(self, capability: str, vector: int | None = None) -> bytes:
        """Machine code for a GPU, as ``sm_90``. Needs none.

        Raises:
            KernelError: NVRTC is missing, or refuses.
        """
        options = self.options(self.vector() if vector is None else vector)
        return compiling.compiled(source(), self.name, capability, options)

    def prepare(self, vector: int | None = None) -> None:
        """Compile and load the kernel for the current context, before it is needed.

        Raises:
            KernelError: It cannot be compiled or loaded.
        """
        self._function(self.vector() if vector is None else vector)

    def _function(self, vector: int) -> object:
        return driver.function(
            (self, vector), self.name, lambda capability: self.compiled(capability, vector)
        )

    def _launch(
        self,
        vector: int,
        rows: int,
        arguments: Sequence[object],
        numbers: tuple[float, float],
        stream: int,
        blocks: int,
    ) -> None:
        if rows == 0:
            return
        threads, per_block = self.threads(vector)
        count = min(math.ceil(rows / per_block), blocks)
        every = [
            *arguments,
            ctypes.c_longlong(rows),
            *(ctypes.c_float(number) for number in numbers),
        ]
        driver.launch(self._function(vector), count, threads * per_block, every, stream)


@lru_cache(maxsize=None)
def source() -> str:
    """The CUDA C++ of all kernels."""
    return resources.files(__package__).joinpath("norms.cu").read_text(encoding="utf-8")


def skip_norm(
    norm: Norm,
    x: int,
    skip: int,
    out: int,
    rows: int,
    *,
    epsilon: float,
    bias: int = 0,
    scale: int = 0,
    shift: int = 0,
    step: float = 1.0,
    stream: int = 0,
    blocks: int = driver.MOST_BLOCKS,
) -> None:
    """Queue layer normalization of x + bias + skip, row by row.

    Args:
        norm: What is computed.
        x: Address of the first operand, as all of these: [rows, width].
        skip: The second.
        out: The result, which may lie where an operand does.
        rows: How many there are.
        epsilon: Is added to the variance.
        bias: [width], as the next two; read where ``norm`` has one.
        scale: Multiplies what is normalized.
        shift: Is added to it.
        step: Of int8: the result is round(norm / step), within -128 … 127.
        stream: Handle of the stream.
        blocks: At most so many, each of which takes further rows.

    Raises:
        KernelError: The kernel cannot be compiled, loaded or launched.
    """
    if norm.tables:
        raise KernelError("a norm of embeddings is no norm of a residual sum", got=norm)
    if norm.int8 and not _STEPS[0] <= step <= _STEPS[1]:
        raise KernelError("int8 needs a step", expected=f"{_STEPS[0]:g} … {_STEPS[1]:g}", got=step)
    read = [x, skip, *_read(norm, bias, scale, shift)]
    arguments = [ctypes.c_void_p(each) for each in (x, skip, bias, scale, shift, out)]
    numbers = (epsilon, step)
    norm._launch(norm.vector(read, out), rows, arguments, numbers, stream, blocks)


def embedding_norm(
    norm: Norm,
    tables: Sequence[tuple[int, int, int]],
    added: Sequence[tuple[int, int]],
    out: int,
    rows: int,
    *,
    epsilon: float,
    scale: int = 0,
    shift: int = 0,
    stream: int = 0,
    blocks: int = driver.MOST_BLOCKS,
) -> None:
    """Queue layer normalization of the sum of rows of tables and of further rows.

    An index that a table does not have makes a row of NaN.

    Args:
        norm: What is computed.
        tables: Of each: address, its rows, and address of the indices [rows].
        added: Of each: address, and after how many rows it is read from its start again.
        out: Address of the result [rows, width].
        rows: How many there are.
        epsilon: Is added to the variance.
        scale: Address of [width], read where ``norm`` has one, as the next.
        shift: The same.
        stream: Handle of the stream.
        blocks: At most so many, each of which takes further rows.

    Raises:
        KernelError: The kernel cannot be compiled, loaded or launched.
    """
    if (len(tables), len(added)) != (norm.tables, norm.added) or not tables:
        raise KernelError(
            "embeddings come as a kernel was made for",
            expected=f"{norm.tables} tables and {norm.added} tensors",
            got=f"{len(tables)} and {len(added)}",
        )
    terms = _terms(norm)()
    for i, (address, count, indices) in enumerate(tables):
        terms.tables[i], terms.sizes[i], terms.indices[i] = address, count, indices
    for i, (address, period) in enumerate(added):
        terms.added[i], terms.periods[i] = address, period
    read = [address for address, *_ in (*tables, *added)]
    read += _read(norm, 0, scale, shift)
    arguments = [terms, *(ctypes.c_void_p(each) for each in (scale, shift, out))]
    norm._launch(norm.vector(read, out), rows, arguments, (epsilon, 1.0), stream, blocks)


def _read(norm: Norm, bias: int, scale: int, shift: int) -> list[int]:
    """Those vectors that are there.

    Raises:
        KernelError: One that the kernel reads has no address.
    """
    wanted = {"bias": (norm.bias, bias), "scale": (norm.scale, scale), "shift": (norm.shift, shift)}
    if missing := [name for name, (there, address) in wanted.items() if there and not address]:
        raise KernelError(f"the kernel reads a {missing[0]}, of which no address was given")
    return [address for there, address in wanted.values() if there]


@lru_cache(maxsize=None)
def _terms(norm: Norm) -> type[ctypes.Structure]:
    """The structure ``Terms`` of the source."""
    tables, added = norm.tables, max(norm.added, 1)

    class Terms(ctypes.Structure):
        _fields_ = (
            ("tables", ctypes.c_void_p * tables),
            ("indices", ctypes.c_void_p * tables),
            ("sizes", ctypes.c_longlong * tables),
            ("added", ctypes.c_void_p * added),
            ("periods", ctypes.c_longlong * added),
        )

    return Terms
