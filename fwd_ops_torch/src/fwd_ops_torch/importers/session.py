"""One import under way: the graph, the converters, and how one operator call is handled.

TorchScript and torch.export programs differ in how they store calls; what a call means is the
same, and is here. A call with known arguments only is computed by torch itself. A call that
works on sizes is computed on sizes. Any other goes to its converter, and what its schema says
of views and writes is honoured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fwd_core.errors import ConversionError, ForwardError, GraphError, PluginError
from fwd_core.events import Event
from fwd_core.importing import ImportRequest
from fwd_core.ir import DimExpr, DType, Graph, Location, Value
from fwd_core.ir.dim_hints import LITERAL, contradiction
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.context import ConversionContext, UnsupportedArgumentError
from fwd_ops_torch.converting.schemas import Argument, Schema
from fwd_ops_torch.converting.table import ConverterTable
from fwd_ops_torch.importers import (
    byte_weights,
    journal,
    multiples,
    numbers,
    queries,
    run_time_slices,
    sizes,
    views,
)
from fwd_ops_torch.importers.aliasing import Content, Storage, TensorRef
from fwd_ops_torch.importers.branches import ModelRaisesError, Scopes, tell_unchecked
from fwd_ops_torch.importers.containers import doubt_in
from fwd_ops_torch.importers.guards import Guards
from fwd_ops_torch.importers.problems import Problems
from fwd_ops_torch.importers.undecided import AT_RUN_TIME, ON_DATA, Undecided, data_dependent
from fwd_ops_torch.tensors import dtype_of, to_host

#: A computed constant larger than this, and than its operands, stays an operator.
FOLD_LIMIT = 1 << 20
_ONE_TYPE = (
    "PyTorch promotes nothing here: make the operands one type in the model, as x.float() or "
    "x.to(weight.dtype), or give example inputs of the type that the weights have"
)
#: Operators that leave in a tensor what was in its memory.
_UNINITIALIZED = frozenset(
    f"aten::{name}"
    for name in (
        "empty",
        "empty_like",
        "empty_permuted",
        "empty_strided",
        "new_empty",
        "new_empty_strided",
    )
)


#: What operators raise; those that are written in Python check by asserting.
_EAGER_ERRORS = (
    *(RuntimeError, IndexError, ValueError, TypeError, NotImplementedError),
    *(AssertionError, ArithmeticError),
)
#: Checks that a tensor holds true.
ASSERTIONS = frozenset({"aten::_assert_async"})


class Session:
    """State of one import.

    Args:
        name: Name of the graph.
        request: What was asked for.
        owned: Whether the model's tensors are ours alone (read from a file). If not, constants
            are copied, because their owner may train on.
    """

    def __init__(self, name: str, request: ImportRequest, *, owned: bool) -> None:
        self.scopes = Scopes(Graph(name))
        self.guards = Guards()
        self.request = request
        self.table = ConverterTable.of(request.plugins)
        self.problems = Problems(request.plugins)
        self.owned = owned
        #: Calls that converters have taken.
        self.converted = 0
        #: Advice where sizes contradict a dynamic batch, if inputs may have theirs elsewhere.
        self.batch_elsewhere: str | None = None
        self._constants: dict[tuple[Graph, int], tuple[torch.Tensor, Value]] = {}
        self._attributes: dict[str, TensorRef] = {}
        self._literals: list[tuple[str, TensorRef]] = []
        #: Where storages, and refs that came to lie otherwise in theirs, were written first.
        self._writes: dict[Storage | TensorRef, Location] = {}
        self._changes: dict[str, Location | None] = {}
        #: Storages that operators would have written that are not converted.
        self._refused: set[Storage] = set()

    @property
    def graph(self) -> Graph:
        """Where operators go now: the model's graph, or that of a branch under way."""
        return self.scopes.graph

    # --- calls ----------------------------------------------------------------------------------

    def call(self, schema: Schema, arguments: Mapping[str, Any], where: Location) -> Any:
        """The result of one operator call.

        Args:
            schema: The overload that is called.
            arguments: Arguments by name: tensors as :class:`TensorRef`, sizes as ``Dim``,
                lists as lists; those left out have their defaults.
            where: Where in the user's model.

        Raises:
            ForwardError: The call cannot be converted; the place is named.
        """
        known = self.problems.count
        try:
            schema = schema.as_called(arguments)
            schema, arguments = run_time_slices.as_narrow(self, schema, arguments, where)
            complete = self._complete(schema, arguments)
            result = self._call(schema, complete, where)
        except ForwardError as error:
            raise error.located(where) from None
        if schema.written is not None:
            written = complete[schema.written.name]
            if isinstance(written, TensorRef):
                if self.problems.count > known:  # that it writes is no problem of its own
                    self._refused.add(written.storage)
                self._writes.setdefault(written.storage, where)
                self._writes.setdefault(written, where)
        return result

    def _complete(self, schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
        complete: dict[str, Any] = {}
        for argument in schema.arguments:
            if argument.name in given:
                value = given[argument.name]
            elif argument.has_default:
                value = argument.default
            else:
                raise ConversionError(
                    f"{schema.name}: argument {argument.name!r} is missing", expected=schema.text
                )
            complete[argument.name] = self._tidy(schema, argument, value)
        return complete

    def _tidy(self, schema: Schema, argument: Argument, value: Any) -> Any:
        """Sizes out of tensors that hold sizes, and lists where one number may stand for all."""
        if argument.is_tensor or value is None:
            return value
        if argument.is_list:
            if not isinstance(value, (list, tuple)):
                value = [value] * (argument.length or 1)
            return [self._scalar(schema, argument, item) for item in value]
        return self._scalar(schema, argument, value)

    def _scalar(self, schema: Schema, argument: Argument, value: Any) -> Any:
        """A plain number or size, also from a 0-d tensor that holds a known one.

        Some that the engine will know are tensors of their own: see ``AT_RUN_TIME``.

        Raises:
            ConversionError: The number depends on the contents of a tensor.
        """
        kinds = AT_RUN_TIME.get((schema.name, argument.name), ())
        if isinstance(value, Undecided) and value.value is not None and value.kind in kinds:
            return TensorRef(self.value(value.value))
        if not isinstance(value, TensorRef):
            return value
        known = sizes.known_number(value)
        if known is None:
            if value.type.numel == 1 and queries.own_kind(value) in kinds:
                return TensorRef(value.read())  # as it is now: it may be written later
            doubt = queries.number(value, None)
            if not doubt.data:
                raise doubt.error(f"argument {argument.name!r} of {schema.name}")
            raise data_dependent(schema.name, argument.name, f"{ON_DATA} ({value.type})")
        return known

    def _call(self, schema: Schema, arguments: dict[str, Any], where: Location) -> Any:
        if any(doubt_in(value) is not None for value in arguments.values()):
            schema, arguments = self._with_tensors(schema, arguments, where)
        if (answer := queries.answer(schema, arguments)) is not queries.UNKNOWN:
            return answer
        if schema.name == "aten::equal":
            return numbers.are_equal(self, arguments["self"], arguments["other"], where)
        if schema.name in ASSERTIONS:
            self._assert(arguments, where)
            return None
        if schema.has_names:
            raise ConversionError(f"{schema.name}: named dimensions are not supported")
        if schema.has_out:
            raise ConversionError(
                f"{schema.name} writes to out=", hint="assign the result to a name instead"
            )
        if (known := sizes.compute(self.graph, schema, arguments, where)) is not None:
            return known
        refs = tensors_in(arguments)
        if all(ref.constant is not None for ref in refs) and not _has_dims(arguments):
            # What quantizes weights stays, or engines would not have them in 8 bits.
            kept = schema.name in self.table and byte_weights.is_kept(schema, arguments)
            result = None if kept else self._eager(schema, arguments)
            if result is not None:
                return views.wrap(self, schema, arguments, result, where)
        return views.wrap(self, schema, arguments, self.convert(schema, arguments, where), where)

    def _assert(self, arguments: Mapping[str, Any], where: Location) -> None:
        holds = queries.number(arguments["self"], bool)
        message = arguments.get("assert_msg") or "a condition does not hold"
        if isinstance(holds, Undecided):
            tell_unchecked(f"the model may raise an exception: {message}", where)
        elif not holds:
            raise ModelRaisesError(f"the model raises an exception for these inputs: {message}")

    def _with_tensors(
        self, schema: Schema, arguments: dict[str, Any], where: Location
    ) -> tuple[Schema, dict[str, Any]]:
        """The overload of a call that takes tensors for the numbers that tensors hold.

        Raises:
            ConversionError: There is none, or what holds a number is not known.
        """
        held = {
            name: value
            for name, value in arguments.items()
            if isinstance(value, Undecided) and numbers.is_number(value)
        }
        for name, value in arguments.items():
            doubt = doubt_in(value)
            if doubt is not None and name not in held:
                if doubt.data:
                    raise data_dependent(schema.name, name, doubt.reason)
                raise doubt.error(f"argument {name!r} of {schema.name}")
        other = schemas.with_tensors(schema, held)
        if other is None:
            (name, doubt), *_ = held.items()
            if doubt.data:
                raise data_dependent(schema.name, name, doubt.reason)
            raise doubt.error(f"argument {name!r} of {schema.name}")
        refs = tensors_in(arguments)
        if any(ref.type.dtype is not DType.BOOL for ref in refs):
            refs = [ref for ref in refs if ref.type.dtype is not DType.BOOL]
        tensors = {name: numbers.beside(self, one, refs, where) for name, one in held.items()}
        return other, self._complete(other, {**arguments, **tensors})

    # --- the two ways to compute ----------------------------------------------------------------

    def _eager(self, schema: Schema, arguments: Mapping[str, Any]) -> Any | None:
        """Torch's own result on constants; ``None`` where it should stay an operator."""
        function = schema.callable()
        if torch.Tag.nondeterministic_seeded in getattr(function, "tags", ()):
            if arguments.get("train", True) is not False:
                return None
        plain = {
            argument.name: _plain(arguments[argument.name], argument.written)
            for argument in schema.arguments
        }
        try:
            with torch.no_grad():
                result = function(**plain)
        except _EAGER_ERRORS as error:
            raise ConversionError(
                f"{schema.name} fails in torch itself", details=[str(error).splitlines()[0]]
            ) from None
        if schema.name in _UNINITIALIZED:
            result.zero_()  # or every build of a model would hold other numbers
        made = sum(t.numel() * t.element_size() for t in _torch_tensors(result))
        taken = sum(t.numel() * t.element_size() for t in _torch_tensors(list(plain.values())))
        if made > max(FOLD_LIMIT, taken) and schema.name in self.table:
            return None
        return result

    def convert(self, schema: Schema, arguments: Mapping[str, Any], where: Location) -> Any:
        """The converter's result: a value, or a tuple or list of values."""
        converter = self.table.get(schema.name)
        # TorchScript has operators on lists of tensors under names of operators on tensors.
        if converter is None or schema.overload == "list_Tensor":
            return self.problems.unknown(self, schema, arguments, where)
        operation = schema.name.split("::")[1].rstrip("_") or schema.name
        path = f"{where.module}/{operation}" if where.module else operation
        name = self.graph.unique_name(path)
        guarded = self.graph is not self.scopes.root
        context = ConversionContext(self.graph, schema.name, name, where, guarded=guarded)
        bound: dict[str, Any] = {}
        try:
            for argument in schema.arguments:
                value = arguments[argument.name]
                parameter = converter.parameter_for(schema, argument)
                if parameter is not None:
                    bound[parameter] = self._operand(argument, value)
                elif (why := converter.mark.unsupported.get(argument.name)) is not None:
                    if not _is_default(argument, value):
                        raise context.unsupported(argument.name, why, "leave it at its default")
            result = converter.function(context, **bound)
        except UnsupportedArgumentError as error:
            return self.problems.refused(self, schema, arguments, where, error)
        except GraphError as error:
            raise ConversionError(
                f"{schema.name}: {error.what}",
                expected=error.expected,
                got=error.got,
                details=[f"operands: {_described(bound)}"],
                hint=multiples.hint(error, bound.values(), self.scopes.root.inputs)
                or _dtype_hint(error, bound)
                or self._size_hint(error.hint),
            ) from None
        except ConversionError as error:
            hint = self._size_hint(error.hint or contradiction(error.expected, error.got))
            raise (error if hint is None else error.hinted(hint, error.hint)) from None
        if result is None:
            raise PluginError(
                f"converter of {schema.name} in pack {converter.owner!r} returned None",
                hint="return the value that the operator computes",
            )
        if not guarded:
            self.problems.note_negative_sizes(schema, bound, result, where)
        self._name_results(context, name, result)
        self.tell_converted(self.converted + 1, schema.name)
        return result

    def _size_hint(self, hint: str | None) -> str | None:
        """The hint about sizes, or a nearer one where the batch may be at another axis."""
        return self.batch_elsewhere or hint if hint == LITERAL else hint

    def tell_converted(self, count: int, detail: str = "") -> None:
        """Say how many calls converters have taken, as progress."""
        self.converted = count
        self.request.events.send(Event("import", "step", count, None, detail))

    def _name_results(self, context: ConversionContext, name: str, result: Any) -> None:
        added = set(context.added)
        several = isinstance(result, (tuple, list))
        for index, value in enumerate(result if several else (result,)):
            if isinstance(value, Value) and value.producer in added:
                self.graph.rename(value, f"{name}.{index}" if several else name)

    # --- operands -------------------------------------------------------------------------------

    def _operand(self, argument: Argument, value: Any) -> Any:
        if value is None:
            return None
        if argument.name == "dtype" or argument.kind == "ScalarType":
            return value if isinstance(value, DType) else dtype_of(value)
        if isinstance(value, TensorRef):
            return self.value(value)
        if not argument.is_tensor or isinstance(value, (bool, int, float, DimExpr)):
            return value  # exported programs hand numbers to tensor arguments; they stay numbers
        if isinstance(value, (list, tuple)):
            return [None if item is None else self.value(item) for item in value]
        return self.value(value)

    def value(self, ref: TensorRef | Value) -> Value:
        """The graph value of a tensor; a constant is added to the graph when first used."""
        if isinstance(ref, Value):
            return self.scopes.own(ref)
        return self.materialize(ref.read(), ref.storage.attribute if ref.view is None else "")

    def materialize(self, content: Content, name: str = "") -> Value:
        """The graph value of contents."""
        if isinstance(content, Value):
            return self.scopes.own(content)
        key = (self.graph, id(content))
        held = self._constants.get(key)
        if held is None:
            tensor = to_host(content, copy=not self.owned)
            value = self.graph.constant(tensor, name=name or "constant")
            held = self._constants[key] = (content, value)  # keeps the id alive
        return held[1]

    def attribute(self, name: str, tensor: torch.Tensor) -> TensorRef:
        """The ref of a parameter or buffer; the same one for the same name."""
        if name not in self._attributes:
            with journal.keeping(None):  # a branch that reads it first did not make it
                self._attributes[name] = TensorRef(tensor, attribute=name)
        return self._attributes[name]

    def literal(self, tensor: torch.Tensor) -> TensorRef:
        """The ref of a tensor that the program holds itself, without a name."""
        with journal.keeping(None):
            ref = TensorRef(tensor)
        self._literals.append((f"a constant ({tensor.dtype}{list(tensor.shape)})", ref))
        return ref

    def note_change(self, name: str, where: Location | None) -> None:
        """Note state of the model that is no tensor of its own, and that the model changes."""
        self._changes.setdefault(name, where)

    def check_state(self) -> None:
        """Refuse models that change their own state.

        Raises:
            ConversionError: A parameter, buffer or other attribute was written.
        """
        written = {
            name: self._writes.get(ref.storage if ref.storage.version else ref)
            for name, ref in [*self._attributes.items(), *self._literals]
            if (ref.storage.version or ref.view is not None) and ref.storage not in self._refused
        }
        if changes := {**self._changes, **written}:
            raise changed_state(changes)


def changed_state(changes: Mapping[str, Location | None]) -> ConversionError:
    """The error for state that a model changes, by names and the places that write."""
    first, *others = changes.items()
    return ConversionError(
        f"the model changes its own state while it runs: {', '.join(changes)}",
        where=first[1],
        details=[f"{name} at {where}" for name, where in others if where is not None],
        hint=(
            "call model.eval() before export; return new state as an output instead, and write to "
            "a copy (x.clone()) of a constant"
        ),
    )


def tensors_in(arguments: Mapping[str, Any]) -> list[TensorRef]:
    """All tensors among arguments, also in lists."""
    found: list[TensorRef] = []
    for value in arguments.values():
        if isinstance(value, TensorRef):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, TensorRef)]
    return found


