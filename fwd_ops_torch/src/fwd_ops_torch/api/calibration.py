"""Calibration as scripts of the original project write it, and the short way."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.builder import Builder
from fwd_core.errors import CalibrationError, InputError, OptionError
from fwd_core.events import Listener
from fwd_core.importing import DynamicDims
from fwd_core.ir import DType, Tensor
from fwd_core.plugins import Plugins
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.batches import Counted, NamedArrays, count_of, ordered
from fwd_core.quantize.calibrate import DEFAULT_ALGORITHM, Calibrator
from fwd_core.quantize.collect import Batches
from fwd_ops_torch.api.progress import shown_in_terminal
from fwd_ops_torch.api.sizes import dynamic_sizes

PathLike = Union[str, "os.PathLike[str]"]
_FOLDERS = (
    "Python takes arrays, as [numpy.load(file) for file in files]; a file or a folder goes to "
    "`fwd build --calibrate`"
)


class IPyBatchStream:
    """Base of streams of calibration data. A subclass calls ``__init__`` and overrides the rest.

    Batches are asked for until :meth:`next` says that there is none, or :meth:`getNumpyBatch`
    gives ``None``.

    Attributes:
        input_names: What models call the arrays of a batch, if the stream knows: inputs of these
            names are given theirs, in whatever order. By default arrays are in the order of the
            inputs.
    """

    input_names: Sequence[str] | None = None

    def __init__(self) -> None:
        """Nothing to do; the original's base class had to be initialised, so subclasses do it."""

    def next(self) -> bool:
        """Whether there is another batch."""
        raise NotImplementedError("a stream has next(), which says whether there is a batch")

    def getBatchSize(self) -> int:  # noqa: N802 - the interface's own name
        """First size of the arrays."""
        raise NotImplementedError("a stream has getBatchSize()")

    def size(self) -> Sequence[int]:
        """How many elements the array of each input has. Never asked: the arrays tell."""
        raise NotImplementedError("size() is not there")

    def bytesPerBatch(self) -> Sequence[int]:  # noqa: N802
        """How many bytes the array of each input has. Never asked: the arrays tell."""
        raise NotImplementedError("bytesPerBatch() is not there")

    def getNumpyBatch(self) -> Sequence[NDArray[Any]] | None:  # noqa: N802
        """An array for each input, in their order, flat or in shape; ``None`` for no more."""
        raise NotImplementedError("a stream has getNumpyBatch()")


class TrtInt8Calibrator(Calibrator):
    """The calibrator of the original project.

    ``TrtInt8Calibrator(stream, cache_file, algo)``, or ``TrtInt8Calibrator(cache_file, algo,
    batch_size)`` for a cache or scales that are there.

    A cache file that exists is used, and refused if it is of another model; otherwise the stream
    is calibrated with and the file is written.

    Args:
        first: The stream, or the cache file.
        second: The cache file, or the algorithm.
        third: The algorithm, or the batch size, which nothing depends on.

    Raises:
        OptionError: The arguments are neither of the two.
    """

    def __init__(
        self, first: IPyBatchStream | PathLike, second: PathLike, third: str | int
    ) -> None:
        if hasattr(first, "getNumpyBatch") and isinstance(third, str):
            stream: Any = first
            super().__init__(
                lambda ports: _from_stream(stream, ports), algorithm=third, cache=second
            )
        elif (
            isinstance(first, (str, os.PathLike))
            and isinstance(second, str)
            and isinstance(third, int)
            and third > 0
        ):
            super().__init__(None, algorithm=second, cache=first)
        else:
            raise OptionError(
                "arguments of TrtInt8Calibrator",
                expected="(stream, cache_file, algo) or (cache_file, algo, batch_size)",
                got=f"({type(first).__name__}, {second!r}, {third!r})",
            )

    def set_scale_file(self, path: PathLike) -> None:
        """Take ranges from a file with lines ``tensor:range``.

        See :meth:`fwd_core.quantize.CalibrationCache.load_scales`.
        """
        self.scales = path


#: Kinds of NumPy's types: objects, texts, times, complex numbers.
_NO_NUMBERS = "OUSMmc"


