"""Parity tests of converters: what each one covers, and proof that it does.

A test says which converters it is for. While it runs, the calls that reach converters are
recorded; at its end every overload of these operators must have been converted, and every argument
must have taken two values or more, unless the test or the converter says why not. So that nothing
is retyped, the walk over the registry reads the keys from here.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fwd_core.ir import DType, Tensor
from fwd_core.plugins import Plugins
from fwd_core.testing import Parity, assert_parity
from fwd_core.testing import strategies as fwd
from fwd_core.testing.compare import DEFAULTS, Tolerances, tolerance_for
from fwd_ops_torch.converting.schemas import Argument, Schema
from fwd_ops_torch.converting.table import ConverterTable, converted_overloads
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.testing import module_from_source

#: Keys of converters that have a parity test, with the names of the tests.
COVERED: dict[str, list[str]] = {}
#: Forms that the test under way has imported.
_IMPORTED: set[str] = set()
#: Examples of the test under way that were to be exported, and those that torch did export.
_EXPORTS: Counter[str] = Counter()
#: What this process has done: examples, and how often each form, backend and refusal occurred.
TOTALS: Counter[str] = Counter()
#: What parity was proved for in this process, by key: dtypes of the operator's tensors, backends.
PROVED: dict[str, dict[str, set[str]]] = {}
#: Keys that were converted in the example under way, with the dtypes of their tensors.
_CONVERTED: dict[str, set[str]] = {}
QUICK = ("traced", "scripted", "exported")
#: A profile of fewer examples keeps cases for other machines, and is not asked to draw everything.
FEW = 20
#: Whether the operator table is being made, which wants every example on every backend.
_FOR_THE_TABLE = "FORWARD_OPERATOR_TABLE" in os.environ
#: Exporting takes half of an example's time and decomposing ten times as long as all else, so that
#: half of the examples are exported (hypothesis draws 0 of three more often than a third), and one
#: in seven of these is decomposed too.
_EXPORTED, _DECOMPOSED = 3, 7

#: float64 is left out: backends compute it in float32, and say so.
FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
INTEGERS = (DType.INT64, DType.INT32, DType.INT16, DType.INT8, DType.UINT8)
ANY = (*FLOATS, *INTEGERS, DType.BOOL)


@functools.lru_cache(maxsize=None)
def plugins() -> Plugins:
    """The installed packs, loaded once for all parity tests."""
    return Plugins.discover({})


class Seen:
    """Operator calls: the values that arguments had, and the overloads that were converted."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, set[str]]] = {}
        self.converted: dict[str, set[str]] = {}

    def note(self, schema: Schema, arguments: Mapping[str, Any]) -> None:
        """Note one call; calls on constants only are computed and never converted."""
        values = self.values.setdefault(schema.name, {})
        for name, value in arguments.items():
            values.setdefault(name, set()).add(_told(value))

    def require(
        self, key: str, without: Mapping[str, str], fixed: Mapping[str, str]
    ) -> None:  # fmt: skip
        """Fail unless all overloads and arguments of an operator were drawn."""
        converter = ConverterTable.of(plugins())[key]
        declared = {*converter.mark.no_effect, *converter.mark.unsupported, *fixed}
        listed = converted_overloads(key)
        assert listed, f"{key} is no operator of this torch"
        seen = self.converted.get(key, set())
        missing = {schema.overload for schema in listed} - seen - set(without)
        assert not missing, f"{key}: overloads never converted: {sorted(missing)}"
        drawn = self.values.get(key, {})
        for schema in listed:
            for argument in schema.arguments:
                if schema.overload in without or argument.name in declared:
                    continue
                values = drawn.get(argument.name, set())
                enough = 1 if _contents_vary(argument) else 2
                assert len(values) >= enough, f"{key}: {argument.name} was only {sorted(values)}"


def _contents_vary(argument: Argument) -> bool:
    return argument.is_tensor and not argument.optional


def _dtypes(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, TensorRef):
            yield str(value.type.dtype)
        elif isinstance(value, (list, tuple)):
            yield from _dtypes(value)


def _told(value: Any) -> str:
    if isinstance(value, TensorRef):
        return "tensor"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_told, value))}]"
    return repr(value)


@contextmanager
def recording() -> Iterator[Seen]:
    """Record every call of an operator, and which reach a converter."""
    seen, originals = Seen(), (Session._call, Session.convert)

    def call(self: Session, schema: Schema, arguments: dict[str, Any], where: Any) -> Any:
        seen.note(schema, arguments)
        return originals[0](self, schema, arguments, where)

    def convert(self: Session, schema: Schema, arguments: Mapping[str, Any], where: Any) -> Any:
        seen.converted.setdefault(schema.name, set()).add(schema.overload)
        _CONVERTED.setdefault(schema.name, set()).update(_dtypes(list(arguments.values())))
        return originals[1](self, schema, arguments, where)

    Session._call, Session.convert = call, convert  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Session._call, Session.convert = originals  # type: ignore[method-assign]


