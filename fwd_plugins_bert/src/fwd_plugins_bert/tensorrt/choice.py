"""Which of the lowerings to TensorRT are in use.

``FWD_BERT_PLUGINS`` holds their names, separated by commas, or ``all`` or ``none``. Where it is not
set, attention without padding is left to its plugin, which spares moving tokens in every layer, and
what surrounds it there to what is quickest beside it (docs/benchmarks/gpu-bert.md). On
a padded batch TensorRT 8.6's own layers were quicker on an H200 than the chain of the others that
was measured (docs/benchmarks/gpu-settings.md); on other versions nothing was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from fwd_core.errors import OptionError

VARIABLE = "FWD_BERT_PLUGINS"
#: Kernels of NVIDIA's plugins, each for one operator of the pack.
PLUGINS = ("gelu", "skip", "qkv", "emb", "packed")
#: Another form of products for TensorRT 8.
FORMS = ("fc",)
#: For what surrounds attention without padding alone: norms by a plugin, products in that form.
ROWS = ("packed-skip", "packed-fc")
#: Plugins of our own, for TensorRT 10 and 11.
OWN = ("own-skip", "own-emb")
#: In use where nothing is asked for.
DEFAULT = "packed,packed-skip,packed-fc"


def chosen(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names of the lowerings in use, in the order in which they are listed here.

    Raises:
        OptionError: A name is unknown, or two lower one operator.
    """
    text = (os.environ if environ is None else environ).get(VARIABLE, DEFAULT)
    names = {name.strip() for name in text.split(",")} - {"", "none"}
    known = (*PLUGINS, *FORMS, *ROWS, *OWN)
    unknown = sorted(names.difference(known, ("all",)))
    if unknown:
        raise OptionError(
            f"{VARIABLE}: no lowering is called {unknown[0]!r}",
            expected=f"some of {', '.join(known)}, or all, or none",
            got=text,
        )
    found = tuple(name for name in known if name in names or ("all" in names and name in PLUGINS))
    for name in OWN:
        other = name.removeprefix("own-")
        if {name, other} <= set(found):
            raise OptionError(
                f"{VARIABLE}: {other} and {name} are plugins for one operator",
                expected=f"{other} (NVIDIA's) or {name} (of this pack), not both",
                got=text,
            )
    return found
