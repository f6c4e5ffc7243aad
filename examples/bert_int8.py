"""BERT-base in int8: calibrated with questions and texts, then timed beside float32 and float16.

``python examples/bert_int8.py [--squad train-v1.1.json --vocab vocab.txt]`` takes about a minute.
The weights are random, so that nothing is downloaded; the data is a small file of the tests.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertModel, logging

import forward
from fwd_core.errors import OptionError
from fwd_plugins_bert import BertBatchStream

DATA = Path(__file__).parents[1] / "tests" / "data"
TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
}


def median_ms(call, repeat: int) -> float:
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times[1:])[repeat // 2]


def least_cosine(outputs, expected, mask) -> float:
    """Of the hidden states of any token that is not padding."""
    real = mask.bool()
    return float(torch.nn.functional.cosine_similarity(outputs[real], expected[real], dim=-1).min())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--squad", type=Path, default=DATA / "squad.json")
    parser.add_argument("--vocab", type=Path, default=DATA / "vocab.txt")
    parser.add_argument("--length", type=int, default=128, help="tokens of a window")
    parser.add_argument("--windows", type=int, default=32, help="how many to calibrate with")
    parser.add_argument("--tiny", action="store_true", help="a model of two narrow layers")
    given = parser.parse_args(arguments)

    logging.set_verbosity_error()
    torch.manual_seed(0)
    model = BertModel(BertConfig(**(TINY if given.tiny else {})), add_pooling_layer=False).eval()
    model.config.return_dict = False
    stream = BertBatchStream(given.squad, given.vocab, 1, given.length, given.windows)
    batches = [tuple(torch.from_numpy(array).long() for array in batch) for batch in stream]
    shown = min(batches, key=lambda batch: abs(int(batch[1].sum()) - 0.8 * given.length))
    with torch.inference_mode():
        expected = model(*shown)[0]
        torch_ms = median_ms(lambda: model(*shown), 10)
    table = Table("engine", "computes in", "build s", "ms", "torch / this", "least cosine")
    table.add_row("torch", "float32", "", f"{torch_ms:.1f}", "1.0", "")
    with tempfile.TemporaryDirectory(prefix="forward-bert-") as folder:
        cache = Path(folder) / "bert.cache"
        calibrator = forward.TrtInt8Calibrator(stream, cache, forward.MINMAX_CALIBRATION)
        for mode in ("float32", "float16", "int8_calib", "int8"):
            builder = forward.TorchBuilder(backend="openvino")
            builder.set_calibrator(calibrator)
            start = time.perf_counter()
            try:
                builder.set_mode(mode)
                engine = builder.build(model, shown)
            except OptionError as error:  # a CPU without a half type
                table.add_row(mode, error.what)
                continue
            seconds, ms = time.perf_counter() - start, median_ms(lambda e=engine: e(*shown), 20)
            near = least_cosine(engine(*shown)[0], expected, shown[1])
            compute = str(engine.engine.manifest["compute"])
            numbers = (f"{seconds:.1f}", f"{ms:.1f}", f"{torch_ms / ms:.1f}", f"{near:.5f}")
            table.add_row(mode, compute, *numbers)
        Console().print(table, f"{len(cache.read_text().splitlines()) - 1} ranges calibrated")


if __name__ == "__main__":
    main()
