"""Both sides in interleaved rounds: medians, and ratios paired by round."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from experiments import cli

SIDES = ("torch", "torch-compiled", "ddjax-early", "ddjax-late1", "ddjax-late2")


@dataclass(frozen=True)
class Config:
    """Time training steps and sampling of the two-Gaussians work, ddjax against torch (the `bench` extra), in processes
    that take turns. Ratios are medians over rounds of (torch eager / side): above 1 is faster than torch eager."""

    rounds: int = 7
    """Rounds, after a warm-up."""


def run(config: Config) -> None:
    """Start the sides, check that they do equal work, take turns, print."""
    if config.rounds < 1:
        raise cli.UserError(f"--rounds must be at least 1, got {config.rounds}")
    try:
        import torch  # noqa: F401
    except ImportError:
        raise cli.UserError("the benchmark needs torch: pip install 'ddjax[bench]'") from None
    import numpy as np

    command = [sys.executable, "-m", "experiments.benchmark.worker"]
    workers, infos = {}, {}
    for side in SIDES:  # one after the other: starting up is timed too
        workers[side] = subprocess.Popen([*command, side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        infos[side] = _ask(workers[side], "info")
    _require_equal_work(infos)
    seconds = {(side, what): [] for side in SIDES for what in ("train", "sample")}
    for _ in range(config.rounds):
        for side, worker in workers.items():
            for what in ("train", "sample"):
                seconds[side, what].append(_ask(worker, what))
            time.sleep(0.3)  # let this side's threads stop spinning before the next one starts
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()

    header = ["side", "parameters", "start to step 50, s", "training step, ms", "x torch", "x torch.compile"]
    header += ["10,000 samples in 20 steps, ms", "x torch", "x torch.compile"]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for side in SIDES:
        cells = [side, f"{infos[side]['parameters']:,}", f"{infos[side]['ready']:.1f}"]
        for what in ("train", "sample"):
            own = np.array(seconds[side, what])
            ratios = [np.median(np.array(seconds[base, what]) / own) for base in ("torch", "torch-compiled")]
            cells += [f"{1e3 * np.median(own):.1f}", *(f"{ratio:.2f}" for ratio in ratios)]
        print("| " + " | ".join(cells) + " |")
    print(
        f"losses at equal weights and noise: torch {infos['torch']['loss']:.6f}, ddjax {infos['ddjax-early']['loss']:.6f}"
    )


def _ask(worker: subprocess.Popen, word: str):
    worker.stdin.write(word + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise cli.UserError(f"{worker.args[-1]} failed; run {' '.join(worker.args)} to see why")
    return json.loads(line)


def _require_equal_work(infos: dict) -> None:
    torch, ours = infos["torch"], infos["ddjax-early"]
    if torch["parameters"] != ours["parameters"] or abs(torch["loss"] - ours["loss"]) > 1e-5:
        raise cli.UserError(f"the two sides do not do the same work: {torch} against {ours}")


if __name__ == "__main__":
    cli.main(Config, run)
