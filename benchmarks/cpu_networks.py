"""Networks on the CPU beside ONNX Runtime: `python -m benchmarks.cpu_networks [NETWORK...] [--layers] [--json]`.

int8 and float32, one thread and two, in one run: weft and ONNX Runtime take turns, a burst of runs each, and the median of
all runs counts. What other programs disturb less is shown beside it: the shortest run, and with one thread the processor's
time. Both get the same images; weft's output is held against its reference, and how far it is from ONNX Runtime's is told.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np
from rich.console import Console
from rich.table import Table

from weft.bench import networks
from weft.bench.qdq import QdqBuilder, RealBuilder
from weft.compiler import frontends
from weft.compiler.pipeline import compile
from weft.isa import DEFAULT
from weft.runtime.function import Function
from weft.runtime.team import cores

NETWORKS = ("resnet18", "mobilenet_v2")
GOALS = {"int8": 1.2, "float32": 1.0}  # times as fast as ONNX Runtime
ROUNDS, BURST = 6, 12
SETTLE = 0.02  # seconds between two bursts, in which the threads of the one before stop waiting for work
WARM = 0.05  # seconds of runs before those that count: weights come back into the caches, and threads find a core each
LAYERS = {  # name: channels and size of the input, channels of the output, kernel, stride, groups
    "7x7 224x224 3 to 64 /2": (3, 224, 64, 7, 2, 1), "3x3 56x56x64": (64, 56, 64, 3, 1, 1),
    "3x3 56x56 64 to 128 /2": (64, 56, 128, 3, 2, 1), "3x3 28x28x128": (128, 28, 128, 3, 1, 1),
    "3x3 14x14x256": (256, 14, 256, 3, 1, 1), "3x3 7x7x512": (512, 7, 512, 3, 1, 1),
    "1x1 56x56 64 to 128 /2": (64, 56, 128, 1, 2, 1), "3x3 224x224 3 to 32 /2": (3, 224, 32, 3, 2, 1),
    "1x1 112x112 16 to 96": (16, 112, 96, 1, 1, 1), "3x3 112x112x96 depthwise /2": (96, 112, 96, 3, 2, 96),
    "1x1 56x56 144 to 24": (144, 56, 24, 1, 1, 1), "3x3 56x56x144 depthwise": (144, 56, 144, 3, 1, 144),
    "1x1 14x14 64 to 384": (64, 14, 384, 1, 1, 1), "3x3 14x14x384 depthwise": (384, 14, 384, 3, 1, 384),
    "1x1 7x7 160 to 960": (160, 7, 960, 1, 1, 1), "1x1 7x7 320 to 1280": (320, 7, 1280, 1, 1, 1),
}


def layer(name: str, real: bool) -> bytes:
    """A convolution of LAYERS alone, as an ONNX model of real numbers on its edges."""
    channels, size, filters, kernel, stride, groups = LAYERS[name]
    b = (RealBuilder if real else QdqBuilder)(name, 0)
    return b.model(b.conv(b.input((1, channels, size, size)), filters, kernel, stride, groups)).SerializeToString()


def onnx_runtime(model: bytes, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A model as a function, by ONNX Runtime with its default optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"image": x})[0]


def times(functions: Iterable[Callable], x: np.ndarray) -> list[list[tuple[float, float]]]:
    """(seconds, seconds of this thread's processor) of all runs of each function, which take turns."""
    functions = list(functions)
    taken: list[list[tuple[float, float]]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, its in zip(functions, taken):
            time.sleep(SETTLE)
            until = time.perf_counter() + WARM
            while time.perf_counter() < until:
                function(x)
            for _ in range(BURST):
                began, busy = time.perf_counter(), time.thread_time()
                function(x)
                its.append((time.perf_counter() - began, time.thread_time() - busy))
    return taken


def measure(name: str, model: bytes, dtype: str, threads: Iterable[int]) -> list[dict]:
    """A row for each number of threads: seconds of either, their ratio, the goal, MACs, whether weft agrees with its
    reference, and how far it is from ONNX Runtime, as a part of the largest output."""
    began = time.perf_counter()
    module = compile(frontends.onnx.load(model, name), DEFAULT, target="cpu", cpu="native")
    compiled, rows = time.perf_counter() - began, []
    rng = np.random.default_rng(0)
    (source,) = module.inputs
    shape = module.tensors[source].shape
    x = networks.images(size=shape[2]) if shape[1] == 3 else rng.standard_normal(shape).astype(np.float32)
    agrees = bool(module.run(x)[1].agrees)
    for count in threads:
        ours, theirs = Function(module, threads=count), onnx_runtime(model, count)
        y, expected = ours(x), theirs(x)
        (taken, busy), (their_taken, their_busy) = (zip(*runs) for runs in times((ours, theirs), x))
        (mine, its), (my_least, its_least) = map(statistics.median, (taken, their_taken)), map(min, (taken, their_taken))
        my_busy, its_busy = map(statistics.median, (busy, their_busy)) if count == 1 else (None, None)
        rows.append({
            "network": name, "dtype": dtype, "threads": count, "macs": module.macs, "seconds": mine,
            "onnx_runtime_seconds": its, "ratio": its / mine,
            "least_seconds": my_least, "onnx_runtime_least_seconds": its_least,
            "ratio_of_least": its_least / my_least, "processor_seconds": my_busy, "onnx_runtime_processor_seconds": its_busy,
            "ratio_of_processor": its_busy / my_busy if count == 1 else None, "goal": GOALS[dtype], "agrees": agrees,
            "compile_seconds": compiled, "difference": float(np.abs(y - expected).max() / np.abs(expected).max()),
            "on_host": sorted({o.op for o in module.operators if o.where == "host"})})
    return rows


def measure_all(names: Iterable[str] = NETWORKS, threads: Iterable[int] = (1, 2), layers: bool = False) -> list[dict]:
    """Rows of networks, or of the single layers of ResNet-18 and MobileNet-V2."""
    threads, rows = [count for count in threads if count <= cores()], []
    for name in LAYERS if layers else names:
        for dtype in GOALS:
            real = dtype == "float32"
            model = layer(name, real) if layers else networks.build(name, real=real).SerializeToString()
            rows += measure(name, model, dtype, threads)
    return rows


def table(rows: list[dict]) -> Table:
    """A row a measurement."""
    shown = Table(title="on the CPU, beside ONNX Runtime (ORT); medians of runs that took turns", title_justify="left")
    for column in ("network", "dtype", "threads", "weft ms", "GMAC/s", "ORT ms", "GMAC/s", "times as fast",
                   "of the shortest", "of the processor", "goal", "agrees"):
        shown.add_column(column, justify="left" if column in ("network", "dtype", "agrees") else "right")
    for row in rows:
        speeds = (f"{row['macs'] / row[key] / 1e9:.0f}" for key in ("seconds", "onnx_runtime_seconds"))
        ratios = (f"{row[key]:.2f}" if row[key] else "" for key in ("ratio", "ratio_of_least", "ratio_of_processor"))
        shown.add_row(row["network"], row["dtype"], str(row["threads"]), f"{1e3 * row['seconds']:.3f}", next(speeds),
                      f"{1e3 * row['onnx_runtime_seconds']:.3f}", next(speeds), *ratios, f"{row['goal']:.1f}",
                      "yes" if row["agrees"] and not row["on_host"] else ", ".join(row["on_host"]) or "NO")
    return shown


def main():
    parser = argparse.ArgumentParser(description="Networks on the CPU beside ONNX Runtime.")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--layers", action="store_true", help="single layers instead")
    parser.add_argument("--threads", type=int, nargs="*", default=(1, 2))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure_all(options.networks, options.threads, options.layers)
    print(json.dumps(rows, indent=1)) if options.json else Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
