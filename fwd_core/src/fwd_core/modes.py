"""Numeric modes of engines, and the names that they go by."""

from __future__ import annotations

import typing

from fwd_core.backends.base import Mode
from fwd_core.errors import OptionError
from fwd_core.plugins.advice import closest

MODES: tuple[str, ...] = typing.get_args(Mode)
_ALIASES = {"float": "float32", "half": "float16"}
#: What other programs call the modes, and the types that come near them.
_MEANT = {
    **dict.fromkeys(("fp32", "f32", "single", "tf32"), "float32"),
    **dict.fromkeys(("fp16", "f16", "bf16", "bfloat16", "amp"), "float16"),
}
_THESE_MODES = ", ".join(MODES)


def parse_mode(mode: str) -> Mode:
    """A mode by its name or its old alias.

    Raises:
        OptionError: There is no such mode, or this version cannot build it.
    """
    given: object = mode
    plain = str(given).removeprefix("torch.").lower()
    if not isinstance(given, str):
        hint = f"pass its name, {plain!r}" if plain in ("float32", "float16") else None
        raise OptionError("argument 'mode'", expected=_THESE_MODES, got=repr(mode), hint=hint)
    name = _ALIASES.get(mode, mode)
    if name not in MODES:
        meant = _MEANT.get(plain, plain)
        raise OptionError(
            f"there is no mode {mode!r}",
            expected=_THESE_MODES,
            hint=closest(meant, [*MODES, *_ALIASES]),
        )
    return typing.cast(Mode, name)
