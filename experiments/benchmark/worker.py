"""One side of the benchmark in a process of its own, so that thread pools and memory do not mix.

Reads words from stdin (`info`, `train`, `sample`), answers each with one line of JSON.
"""

import json
import sys
import time

from experiments.benchmark import toy

TRAIN_STEPS = 100
_BEGAN = time.perf_counter()


def make(side: str):
    """The worker of a side: torch, torch-compiled, ddjax-early, ddjax-late1 or ddjax-late2."""
    if side.startswith("torch"):
        from experiments.benchmark.torch_toy import Worker

        return Worker(compiled=side == "torch-compiled")
    from experiments.benchmark.ddjax_toy import Worker

    return Worker(inject={"ddjax-early": 0, "ddjax-late1": 1, "ddjax-late2": 2}[side])


def main() -> None:
    """Serve until stdin closes."""
    worker = make(sys.argv[1])
    worker.train(50)  # imports and compilation are in here: the time until training is under way
    ready = time.perf_counter() - _BEGAN
    worker.sample()
    for line in sys.stdin:
        answer = {
            "info": lambda: {
                "parameters": worker.parameters(),
                "loss": worker.fixed_loss(toy.fixed_inputs()),
                "ready": ready,
            },
            "train": lambda: worker.train(TRAIN_STEPS) / TRAIN_STEPS,
            "sample": worker.sample,
        }[line.strip()]()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
