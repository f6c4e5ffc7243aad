"""A BERT and windows of texts for tests on a GPU: ``python tests/helpers/gpu_bert.py FOLDER``.

TensorRT 8.6 and PyTorch do not fit into one process, so what torch and ``BertBatchStream`` have to
do is left in files: the graph, the batches that the stream gives, and what torch computes for one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gpu_models import FORMAT, VERSION

from fwd_core import files
from fwd_core.files import atomic_path

LAYERS, BATCH, LENGTH, WINDOWS = 2, 4, 128, 32
_GRAPH, _ARRAYS = "bert.graph", "bert.arrays"
#: Which array is the mask of a batch, in the order of the model's inputs.
MASK = 1


def prepare(folder: Path) -> None:
    """Write ``bert.graph`` and ``bert.arrays``."""
    import numpy as np
    import torch
    from squad import PIECES, SQUAD, VOCABULARY
    from transformers import BertConfig, BertModel

    from benchmarks.gpu.packs import plugins
    from fwd_core import Builder
    from fwd_core.ir.serialize import save
    from fwd_ops_torch.importers import jit
    from fwd_plugins_bert import BertBatchStream

    torch.manual_seed(0)
    config = BertConfig(vocab_size=PIECES, num_hidden_layers=LAYERS, return_dict=False)
    module = BertModel(config, add_pooling_layer=False).eval()
    stream = BertBatchStream(SQUAD, VOCABULARY, BATCH, LENGTH, WINDOWS)
    batches = [tuple(torch.from_numpy(one).long() for one in batch) for batch in stream]
    inputs = min(batches, key=lambda batch: int(batch[MASK].sum()))  # that with most padding
    with torch.inference_mode():
        (hidden,) = module(*inputs)
    traced = jit.trace(module, inputs, check=False)
    graph = Builder(plugins=plugins()).import_model(traced, inputs)
    with atomic_path(folder / _GRAPH) as path:
        save(graph, path)
    whole = [np.stack([one.numpy() for one in each]) for each in zip(*batches, strict=True)]
    arrays: dict[str, Any] = {f"batches.{i}": one for i, one in enumerate(whole)}
    arrays |= {f"in.{i}": one.numpy() for i, one in enumerate(inputs)}
    header = {"inputs": len(inputs)}
    arrays["out"] = hidden.numpy()
    files.write(folder / _ARRAYS, header, arrays, format=FORMAT, version=VERSION)


def read(folder: Path) -> tuple[Path, list[list[Any]], list[Any], Any]:
    """The graph's file, batches to calibrate with, one batch, and its hidden states by torch."""
    header, arrays = files.read(folder / _ARRAYS, format=FORMAT, version=VERSION)
    count = header["inputs"]
    whole = [arrays[f"batches.{i}"] for i in range(count)]
    batches = [list(each) for each in zip(*whole, strict=True)]
    inputs = [arrays[f"in.{i}"] for i in range(count)]
    return folder / _GRAPH, batches, inputs, arrays["out"]


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    prepare(Path(sys.argv[1]))
    print(f"the BERT is in {sys.argv[1]}", flush=True)