def covers(
    *keys: str,
    without: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    each: Mapping[str, Sequence[Any]] | None = None,
    examples: float = 1,
    exported: bool = True,
    traced: bool = True,
    **tables: Iterable[Any],
) -> Callable[[Callable[..., None]], Any]:
    """Make a hypothesis test of a function that draws from ``data`` and checks converters.

    Args:
        keys: Converters, as ``aten::relu``; ``{name}`` in it stands for a parameter.
        without: Overloads that the test leaves out, with the reason.
        fixed: Arguments that have one value only, with the reason.
        each: Parameters that one test goes through, with their values; they share its examples.
        examples: How many examples, compared with other tests.
        exported: Whether torch.export takes such programs at all.
        traced: Whether the tracer does.
        tables: Parameters of the test and their values.
    """
    rounds = [dict(zip(each or {}, chosen, strict=True))
              for chosen in itertools.product(*(each or {}).values())]  # fmt: skip

    def decorate(test: Callable[..., None]) -> Any:
        most = settings().max_examples
        count = max(2 if most < FEW else 4, int(most * examples / len(rounds)))
        # Explaining a failure runs it hundreds of times more.
        phases = [phase for phase in settings().phases if phase is not Phase.explain]
        drawn = settings(max_examples=count, phases=phases)(given(data=st.data())(test))

        @functools.wraps(drawn)
        def run(**parameters: Any) -> None:
            _IMPORTED.clear()
            _EXPORTS.clear()
            with recording() as seen:
                for chosen in rounds:
                    drawn(**parameters, **chosen)
            if most < FEW:
                return
            wanted = {"exported" if exported else "scripted", "traced" if traced else "scripted"}
            assert wanted <= _IMPORTED, f"only {_IMPORTED} were imported"
            # torch.export gives some sizes up, those of 1 above all; it may not give up most.
            assert _EXPORTS["done"] * 2 >= _EXPORTS["asked"], f"rarely exported: {_EXPORTS}"
            for key in keys:
                seen.require(key.format(**parameters), without or {}, fixed or {})

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p for name, p in inspect.signature(drawn).parameters.items() if name not in rounds[0]]
        )
        marked: Any = run
        for name, values in tables.items():
            marked = pytest.mark.parametrize(name, list(values))(marked)
        for combination in itertools.product(*tables.values()):
            chosen = dict(zip(tables, combination, strict=True))
            for key in keys:
                COVERED.setdefault(key.format(**chosen), []).append(test.__name__)
        return marked

    return decorate


@functools.lru_cache(maxsize=None)
def _backends() -> tuple[str, ...]:
    """OpenVINO, and TensorRT where it can at least build."""
    names = ("openvino", "tensorrt")
    return tuple(name for name in names if plugins().backends[name].availability().build)


def check(
    data: st.DataObject,
    source: str,
    *,
    batch: Sequence[str] = (),
    buffers: Mapping[str, Any] | None = None,
    arguments: Mapping[str, str] | None = None,
    forms: Sequence[str] = QUICK,
    decompose: bool = True,
    tolerance: Tolerances = None,
    may_raise: bool = False,
    mixes: bool = False,
    **inputs: Any,
) -> Parity:
    """Check a module made of text, in several forms.

    Args:
        data: Draws whether the batch is dynamic.
        source: As for :func:`fwd_ops_torch.testing.module_from_source`.
        batch: Inputs whose axis 0 is the batch, if the text works for every batch: half of the
            examples then build one engine for many batches, and run it on a second one.
        buffers: Tensors that the module holds.
        arguments: Types of arguments that TorchScript has to be told.
        forms: Forms to import: all that TorchScript has, now and then ``exported`` or no other,
            and then at times ``decomposed`` too.
        decompose: Whether what torch decomposes it to is of this test's operators at all.
        tolerance: For float outputs.
        may_raise: Torch may refuse what was drawn; then the imports must refuse it too.
        mixes: Whether half and float32 inputs may meet after something was computed of the half
            ones: torch rounds that to half, and engines do not.
        inputs: Arguments of the module by name.
    """
    if mixes:
        tolerance = _of_mixed(tolerance, inputs.values())
    spelled = [f"{name}: {arguments[name]}" if arguments and name in arguments else name
               for name in inputs]  # fmt: skip
    module = module_from_source(source, *spelled, **(buffers or {}))
    dynamic = second = None
    sizes = {_shape(inputs[name])[0] for name in batch if _shape(inputs[name])}
    if len(sizes) == 1 and (size := sizes.pop()) > 1 and all(_shape(inputs[n]) for n in batch):
        if data.draw(st.booleans(), label="dynamic batch"):
            other = data.draw(st.integers(1, size - 1), label="second batch")
            dynamic = {name: {0: ("batch", 1, size, size)} for name in batch}
            second = tuple(
                _first(value, other) if name in batch else value for name, value in inputs.items()
            )
    chosen = drawn_forms(data, forms, decompose)
    _CONVERTED.clear()
    parity = assert_parity(
        module,
        tuple(inputs.values()),
        backend=_backends()
        if data.draw(st.integers(0, 2), label="on all at 2") == 2 or _FOR_THE_TABLE
        else "openvino",
        forms=chosen,
        dynamic=dynamic,
        second_inputs=second,
        tolerance=tolerance,
        may_raise=may_raise,
        plugins=plugins(),
    )
    imported = {form for forms in parity.graphs.values() for form in forms}
    _IMPORTED.update(imported)
    TOTALS.update(["examples", *imported])
    TOTALS.update(f"run by {name}" for name in parity.ran)
    TOTALS.update(f"built by {name}" for name in parity.built)
    TOTALS["refused by torch and by us"] += parity.refusal is not None
    for key, dtypes in _CONVERTED.items() if parity.refusal is None else ():
        proved = PROVED.setdefault(key, {"dtypes": set(), "backends": set()})
        proved["dtypes"] |= dtypes
        proved["backends"].update(parity.ran, parity.built)
    if parity.refusal is None and "exported" in chosen:
        _EXPORTS["asked"] += 1
        _EXPORTS["done"] += "exported" in imported
    return parity


