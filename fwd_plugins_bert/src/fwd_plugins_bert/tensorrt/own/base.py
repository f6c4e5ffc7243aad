"""What plugins of version 3 have in common that make one tensor, and are told by a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar, Union

import numpy as np
from numpy.typing import NDArray

Number = Union[int, float]


@lru_cache(maxsize=None)
def base(trt: ModuleType) -> Any:
    """The class from which plugins derive, which itself derives from those of a library."""

    class Plugin(
        trt.IPluginV3,  # type: ignore[misc, name-defined]
        trt.IPluginV3OneCore,  # type: ignore[misc, name-defined]
        trt.IPluginV3OneBuild,  # type: ignore[misc, name-defined]
        trt.IPluginV3OneRuntime,  # type: ignore[misc, name-defined]
    ):
        """A plugin that TensorRT makes, copies, writes into engines and makes again from these.

        All that it knows is in ``numbers``; what follows from shapes is kept by each copy.
        """

        #: That of the pack, which it gives to :func:`fwd_core.backends.tensorrt.creators.provide`.
        NAMESPACE: ClassVar[str]
        NAME: ClassVar[str]
        VERSION: ClassVar[str] = "1"
        #: The fields: numbers by name, whose types are those of the fields.
        FIELDS: ClassVar[Mapping[str, Number]]

        def __init__(self, numbers: Mapping[str, Number]) -> None:
            for each in (
                trt.IPluginV3,
                trt.IPluginV3OneCore,
                trt.IPluginV3OneBuild,
                trt.IPluginV3OneRuntime,
            ):
                each.__init__(self)
            self.plugin_name, self.plugin_version = self.NAME, self.VERSION
            self.plugin_namespace = self.NAMESPACE
            self.num_outputs = 1
            self.numbers = {**self.FIELDS, **numbers}
            self.arrays: dict[str, NDArray[np.generic]] = {}

        # --- of IPluginV3 -------------------------------------------------------------------------

        def get_capability_interface(self, _kind: Any) -> Plugin:
            """Building and running are interfaces of this object too."""
            return self

        def clone(self) -> Plugin:
            """A copy, of which TensorRT makes one for each use."""
            return self.__class__(self.numbers)

        # --- of IPluginV3OneBuild -----------------------------------------------------------------

        def get_output_datatypes(self, input_types: Sequence[Any]) -> list[Any]:
            """As ``get_output_data_types``, by the name of TensorRT 10.0."""
            return list(self.get_output_data_types(input_types))

        def configure_plugin(self, _inputs: Sequence[Any], _outputs: Sequence[Any]) -> None:
            """Nothing depends on the ranges of a profile."""

        def get_workspace_size(self, _inputs: Sequence[Any], _outputs: Sequence[Any]) -> int:
            """Kernels need no memory beside inputs and output."""
            return 0

        def get_valid_tactics(self) -> list[int]:
            """There is one way to compute, which is tactic 0."""
            return []

        # --- of IPluginV3OneRuntime ---------------------------------------------------------------

        def set_tactic(self, _tactic: int) -> None:
            """There is one."""

        def attach_to_context(self, _resources: Any) -> Plugin:
            """Contexts may run at once, each with shapes of its own, so each has a copy."""
            return self.clone()

        def get_fields_to_serialize(self) -> Any:
            """All numbers: what a creator makes an equal plugin of, where the engine is loaded."""
            # Fields point to the arrays, which have to stay as long as the plugin.
            self.arrays = arrays(self.FIELDS, self.numbers)
            return fields(trt, self.arrays)

    return Plugin


def creator(trt: ModuleType, kind: Any) -> Any:
    """A creator of plugins of a class, for building and for engines that are loaded."""

    class Creator(trt.IPluginCreatorV3One):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.name, self.plugin_version = kind.NAME, kind.VERSION
            self.plugin_namespace = kind.NAMESPACE
            self.arrays = arrays(kind.FIELDS, kind.FIELDS)
            self.field_names = fields(trt, self.arrays)

        def create_plugin(self, _name: str, given: Iterable[Any], _phase: Any) -> Any:
            """From what a lowering or an engine holds; both phases need the same."""
            numbers = {
                field.name: type(kind.FIELDS[field.name])(np.asarray(field.data).ravel()[0])
                for field in given
                if field.name in kind.FIELDS
            }
            return kind(numbers)

    return Creator()


def arrays(
    kinds: Mapping[str, Number], numbers: Mapping[str, Number]
) -> dict[str, NDArray[np.generic]]:
    """Numbers as fields hold them: int32 where an integer is expected, else float32."""
    return {
        name: np.array([numbers[name]], np.int32 if isinstance(kind, int) else np.float32)
        for name, kind in kinds.items()
    }


def fields(trt: ModuleType, held: Mapping[str, NDArray[np.generic]]) -> Any:
    """Fields that point to arrays."""
    types = {"int32": trt.PluginFieldType.INT32, "float32": trt.PluginFieldType.FLOAT32}
    return trt.PluginFieldCollection(
        [trt.PluginField(name, array, types[str(array.dtype)]) for name, array in held.items()]
    )
