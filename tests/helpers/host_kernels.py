"""CUDA kernels on threads of the host, so that what they compute is seen without a GPU.

The source is compiled by the host's own compiler: a thread of the host is a thread of a block,
blocks run one after another, and a shuffle is an exchange between two barriers. That proves
indices, order and arithmetic, not what is particular to a GPU: its memory, and its speed.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_plugins_bert.kernels import norms

COMPILER = shutil.which("g++")
_SHIM = r"""
#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __shared__ static
struct uint4 { unsigned x, y, z, w; };
struct uint2 { unsigned x, y; };
struct Place { unsigned x; };
static thread_local Place threadIdx, blockIdx, gridDim;
constexpr int THREADS_OF_BLOCK = THREADS * ROWS;
static std::barrier<> block(THREADS_OF_BLOCK);
static std::vector<std::barrier<>*> warps;
static float exchanged[THREADS_OF_BLOCK];
inline void __syncthreads() { block.arrive_and_wait(); }
template <typename T> T __ldg(const T* at) { return *at; }
template <typename T> T __ldcs(const T* at) { return *at; }
inline float __shfl_xor_sync(unsigned, float number, int offset) {
  std::barrier<>& warp = *warps[threadIdx.x / 32];
  exchanged[threadIdx.x] = number;
  warp.arrive_and_wait();
  number = exchanged[threadIdx.x ^ offset];
  warp.arrive_and_wait();
  return number;
}
template <typename To, typename From> To same_bits(From from) {
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}
inline float __int_as_float(int bits) { return same_bits<float>(bits); }
inline float of_half(unsigned short bits) { return same_bits<_Float16>(bits); }
inline unsigned short to_half(float number) { return same_bits<unsigned short>((_Float16)number); }
inline int to_byte(float number) {
  if (std::isnan(number)) return 0;
  return (int)std::fmin(std::fmax(std::nearbyint(number), -128.0f), 127.0f);
}
"""
_RUN = r"""
template <typename... Given>
static void run_all(void (*kernel)(Given...), int blocks, Given... given) {
  for (int warp = 0; warp < THREADS_OF_BLOCK / 32; ++warp) warps.push_back(new std::barrier<>(32));
  for (int at = 0; at < blocks; ++at) {
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS_OF_BLOCK; ++i)
      threads.emplace_back([=] {
        threadIdx.x = i, blockIdx.x = at, gridDim.x = blocks;
        kernel(given...);
      });
    for (auto& one : threads) one.join();
  }
}
"""
_ASM = {
    r'asm\("cvt\.f32\.f16[^;]*;" : "=f"\(number\) : "h"\(bits\)\)': "number = of_half(bits)",
    r'asm\("cvt\.rn\.f16\.f32[^;]*;" : "=h"\(bits\) : "f"\(number\)\)': "bits = to_half(number)",
    r'asm\("cvt\.rni[^;]*;" : "=r"\(byte\) : "f"\(quotient\)\)': "byte = to_byte(quotient)",
    r'asm\("cvt\.rn\.f16x2\.f32 %0, %1, %2;".*?"f"\(([^";]*)\), "f"\(([^";]*)\)\);': (
        # The first operand is the upper half.
        r"two.pairs[i] = (unsigned)to_half(\1) << 16 | to_half(\2);"
    ),
}


class HostDriver:
    """Stands where the driver does: what is launched runs at once, on memory of the host.

    Args:
        folder: For what is compiled.
    """

    def __init__(self, folder: Path) -> None:
        assert COMPILER is not None
        self._folder, self._compiler = folder, COMPILER
        self.launches = 0

    def function(self, key: Any, name: str, _compile_for: Any) -> Any:
        """The kernel as a function of the host, whose first argument counts blocks."""
        norm, vector = key
        assert norm.name == name
        return self._library(norm, vector).run

    def launch(
        self, kernel: Any, blocks: int, _threads: int, arguments: Sequence[Any], _stream: int
    ) -> None:
        """Run a kernel to its end."""
        kernel(ctypes.c_int(blocks), *arguments)
        self.launches += 1

    def _library(self, norm: norms.Norm, vector: int) -> ctypes.CDLL:
        text, options = _program(norm), ("-D__CUDA_ARCH__=900", *norm.options(vector))
        name = hashlib.sha256((text + repr(options)).encode()).hexdigest()[:16]
        path, made = (self._folder / f"{name}.{end}" for end in ("cc", "so"))
        if not made.exists():
            path.write_text(text, encoding="utf-8")
            command = [self._compiler, "-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-pthread"]
            done = subprocess.run(
                [*command, *options, str(path), "-o", str(made)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr[:3000]
        return ctypes.CDLL(str(made))


def _program(norm: norms.Norm) -> str:
    source = norms.source()
    for pattern, replacement in _ASM.items():
        source, count = re.subn(pattern, replacement, source, flags=re.DOTALL)
        assert count == 1, pattern
    assert "asm(" not in source
    names = ["Terms"] if norm.tables else ["const Element*"] * 3
    names += ["const Element*", "const Element*", "Result*", "Long", "float", "float"]
    parameters = ", ".join(f"{name} a{i}" for i, name in enumerate(names))
    given = ", ".join(f"a{i}" for i in range(len(names)))
    entry = f'extern "C" void run(int blocks, {parameters}) {{\n'
    entry += f"  run_all({norm.name}, blocks, {given});\n}}\n"
    return f"{_SHIM}{source}{_RUN}{entry}".replace("const Terms terms", "Terms terms")


class Held:
    """A copy of an array so many bytes after an address that is a multiple of 64."""

    def __init__(self, array: NDArray[Any], offset: int = 0) -> None:
        room = np.empty(array.nbytes + 64 + offset, np.uint8)
        start = -int(room.ctypes.data) % 64 + offset
        self.array = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.address = int(self.array.ctypes.data)