def _has_dims(arguments: Mapping[str, Any]) -> bool:
    def dims(value: Any) -> bool:
        if isinstance(value, (list, tuple)):
            return any(dims(item) for item in value)
        return isinstance(value, DimExpr)

    return any(dims(value) for value in arguments.values())


def _plain(value: Any, written: bool) -> Any:
    if isinstance(value, TensorRef):
        tensor = value.read()
        assert isinstance(tensor, torch.Tensor)
        # In-place operators write to a copy: the model's own tensors are never changed.
        return tensor.detach().clone() if written else tensor.detach()
    if isinstance(value, (list, tuple)):
        return [_plain(item, written) for item in value]
    return value


def _dtype_hint(error: GraphError, operands: Mapping[str, Any]) -> str | None:
    """What to do about integers among floats: example inputs of the wrong dtype come first."""
    if "element type" not in error.what:
        return None
    found = {value.type.dtype for value in operands.values() if isinstance(value, Value)}
    floats = sorted(str(dtype) for dtype in found if dtype.is_float)
    if not floats and "float32" in str(error.expected) and "int" not in str(error.expected):
        return "cast to float first, as x.float(), and the result back where integers are needed"
    if not floats or len(found) == len(floats):
        return _ONE_TYPE if "one element type" in error.what else None
    return f"give example inputs of {floats[0]}, as the weights are (--input SHAPE:{floats[0]})"


def _described(bound: Mapping[str, Any]) -> str:
    parts = []
    for name, value in bound.items():
        if isinstance(value, Value):
            parts.append(f"{name} {value.type}")
    return ", ".join(parts) or "none"


def _torch_tensors(result: Any) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in _torch_tensors(item)]
    return []


def _is_default(argument: Argument, value: Any) -> bool:
    if value is None:
        return True
    return argument.has_default and bool(value == argument.default)
