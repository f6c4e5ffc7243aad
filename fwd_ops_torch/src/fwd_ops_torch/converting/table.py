"""All converters, checked against the schemas of the operators that they claim."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fwd_core.errors import PluginError
from fwd_core.plugins.registry import Registry
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.decorator import ConverterMark, converter_mark
from fwd_ops_torch.converting.schemas import Argument, Schema

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins


@dataclass(frozen=True)
class Converter:
    """A converter and what its signature says.

    Attributes:
        function: Takes the context, then arguments by parameter name.
        owner: The pack it comes from.
        parameters: Names after the context, in order.
        mark: Arguments that are no parameters.
    """

    function: Callable[..., Any]
    owner: str
    parameters: tuple[str, ...]
    mark: ConverterMark

    def parameter_for(self, schema: Schema, argument: Argument) -> str | None:
        """The parameter that takes an argument: by name, and the first one by position."""
        name = argument.name + ("_" if keyword.iskeyword(argument.name) else "")
        if name in self.parameters:
            return name
        if argument is schema.arguments[0] and self.parameters:
            return self.parameters[0]
        return None


class ConverterTable(Mapping[str, Converter]):
    """Converters by qualified operator.

    Args:
        registry: What packs registered.

    Raises:
        PluginError: A converter leaves out an argument of some overload without saying why, or
            has a parameter that no overload has.
    """

    def __init__(self, registry: Registry[Callable[..., Any]]) -> None:
        self._converters: dict[str, Converter] = {}
        made: dict[Callable[..., Any], Converter] = {}
        used: dict[Callable[..., Any], set[str]] = {}
        for entry in registry.entries():
            function = entry.item
            if function not in made:
                names = tuple(inspect.signature(function).parameters)[1:]
                made[function] = Converter(function, entry.owner, names, converter_mark(function))
                used[function] = set()
            self._converters[entry.key] = made[function]
            used[function] |= _parameters_used(entry.key, made[function])
        for function, converter in made.items():
            _refuse_unused(converter, used[function])

    @classmethod
    def of(cls, plugins: Plugins) -> ConverterTable:
        """The table of these packs, checked once, which takes longer than a small import."""
        return plugins.once(_table)

    def __getitem__(self, key: str) -> Converter:
        return self._converters[key]

    def __iter__(self) -> Any:
        return iter(self._converters)

    def __len__(self) -> int:
        return len(self._converters)


def _table(plugins: Plugins) -> ConverterTable:
    return ConverterTable(plugins.converters)


def converted_overloads(key: str) -> list[Schema]:
    """The overloads of an operator that a converter must handle."""
    return [
        schema
        for schema in schemas.overloads(key)
        if schema.makes_tensors and not schema.has_out and not schema.has_names
    ]


def _parameters_used(key: str, converter: Converter) -> set[str]:
    used: set[str] = set()
    for schema in converted_overloads(key):
        for argument in schema.arguments:
            parameter = converter.parameter_for(schema, argument)
            declared = (*converter.mark.no_effect, *converter.mark.unsupported)
            if parameter is not None:
                used.add(parameter)
            elif argument.name not in declared:
                raise PluginError(
                    f"converter {converter.function.__name__!r} of pack {converter.owner!r} "
                    f"leaves out argument {argument.name!r} of {key}",
                    expected=schema.text,
                    got=f"parameters {', '.join(converter.parameters)}",
                    hint="take it as a parameter, or name it in no_effect= or unsupported=",
                )
    return used


def _refuse_unused(converter: Converter, used: set[str]) -> None:
    # A pack's own operators may not be loaded in this process: then there is nothing to check.
    if used and (unknown := [name for name in converter.parameters if name not in used]):
        raise PluginError(
            f"converter {converter.function.__name__!r} of pack {converter.owner!r} has "
            f"parameters that no overload of its operators has: {', '.join(unknown)}",
            hint="parameters are named exactly as the schema's arguments",
        )
