"""The compiled layers of a loaded engine, from TensorRT's engine inspector.

TensorRT 8.6, 10 and 11 write the same document with small differences: how an element type is
told (inside a sentence about the memory format, or by a key of its own), whether layers of the
network name themselves in ``Metadata`` or only in the kernel's name, joined by ``+``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fwd_core.backends.tensorrt.layers import CompiledLayer, CompiledTensor, nodes_of
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record, logger
from fwd_core.errors import BuildError

#: Words for element types, in sentences such as "Channel major FP16 format where channel % 8 == 0".
_DTYPES = (
    (re.compile(r"\bBF16\b|\bBFloat16\b", re.IGNORECASE), "BFloat16"),
    (re.compile(r"\bFP16\b|\bHalf\b", re.IGNORECASE), "Half"),
    (re.compile(r"\bFP32\b|\bFloat\b", re.IGNORECASE), "Float"),
    (re.compile(r"\bFP8\b", re.IGNORECASE), "FP8"),
    (re.compile(r"\bUINT8\b", re.IGNORECASE), "UInt8"),
    (re.compile(r"\bINT8\b", re.IGNORECASE), "Int8"),
    (re.compile(r"\bINT32\b", re.IGNORECASE), "Int32"),
    (re.compile(r"\bINT64\b", re.IGNORECASE), "Int64"),
    (re.compile(r"\bBOOL\b", re.IGNORECASE), "Bool"),
)
#: A layer of our network inside the name of a kernel; see ``TensorRTLowering.named``.
_LAYER = re.compile(r"(?P<node>[^\s,()\[\]{}+:.][^\s,()\[\]{}+:]*)/\d+:\w+")
#: What says which profile a kernel is for; a profiler's names have it too.
_PROFILE = re.compile(r" \[profile (\d+)\]$")


def parse(text: str) -> list[CompiledLayer]:
    """The layers in what ``get_engine_information`` tells as JSON.

    Raises:
        BuildError: It is no such document.
    """
    try:
        # Not strict: metadata of joined layers is separated by control characters.
        layers = json.loads(text, strict=False)["Layers"]
        return [_layer(entry) for entry in layers]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(
            "TensorRT's engine inspector tells something unknown",
            expected='JSON with "Layers"',
            got=text[:200],
            details=[repr(error)],
        ) from None


def inspect(library: Library, engine: Any, context: Any, record: Record) -> list[CompiledLayer]:
    """The layers of a loaded engine.

    Args:
        library: The flavour.
        engine: An ``ICudaEngine``.
        context: An execution context with input shapes set, or ``None``: then TensorRT 8 does not
            tell the types of tensors with dynamic sizes.
        record: Where the flavour reports errors.

    Raises:
        BuildError: There is no inspector, or it tells nothing.
    """
    inspector = engine.create_engine_inspector()
    if inspector is None:
        raise BuildError(f"{library.flavour} makes no inspector", details=record.problems())
    if context is not None:
        inspector.execution_context = context
    text = inspector.get_engine_information(library.trt.LayerInformationFormat.JSON)
    if not text:
        raise BuildError(
            f"{library.flavour} tells no layers of its engine", details=record.problems()
        )
    return parse(text)


def of_plan(library: Library, plan: Any, record: Record) -> list[CompiledLayer]:
    """The layers of a plan that was just built, which is loaded for it.

    Raises:
        BuildError: The plan cannot be loaded here, refuses its own sizes, or tells nothing.
    """
    trt = library.trt
    runtime = trt.Runtime(logger(trt))
    runtime.error_recorder = record.recorder
    runtime.engine_host_code_allowed = True  # it is our own
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BuildError(
            f"{library.flavour} cannot load its own plan to tell the compiled layers",
            details=record.problems(),
        )
    context = engine.create_execution_context()
    if context is not None:
        set_shapes(library, engine, context, record)
    return inspect(library, engine, context, record)


def set_shapes(library: Library, engine: Any, context: Any, record: Record) -> None:
    """Give a context the sizes that its first profile is tuned for.

    Raises:
        BuildError: TensorRT refuses them.
    """
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == library.trt.TensorIOMode.INPUT
        if is_input and -1 in tuple(engine.get_tensor_shape(name)):
            _least, best, _greatest = engine.get_tensor_profile_shape(name, 0)
            if not context.set_input_shape(name, best):
                raise BuildError(
                    f"{library.flavour} refuses the sizes of {name!r} that it tuned its plan for",
                    got=list(best),
                    details=record.problems(),
                )


def _layer(entry: Any) -> CompiledLayer:
    if isinstance(entry, str):  # all that there is without details
        return CompiledLayer(entry, "", (), (), (), "", nodes_in(entry))
    weights = [
        CompiledTensor(role.lower(), (int(entry[role].get("Count", 0)),), entry[role]["Type"])
        for role in ("Weights", "Bias")
        if isinstance(entry.get(role), Mapping) and "Type" in entry[role]
    ]
    name = entry["Name"]
    return CompiledLayer(
        name=name,
        kind=entry.get("LayerType", ""),
        inputs=_tensors(entry.get("Inputs", ())),
        constants=(*_tensors(entry.get("Constants", ())), *weights),
        outputs=_tensors(entry.get("Outputs", ())),
        tactic=entry.get("TacticName", ""),
        # Either may tell of some alone: metadata of the layer that others were joined to, and of
        # a long name the ends.
        nodes=tuple(dict.fromkeys([*nodes_of(entry.get("Metadata", "")), *nodes_in(name)])),
    )


def _tensors(entries: Any) -> tuple[CompiledTensor, ...]:
    return tuple(
        CompiledTensor(
            entry["Name"],
            tuple(int(size) for size in entry.get("Dimensions", ())),
            element_type(entry.get("Datatype") or entry.get("Format/Datatype", "")),
        )
        for entry in entries
    )


def element_type(words: str) -> str:
    """TensorRT's name of an element type in what it says of a tensor, ``""`` if it does not say.

    TensorRT 8 says "N/A due to dynamic shapes" where no shapes are set.
    """
    found = [name for pattern, name in _DTYPES if pattern.search(words)]
    return found[0] if found else ""


def nodes_in(name: str) -> tuple[str, ...]:
    """Names of our nodes in the name of a kernel.

    Of a piece of the network that one opaque layer computes, the name tells the first and the
    last.
    """
    if name.startswith("Reformatting"):  # it moves what the named layers read
        return ()
    return tuple(dict.fromkeys(match["node"] for match in _LAYER.finditer(name)))


def without_profile(name: str) -> str:
    """The name of a kernel without the profile that it is for."""
    return _PROFILE.sub("", name)