def drawn_forms(
    data: st.DataObject, forms: Sequence[str] = QUICK, decompose: bool = True
) -> Sequence[str]:
    """The forms of one example: the dear ones not in every example."""
    script = [form for form in forms if form != "exported"]
    if "exported" not in forms:
        return forms
    if script and data.draw(st.integers(0, _EXPORTED - 1), label="exported at 0"):
        return script
    if decompose and data.draw(st.integers(0, _DECOMPOSED - 1), label="decomposed at 3") == 3:
        return (*forms, "decomposed")
    return forms


def operand(
    data: st.DataObject,
    name: str,
    dtypes: Sequence[DType],
    shape: tuple[int, ...],
    *,
    low: float = -4,
    high: float = 4,
    zeros: bool = True,
) -> Any:
    """An array of one of some dtypes, both drawn under labels."""
    dtype = data.draw(fwd.dtypes(dtypes), label=f"dtype of {name}")
    return draw_array(data, name, dtype, shape, low=low, high=high, zeros=zeros)


def number(
    data: st.DataObject, name: str, choices: Sequence[object] = (2, -3, 1.5, True, 0)
) -> object:
    """One of some Python numbers, under a label."""
    return data.draw(st.sampled_from(choices), label=name)


def draw_array(
    data: st.DataObject,
    name: str,
    dtype: DType,
    shape: tuple[int, ...],
    *,
    low: float = -4,
    high: float = 4,
    zeros: bool = True,
) -> Any:
    """An array under a label; without ``zeros`` integers and bool hold none, to divide by."""
    drawn = fwd.arrays(dtype, shape, low=max(low, dtype.limits[0]), high=high)
    array: Any = data.draw(drawn, label=name)
    if not zeros and not dtype.is_float:
        array[array == 0] = 1
    return array


def with_nan(data: st.DataObject, array: Any) -> Any:
    """The array, at times with a NaN in it, if it is of floats and not empty."""
    elements = array.data if isinstance(array, Tensor) else array
    if not (isinstance(array, Tensor) or array.dtype.kind == "f") or not elements.size:
        return array
    if data.draw(st.integers(0, 3), label="a NaN at 3") == 3:
        place = data.draw(st.integers(0, elements.size - 1), label="place of the NaN")
        changed = elements.copy()
        changed.reshape(-1)[place] = 0x7FC0 if isinstance(array, Tensor) else float("nan")
        return Tensor(changed, array.dtype) if isinstance(array, Tensor) else changed
    return array


def _of_mixed(given: Tolerances, inputs: Iterable[Any]) -> Tolerances:
    kinds = {value.dtype if isinstance(value, Tensor) else DType.of(str(value.dtype))
             for value in inputs}  # fmt: skip
    halves = [kind for kind in (DType.BFLOAT16, DType.FLOAT16) if kind in kinds]
    if not halves or (len(halves) < 2 and DType.FLOAT32 not in kinds):
        return given
    coarse = replace(DEFAULTS[halves[0]], reason=f"torch rounds to {halves[0]} on the way")
    return {**{kind: tolerance_for(kind, "float32", given) for kind in FLOATS},
            DType.FLOAT32: coarse}  # fmt: skip


def on_one_grid(*values: Any) -> tuple[Any, ...]:
    """Float32 arrays rounded to the half dtype that others have, if any.

    Where a half and a float32 number meet, torch may round the one to the other's dtype, and
    engines do not: numbers that are the same in both dtypes compare alike.
    """
    held = [one.dtype if isinstance(one, Tensor) else DType.of(one.dtype) for one in values]
    halves = [kind for kind in (DType.BFLOAT16, DType.FLOAT16) if kind in held]
    made = list(values)
    for half in halves:
        for place, kind in enumerate(held):
            if kind is DType.FLOAT32:
                made[place] = Tensor(made[place]).astype(half).astype(kind).data
    return tuple(made)


def _shape(value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = value.shape
    return shape


def _first(value: Any, size: int) -> Any:
    if isinstance(value, Tensor):
        return Tensor(value.data[:size], value.dtype)
    return value[:size].copy()
