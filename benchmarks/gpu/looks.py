"""A look at the compiled layers of an engine, after what its build took was measured.

Types of layers are told by plans of detailed verbosity alone, so both routes are built with it in
modes whose types matter. Forward's option ``layers`` would list them inside of the build: the plan
is loaded for it once more, which costs seconds and memory that the parser's route does not spend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from fwd_core import Engine
from fwd_core.backends.tensorrt import backend, inspector
from fwd_core.backends.tensorrt.compiling import configure
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import listen
from fwd_core.backends.tensorrt.runtime import device
from fwd_core.errors import ForwardError


def _detailed(library: Library, *args: Any, **kwargs: Any) -> Any:
    """What Forward configures, of the same verbosity as the parser's route."""
    config = configure(library, *args, **kwargs)
    config.profiling_verbosity = library.trt.ProfilingVerbosity.DETAILED
    return config


def tell_types() -> None:
    """Let builds of Forward in this process make plans that tell the types of their layers."""
    vars(backend)["configure"] = _detailed


def products(layers: Sequence[CompiledLayer]) -> dict[str, Any]:
    """Types that the products of an engine multiply, and which of them are not int8.

    ``opaque`` counts layers that hold several kernels and tell nothing of them.
    """
    found = [one for one in layers if one.is_product]
    floats = [one.name[:120] for one in found if one.product_dtype != "Int8"]
    return {
        "products": dict(Counter(one.product_dtype for one in found)),
        "not int8": floats[:24],
        "opaque": sum(one.is_opaque for one in layers),
        "kernels": len(layers),
        "listed": "after the build",
    }


def look(library: Library, plan: Any, again: Callable[[], Engine] | None) -> dict[str, Any]:
    """The products of a plan; ``untold`` says why they cannot be told.

    Args:
        library: The flavour.
        plan: Its bytes.
        again: Builds the engine again with its layers listed, where there is no GPU to load the
            plan on.
    """
    try:
        if device.find()[0] is not None:
            with listen(library.trt) as record:
                return products(inspector.of_plan(library, plan, record))
        if again is None:
            return {"untold": "there is no GPU to load the plan on"}
        listed = again().plan.manifest["layers"]
        return products([CompiledLayer.from_json(one) for one in listed])
    except ForwardError as error:
        return {"untold": str(error)}
