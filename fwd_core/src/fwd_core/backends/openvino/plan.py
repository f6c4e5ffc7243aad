"""Compiled models, and how engine files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fwd_core.backends.base import Plan
from fwd_core.errors import EngineFileError

if TYPE_CHECKING:
    from openvino import CompiledModel


class OpenVINOPlan(Plan):
    """A compiled model that is ready to run.

    Attributes:
        manifest: ``openvino`` (version), ``device``, ``capabilities`` (of the device),
            ``compute`` (type of floats between inputs and outputs), ``properties`` (that the
            model was compiled with) and ``ports`` (where outputs come from, which of
            them OpenVINO passes through, and which int64 inputs are computed with).
        compiled: OpenVINO's compiled model. It keeps the graph's constants alive where it reads
            their memory.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        compiled: CompiledModel,
        blob: memoryview | None = None,
    ) -> None:
        self.manifest = manifest
        self.compiled = compiled
        # A model that was imported may read its weights where they are in these bytes.
        self._blob = blob

    def payload(self) -> bytes | memoryview:
        """OpenVINO's export of the compiled model, made anew and not kept: it holds all weights."""
        if self._blob is not None:
            return self._blob
        exported: memoryview = self.compiled.export_model().getbuffer()
        return exported


def require_machine(stated: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Check that an exported model is of this OpenVINO and this CPU.

    Args:
        stated: The manifest of a plan.
        here: The same entries for this machine.

    Raises:
        EngineFileError: Something differs; the message says what, and both sides.
    """
    titles = {
        "openvino": "another version of OpenVINO",
        "device": "another CPU",
        "capabilities": "a CPU with other instructions",
    }
    for key, title in titles.items():
        if stated.get(key) != here[key]:
            raise EngineFileError(
                f"the engine was compiled for {title}",
                expected=here[key],
                got=stated.get(key, "nothing"),
                hint="build it again here; an engine that holds its graph (embed_graph=True) "
                "builds itself with Engine.load(path, rebuild=True)",
            )
