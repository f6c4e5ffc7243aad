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
    r'asm\("cvt\.rn\.f16x2.*?\)\);': "two.pairs[i] = to_half(numbers[2 * i]) | "
    "(unsigned)to_half(numbers[2 * i + 1]) << 16;",
}


def library(norm: norms.Norm, vector: int, folder: Path) -> Any:
    """The kernel as a function of the host, ``run``, whose first argument counts blocks."""
    source = norms.source()
    for pattern, replacement in _ASM.items():
        source, count = re.subn(pattern, replacement, source, flags=re.DOTALL)
        assert count == 1, pattern
    assert "asm(" not in source
    embeds = norm.tables > 0
    kinds = "Terms" if embeds else ", ".join(["const Element*"] * 3)
    names = [*kinds.split(", "), "const Element*", "const Element*", "Result*", "Long"]
    names += ["float", "float"]
    parameters = ", ".join(f"{name} a{i}" for i, name in enumerate(names))
    given = ", ".join(f"a{i}" for i in range(len(names)))
    entry = f'extern "C" void run(int blocks, {parameters}) {{\n'
    entry += f"  run_all({norm.name}, blocks, {given});\n}}\n"
    text = f"{_SHIM}{source}{_RUN}{entry}".replace("const Terms terms", "Terms terms")
    options = ("-D__CUDA_ARCH__=900", *norm.options(vector))
    name = hashlib.sha256((text + repr(options)).encode()).hexdigest()[:16]
    path, made = folder / f"{name}.cc", folder / f"{name}.so"
    path.write_text(text, encoding="utf-8")
    assert COMPILER is not None
    command = [COMPILER, "-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-pthread", *options]
    done = subprocess.run(
        [*command, str(path), "-o", str(made)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(made))


def address(array: NDArray[Any] | None) -> int:
    """Of an array, or 0."""
    return 0 if array is None else int(array.ctypes.data)


def run(norm: norms.Norm, vector: int, folder: Path, blocks: int, arguments: Sequence[Any]) -> None:
    """Run a kernel: arguments as for the driver."""
    library(norm, vector, folder).run(ctypes.c_int(blocks), *arguments)


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy whose address is a multiple of 64."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -address(room) % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
