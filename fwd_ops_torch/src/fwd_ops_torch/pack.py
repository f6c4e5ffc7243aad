"""Hooks of the pack: importers, converters and the reference of PyTorch.

Torch is imported when a hook is called, not before, so that the pack can be listed where torch
is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core import hookimpl

if TYPE_CHECKING:
    from fwd_core.plugins import registers as reg


@hookimpl
def fwd_register_importers(register: reg.ImporterRegister) -> None:
    """TorchScript, torch.export and nn.Module."""
    from fwd_ops_torch.importers.export import ExportImporter
    from fwd_ops_torch.importers.module import ModuleImporter
    from fwd_ops_torch.importers.torchscript import Refuser, TorchScriptImporter

    for importer in (TorchScriptImporter(), ExportImporter(), ModuleImporter(), Refuser()):
        register.add(importer)


@hookimpl
def fwd_register_converters(register: reg.ConverterRegister) -> None:
    """Converters of aten operators, a module per family."""
    from fwd_ops_torch import converters

    for module in converters.FAMILIES:
        register.add_module(module)


@hookimpl
def fwd_register_references(register: reg.ReferenceRegister) -> None:
    """Eager PyTorch, for the testing kit."""
    from fwd_ops_torch.testing import TorchReference

    register.add(TorchReference())