def given_batches(batches: Any) -> Batches:
    """What a calibrator takes, of what users give: an iterable, or a stream.

    Raises:
        CalibrationError: It is neither.
    """
    if isinstance(batches, Iterable) and not isinstance(batches, (str, bytes, Mapping)):
        return batches
    if hasattr(batches, "getNumpyBatch"):
        return lambda ports: _from_stream(batches, ports)
    raise CalibrationError(
        "batches are what can be iterated over",
        expected="a DataLoader, a list of tensors, arrays or mappings, an IPyBatchStream, or the "
        "like",
        got=type(batches).__name__,
        hint=_FOLDERS if isinstance(batches, (str, os.PathLike)) else None,
    )


def _from_stream(stream: Any, ports: Sequence[Port]) -> Iterator[Mapping[str, NDArray[Any]]]:
    while stream.next():
        arrays = stream.getNumpyBatch()
        if arrays is None:
            return
        if not isinstance(arrays, (Sequence, np.ndarray)) or isinstance(arrays, (str, bytes)):
            raise CalibrationError(
                "getNumpyBatch() gives a list of arrays, one for each input, or None for no more",
                expected=", ".join(map(str, ports)),
                got=type(arrays).__name__,
                hint="return [array] where there is one input",
            )
        if names := getattr(stream, "input_names", None):
            arrays = [arrays[at] for at in ordered(names, ports)]
        if len(arrays) != len(ports):
            raise CalibrationError(
                "getNumpyBatch() gives another number of arrays than the model has inputs",
                expected=", ".join(map(str, ports)),
                got=f"an array of shape {list(arrays.shape)}"
                if isinstance(arrays, np.ndarray)
                else len(arrays),
                hint="return a list of one array for each input",
            )
        batch = int(stream.getBatchSize())
        yield {
            port.name: _in_shape(port, np.asarray(array), batch)
            for port, array in zip(ports, arrays, strict=True)
        }


def _in_shape(port: Port, array: NDArray[Any], batch: int) -> NDArray[Any]:
    """A flat array of any number type, in the shape and type of an input."""
    if array.dtype.kind in _NO_NUMBERS:
        raise CalibrationError(
            f"input {port.name!r}: getNumpyBatch() gives no numbers",
            expected=port.type,
            got=f"{array.dtype}{list(array.shape)}",
            hint="convert what it gives to numbers: np.asarray(values, np.float32)",
        )
    if array.ndim != port.type.rank:
        shape = [dim if isinstance(dim, int) else batch for dim in port.type.shape]
        if any(not isinstance(dim, int) for dim in port.type.shape[1:]):
            raise CalibrationError(
                f"input {port.name!r} has dynamic sizes, which a flat array does not tell",
                expected=port.type,
                got=f"{array.dtype}{list(array.shape)}",
                hint="give arrays in shape from getNumpyBatch()",
            )
        if array.size != int(np.prod(shape, dtype=np.int64)):
            raise CalibrationError(
                f"input {port.name!r}: getNumpyBatch() gives another number of elements",
                expected=f"{shape}, of batch size {batch}",
                got=array.size,
                hint="give as many samples as getBatchSize() says, each of the model's size",
            )
        array = array.reshape(shape)
    dtype = port.type.dtype
    if dtype is DType.BFLOAT16 and array.dtype != dtype.storage:  # those are its words already
        return Tensor(array.astype(np.float32)).astype(dtype).data
    return array.astype(dtype.storage, copy=False)


