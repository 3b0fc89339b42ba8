"""One side of a benchmark in a process of its own, so that thread pools and memory do not mix.

`python -m experiments.benchmark.worker MODULE SETTINGS BEGAN PARENT` makes the side `MODULE.make(**SETTINGS)`, MODULE being one
of this package or a dotted name, then reads lines of JSON [word, *arguments] from stdin and answers each with one line of
JSON. BEGAN is the clock when the process was started, PARENT the process that started it, with which it ends.
"""

import importlib
import json
import os
import sys
import time

from experiments.benchmark.children import end_with

PEAK_SIZES = (1024, 2048)  # of the matrices whose product measures the machine
PEAK_REPEATS = 5


def seconds(call) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def peak_flops(matmul) -> float:
    """The best rate of float32 products of square matrices, in FLOP/s."""
    best = 0.0
    for size in PEAK_SIZES:
        product = matmul(size)
        product()
        best = max(best, 2 * size**3 / min(seconds(product) for _ in range(PEAK_REPEATS)))
    return best


def main() -> None:
    """Serve until stdin closes."""
    if len(sys.argv) != 5:
        raise SystemExit("error: a worker is started by python -m experiments.benchmark, for each side of a race")
    module, settings, began, parent = sys.argv[1:]
    end_with(int(parent))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what libraries print must not come between the answers
    os.dup2(2, 1)
    side = importlib.import_module(module if "." in module else f"experiments.benchmark.{module}").make(
        **json.loads(settings)
    )
    first, ready = {}, 0.0
    for name, work in side.work.items():
        first[name] = seconds(work.run)  # compilation is in here
        ready = ready or time.time() - float(began)  # from process start: imports and the first work

    def facts() -> dict:
        return {
            "ready": ready,
            "first": first,
            "equal": side.equal(),
            "device": side.device,
            "answers": list(side.answers),
            "units": {name: work.units for name, work in side.work.items()},
            "flops": {name: work.flops for name, work in side.work.items()},
        }

    known = side.answers | {
        "facts": facts,
        "time": lambda name: seconds(side.work[name].run),
        "memory": side.memory_mb,
        "peak": lambda: peak_flops(side.matmul),
    }
    for line in sys.stdin:
        word, *arguments = json.loads(line)
        print(json.dumps(known[word](*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
