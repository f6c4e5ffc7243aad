"""Arrays for an engine's inputs: given ones by name, and made-up ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.cli.inputs import Examples, InputSpec
from fwd_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fwd_core.backends import Port
    from fwd_core.ir.types import TensorType

SEED = 0


def by_name(ports: Sequence[Port], given: Examples) -> dict[str, Any]:
    """Inputs by name; those by position are for the ports in order.

    Raises:
        InputError: There are more than ports.
    """
    if isinstance(given, dict):
        return given
    if len(given) > len(ports):
        raise InputError(
            "wrong number of inputs",
            expected=f"{len(ports)}: {', '.join(map(str, ports))}",
            got=len(given),
        )
    return {port.name: value for port, value in zip(ports, given, strict=False)}


def complete(
    ports: Sequence[Port], given: Mapping[str, Any], batch: int | None, *, seed: int = SEED
) -> dict[str, NDArray[Any]]:
    """An array for every port: given values, and random ones.

    Those are of given shapes or of the sizes that the engine is tuned for. Floats are in 0 … 1,
    integers 0 or 1, which are indices into anything.

    Args:
        ports: The engine's inputs.
        given: Arrays or specs with shapes by name.
        batch: Size of the batch, where the engine leaves it open.
        seed: Of the random values.

    Raises:
        InputError: A name is unknown, a shape does not fit, or the batch is fixed.
    """
    import numpy as np

    from fwd_core.engine.inputs import bind
    from fwd_core.ir.dims import evaluate, symbols

    known = {port.name: port for port in ports}
    if unknown := [name for name in given if name not in known]:
        raise InputError(
            f"the engine has no input {unknown[0]!r}", expected=", ".join(map(str, ports))
        )
    shaped = [known[name] for name in given]
    sizes = bind(shaped, [tuple(value.shape) for value in given.values()])
    if batch is not None:
        name = _batch_symbol(ports, batch)
        if sizes.setdefault(name, batch) != batch:
            raise InputError(
                "the batch of the given inputs differs", expected=batch, got=sizes[name]
            )
    for port in ports:
        for symbol in symbols(*port.type.shape):
            sizes.setdefault(symbol.name, symbol.opt)
    generator = np.random.default_rng(seed)
    feeds: dict[str, NDArray[Any]] = {}
    for port in ports:
        value = given.get(port.name)
        if value is None or isinstance(value, InputSpec):
            shape = tuple(evaluate(dim, sizes) for dim in port.type.shape)
            kind = port.type
            if isinstance(value, InputSpec) and value.dtype is not None:
                kind = kind.with_dtype(value.dtype)
            value = _random(generator, kind, shape)
        feeds[port.name] = value
    return feeds


def readable(port: Port, array: NDArray[Any]) -> NDArray[Any]:
    """An output as NumPy can show it: bfloat16 words become float32."""
    from fwd_core.ir.dtypes import DType
    from fwd_core.ir.tensor import Tensor

    if port.type.dtype is not DType.BFLOAT16:
        return array
    return Tensor(array, DType.BFLOAT16).astype(DType.FLOAT32).data


def _random(generator: Any, kind: TensorType, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    from fwd_core.ir.dtypes import DType

    if kind.dtype.is_float:
        values = generator.random(shape, np.float32)
        narrow = DType.FLOAT32 if kind.dtype is DType.BFLOAT16 else kind.dtype  # engines round
        return np.asarray(values, narrow.storage)
    return np.asarray(generator.integers(0, 2, shape), kind.dtype.storage)


def _batch_symbol(ports: Sequence[Port], batch: int) -> str:
    from fwd_core.ir.dims import single_symbol

    first = next((port for port in ports if port.type.rank), None)
    symbol = None if first is None else single_symbol(first.type.shape[0])
    if first is not None and symbol is not None:
        if symbol.min <= batch <= symbol.max:
            return symbol.name
        raise InputError(
            f"the batch is out of range of {first}",
            expected=f"{symbol.min} … {symbol.max}",
            got=batch,
            hint="build again with a range that holds it",
        )
    raise InputError(
        f"the batch of the engine is fixed: {', '.join(map(str, ports))}",
        hint="build it with --dynamic-batch, or leave --batch out",
    )
