"""What the testing kit needs of a framework: to run its own models, and to make their forms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Union, runtime_checkable

from fwd_core.importing import DynamicDims, OptBatch

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

Dynamic = Union[DynamicDims, OptBatch, None]


@runtime_checkable
class Reference(Protocol):
    """Runs one framework's models; registered through ``fwd_register_references``.

    Inputs are the model's arguments: NumPy arrays, :class:`~fwd_core.ir.Tensor` for bfloat16, or
    lists, tuples and dicts of them. The framework's importers must take these too.

    Attributes:
        name: Unique, for example ``torch``.
        rewritten: Forms that the framework rewrites when it makes them. They may take inputs that
            the model itself refuses.
    """

    name: str
    rewritten: Collection[str]

    def accepts(self, model: object) -> bool:
        """Whether the model is of this framework."""
        ...

    def run(self, model: Any, inputs: Sequence[Any]) -> Any:
        """What the framework itself computes, nested as the model returns it.

        The inputs are left as they are, even if the model writes to its arguments. The leaves of
        the result are NumPy arrays, or :class:`~fwd_core.ir.Tensor` for bfloat16. What the
        framework raises is passed on.
        """
        ...

    def forms(
        self, model: Any, inputs: Sequence[Any], dynamic: Dynamic, plugins: Plugins
    ) -> Mapping[str, Callable[[], object]]:
        """How to make every form in which the model can be handed to an importer, by name.

        Making one raises :class:`~fwd_core.errors.UnsupportedModelError` where the framework has
        no such form of this model.

        Args:
            model: The model.
            inputs: Example inputs.
            dynamic: Which sizes a form has to leave open.
            plugins: Packs in use.
        """
        ...
