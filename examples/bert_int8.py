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
from torch.nn.functional import cosine_similarity
from transformers import BertConfig, BertModel

import forward
from fwd_core.errors import ForwardError, OptionError
from fwd_plugins_bert import BertBatchStream

DATA = Path(__file__).parents[1] / "tests" / "data"
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--squad", type=Path, default=DATA / "squad.json", help="file of questions")
    parser.add_argument("--vocab", type=Path, default=DATA / "vocab.txt", help="the model's words")
    parser.add_argument("--length", type=int, default=128, help="tokens of a window")
    parser.add_argument("--windows", type=int, default=32, help="how many to calibrate with")
    parser.add_argument("--tiny", action="store_true", help="a model of two narrow layers")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    size = {"max_position_embeddings": max(512, given.length), **(TINY if given.tiny else {})}
    model = BertModel(BertConfig(**size), add_pooling_layer=False).eval()
    stream = BertBatchStream(given.squad, given.vocab, 1, given.length, given.windows)
    batches = [tuple(torch.from_numpy(array).long() for array in batch) for batch in stream]
    inputs = min(batches, key=lambda batch: abs(int(batch[1].sum()) - 0.8 * given.length))
    engines = {"torch": model}
    with tempfile.TemporaryDirectory(prefix="forward-bert-") as folder:
        cache = Path(folder) / "bert.cache"
        calibrator = forward.TrtInt8Calibrator(stream, cache, forward.MINMAX_CALIBRATION)
        for mode in ("float32", "float16", "int8_calib", "int8"):  # int8_calib writes the cache
            builder = forward.TorchBuilder(backend="openvino")
            builder.set_calibrator(calibrator)
            start = time.perf_counter()
            try:
                builder.set_mode(mode)
                engines[mode] = builder.build(model, inputs)
            except OptionError as error:  # a CPU without a half type
                print(f"{mode}: skipped, {error.what}")
            print(f"{mode}: {time.perf_counter() - start:.1f} s")
    del engines["int8_calib"]  # it computes in float32
    times = {name: [] for name in engines}
    real = inputs[1].bool()  # what engines give for padding is of no interest
    with torch.inference_mode():
        for _ in range(20):  # in turns, so that what else the machine does hits all alike
            for name, engine in engines.items():
                engine(*inputs)
                start = time.perf_counter()
                engine(*inputs)
                times[name].append((time.perf_counter() - start) * 1e3)
        found = {name: run(*inputs)["last_hidden_state"][real] for name, run in engines.items()}
    table = Table("engine", "median ms", "least cosine of a token with torch", "SQNR, dB")
    for name, outputs in found.items():
        cosine = cosine_similarity(outputs, found["torch"], dim=-1).min()
        noise = 20 * torch.log10(found["torch"].norm() / (outputs - found["torch"]).norm())
        table.add_row(name, f"{sorted(times[name])[10]:.1f}", f"{cosine:.5f}", f"{noise:.1f}")
    Console().print(table)


if __name__ == "__main__":
    try:
        main()
    except ForwardError as error:
        raise SystemExit(f"error: {error}") from None
