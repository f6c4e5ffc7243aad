"""Running compiled models: inputs and outputs are the caller's own memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Context, Executable, Port
from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.openvino.plan import OpenVINOPlan
from fwd_core.backends.openvino.types import INT32_LIMITS, at_edge, in_float32, shared
from fwd_core.errors import InputError
from fwd_core.ir.dtypes import DType

if TYPE_CHECKING:
    from openvino import InferRequest

Ports = tuple[Sequence[Port], Sequence[Port]]
_LOW, _HIGH = INT32_LIMITS


class OpenVINOExecutable(Executable):
    """A compiled model that makes requests.

    Attributes:
        parallel: How many runs OpenVINO works on at once, by its hint and streams.
    """

    def __init__(self, plan: OpenVINOPlan, ports: Ports) -> None:
        self._plan = plan
        self._ports = ports
        self.parallel = int(plan.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))

    def context(self) -> OpenVINOContext:
        """A new request."""
        request = self._plan.compiled.create_infer_request()
        return OpenVINOContext(request, self._ports, self._plan.manifest["ports"])

    def layer_times(self, inputs: Sequence[Any], runs: int) -> list[LayerTime]:
        """Mean times of the compiled layers. See :meth:`Executable.layer_times`."""
        from fwd_core.backends.openvino.profiling import measure

        return measure(self._plan, self._ports, inputs, runs)


class OpenVINOContext(Context):
    """One request of a compiled model.

    OpenVINO's request points at the arrays of its last run but does not keep them alive, so every
    port is bound anew before each run.

    Attributes:
        request: OpenVINO's request.
    """

    def __init__(self, request: InferRequest, ports: Ports, sources: dict[str, Any]) -> None:
        import openvino

        self.request = request
        self._tensor: Callable[[NDArray[Any], bool], Any] = openvino.Tensor
        inputs, outputs = ports
        narrowed = set(sources["narrowed"])
        self._inputs = [
            (index, port, index in narrowed, port.type.dtype) for index, port in enumerate(inputs)
        ]
        # Positions of the output and of the input, whether in float32's numbers; the output's type.
        self._copied: list[tuple[int, int, bool, np.dtype[Any]]] = []
        self._repeated: list[tuple[int, int, np.dtype[Any]]] = []  # positions of it, of an earlier
        self._results: list[tuple[int, int, np.dtype[Any], DType]] = []
        self._passed: list[tuple[int, int, DType]] = []  # position, index of the result
        passed = set(sources["passed"])
        first: dict[int, int] = {}
        for position, (port, (kind, index)) in enumerate(
            zip(outputs, sources["outputs"], strict=True)
        ):
            storage = port.type.dtype.storage
            if kind != "result":
                self._copied.append((position, index, kind == "rounded", storage))
            elif first.setdefault(index, position) != position:
                self._repeated.append((position, first[index], storage))
            elif index in passed:
                self._passed.append((position, index, port.type.dtype))
            else:
                self._results.append((position, index, storage, port.type.dtype))

    def run(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Run once; OpenVINO reads the inputs and writes the new outputs where they are.

        Raises:
            InputError: An int64 input holds values out of int32's range, or OpenVINO cannot run
                on these values.
        """
        request, tensor = self.request, self._tensor
        held: list[NDArray[Any]] = []  # what OpenVINO reads while it runs
        for index, port, narrowed, dtype in self._inputs:
            array = inputs[index]
            if narrowed:
                _require_int32(port, array)
            elif dtype is DType.FLOAT64:
                array = in_float32(array)
                held.append(array)
            flags = array.flags
            if flags.behaved and dtype is not DType.BFLOAT16:
                request.set_input_tensor(index, tensor(array, True))
            else:
                aligned = array if flags.aligned else array.copy()
                request.set_input_tensor(index, shared(aligned, at_edge(dtype)))
        outputs: list[Any] = [None] * len(shapes)
        try:
            for position, index, storage, dtype in self._results:
                wide = dtype is DType.FLOAT64
                array = np.empty(shapes[position], np.float32 if wide else storage)
                outputs[position] = array
                bound = shared(array, dtype) if dtype is DType.BFLOAT16 else tensor(array, True)
                request.set_output_tensor(index, bound)
            request.infer(share_outputs=True)
        except RuntimeError as error:
            raise InputError(
                "OpenVINO cannot run the model on these inputs",
                got=", ".join(f"{one.dtype}{list(one.shape)}" for one in inputs),
                details=[str(error)],
                hint="indices may be out of range, or sizes that the model computes impossible",
            ) from None
        for position, _index, storage, dtype in self._results:
            if dtype is DType.FLOAT64:
                outputs[position] = outputs[position].astype(storage)
        for position, index, dtype in self._passed:
            words = request.get_output_tensor(index).data.view(at_edge(dtype).storage)
            outputs[position] = words.astype(dtype.storage)
        for position, index, rounded, storage in self._copied:
            outputs[position] = (in_float32 if rounded else np.asarray)(inputs[index]).astype(
                storage
            )
        for position, earlier, storage in self._repeated:
            outputs[position] = outputs[earlier].astype(storage)
        return outputs


def _require_int32(port: Port, array: NDArray[Any]) -> None:
    # One pass settles the common case: the bits of numbers from 0 to 2^31 - 1 are among theirs.
    if 0 <= np.bitwise_or.reduce(array, axis=None) <= _HIGH:
        return
    low, high = int(array.min()), int(array.max())
    if low < _LOW or high > _HIGH:
        raise InputError(
            f"input {port.name!r} holds values that OpenVINO cannot compute with",
            expected=f"{_LOW} … {_HIGH}: it computes int64 in 32 bits",
            got=f"{low} … {high}",
        )