def calibrate(
    model: Any,
    batches: Iterable[Any] | IPyBatchStream,
    *,
    algorithm: str = DEFAULT_ALGORITHM,
    example_inputs: Any = None,
    dynamic: DynamicDims | None = None,
    dynamic_batch: bool = False,
    skip: Sequence[str] = (),
    attention: bool = False,
    backend: str = "auto",
    plugins: Plugins | None = None,
    on_event: Listener | None = None,
) -> CalibrationCache:
    """Find the ranges of a model's tensors by running it on data.

    Args:
        model: As for :func:`build`.
        batches: Any iterable, gone through once: a ``DataLoader``, tensors or arrays, sequences of
            them in the order of the inputs, or mappings by input name. Or an
            :class:`IPyBatchStream`.
        algorithm: ``entropy``, ``entropy_2``, ``minmax``, ``percentile`` (``percentile=99.9``),
            ``mse``, or what a pack adds.
        example_inputs: As for :func:`build`; by default the first batch.
        dynamic: As for :func:`build`, for batches whose sizes differ.
        dynamic_batch: As for :func:`build`, for batches of fewer rows than the example, as the
            last one of a ``DataLoader`` often is.
        skip: Globs over module paths that stay in float.
        attention: Find ranges for the products of attention too.
        backend: Runs the model.
        plugins: Packs to use; by default all that are installed.
        on_event: Called with every event of progress. By default a terminal shows the batches.

    Returns:
        Ranges by tensor. ``cache.save(path)`` writes TensorRT's format; ``build(...,
        mode="int8", calibrator=cache)`` uses them; ``print(cache)`` shows them.

    Raises:
        CalibrationError: There are no batches, or a tensor holds NaN or infinity.
        ForwardError: Another subclass, as :func:`build`.
    """
    sizes = dynamic_sizes(dynamic, dynamic_batch)
    _require_order(model, batches)
    items, first = given_batches(batches), None
    if example_inputs is None:
        if callable(items):
            raise OptionError(
                "a stream of flat arrays does not tell what the model takes",
                expected="example_inputs=, as build() takes them",
                got=type(batches).__name__,
                hint="calibrate(model, stream, example_inputs=torch.zeros(...))",
            )
        first, items = _first_and_all(items)
        example_inputs = _as_tensors(first)
    listener = on_event if on_event is not None else shown_in_terminal()
    builder = Builder(backend=backend, plugins=plugins, on_event=listener)
    try:
        graph = builder.import_model(model, as_inputs(example_inputs), dynamic=sizes)
    except InputError as error:
        if first is not None:
            error.noted("the first batch is the example here; example_inputs= gives another one")
            if isinstance(first, NamedArrays):
                error.hinted("name the arrays that the model takes: inputs=[...] of the stream")
            elif isinstance(first, (list, tuple)):
                error.hinted("leave labels out: (images for images, _ in loader)")
        raise
    calibrator = Calibrator(items, algorithm=algorithm, skip=skip, attention=attention)
    return calibrator.calibrate(graph, builder)


def _require_order(model: Any, batches: Any) -> None:
    import torch

    kinds = (torch.nn.Module, torch.export.ExportedProgram)
    paths = (str, os.PathLike)
    if isinstance(batches, kinds) or (
        isinstance(batches, paths) and not isinstance(model, (*kinds, *paths))
    ):
        raise OptionError(
            "calibrate() takes the model first, and then the batches",
            expected="calibrate(model, batches)",
            got=f"calibrate({type(model).__name__}, {type(batches).__name__})",
        )


def _first_and_all(items: Iterable[Any]) -> tuple[Any, Iterable[Any]]:
    count, rest = count_of(items), iter(items)
    try:
        first = next(rest)
    except StopIteration:
        raise CalibrationError("there were no batches to calibrate with") from None
    return first, Counted(itertools.chain([first], rest), count)


def as_inputs(example_inputs: Any) -> tuple[Any, ...] | dict[str, Any]:
    """Example inputs as a builder takes them: one tensor is the only one."""
    if isinstance(example_inputs, Mapping):
        return dict(example_inputs)
    several = isinstance(example_inputs, (list, tuple))
    return tuple(example_inputs) if several else (example_inputs,)


def _as_tensors(batch: Any) -> Any:
    """A batch as an importer's example: arrays become tensors."""
    import torch

    if isinstance(batch, Mapping):
        return {name: _as_tensors(one) for name, one in batch.items()}
    if isinstance(batch, (list, tuple)):
        return tuple(_as_tensors(one) for one in batch)
    return torch.from_numpy(batch) if isinstance(batch, np.ndarray) else batch


def calibrator_of(
    given: Calibrator | CalibrationCache | PathLike | Iterable[Any] | IPyBatchStream,
) -> Calibrator:
    """What ``build(calibrator=...)`` takes: a calibrator, a cache or its file, or batches.

    Raises:
        OptionError: It is none of these.
    """
    if isinstance(given, Calibrator):
        return given
    if isinstance(given, (str, os.PathLike)) and os.path.isdir(given):
        raise OptionError(
            "argument 'calibrator'",
            expected="a calibrator, a calibration cache or its file, batches or a stream of them",
            got=f"a folder, {os.fspath(given)}",
            hint=_FOLDERS,
        )
    if isinstance(given, (CalibrationCache, str, os.PathLike)):
        return Calibrator(cache=given)
    if isinstance(given, Iterable) or hasattr(given, "getNumpyBatch"):
        return Calibrator(given_batches(given))
    raise OptionError(
        "argument 'calibrator'",
        expected="a calibrator, a calibration cache or its file, batches or a stream of them",
        got=type(given).__name__,
    )
