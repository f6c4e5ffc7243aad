"""Backends: where graphs become programs."""

from fwd_core.backends.base import (
    Availability,
    Backend,
    BuildConfig,
    Context,
    Executable,
    Mode,
    Options,
    Plan,
    Port,
)

__all__ = [
    "Availability",
    "Backend",
    "BuildConfig",
    "Context",
    "Executable",
    "Mode",
    "Options",
    "Plan",
    "Port",
]
