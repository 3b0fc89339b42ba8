"""What the progress display and the checkpoints cost, as shares of training time: medians over interleaved rounds."""

import tempfile
import time
from dataclasses import dataclass

from experiments import cli


@dataclass(frozen=True)
class Config:
    """Train the default two-Gaussians model bare, with the progress display, and with a checkpoint every 500 steps, in turns."""

    steps: int = 500
    """Training steps for each turn."""
    rounds: int = 7
    """Rounds, after a warm-up."""


def run(config: Config) -> None:
    """Take turns, print the cost of each."""
    if config.rounds < 1 or config.steps < 100 or config.steps % 100:
        raise cli.UserError(f"need --rounds >= 1 and --steps a multiple of 100, got {config.rounds} and {config.steps}")
    import jax
    import numpy as np

    from ddjax import training
    from ddjax.training import checkpoints
    from experiments import gaussian_run
    from experiments.targets import two_gaussians
    from experiments.two_gaussians import Config as Settings

    cache = tempfile.TemporaryDirectory()  # each turn builds its loop anew; only the first may compile it
    jax.config.update("jax_compilation_cache_dir", cache.name)
    settings, mixture = Settings(), two_gaussians()
    model = next(gaussian_run.models(settings))
    train_step = training.make_train_step(model.loss_fn, gaussian_run.optimizer(settings))

    def turn(label=None, manager=None) -> float:
        state = gaussian_run.initial_state(model, settings, 0)
        began = time.perf_counter()
        training.fit(
            state, train_step, lambda key: mixture.sample(key, settings.batch),
            steps=config.steps, checkpoints=manager, save_every=500, label=label,
        )  # fmt: skip
        return time.perf_counter() - began

    seconds = {"bare": [], "progress": [], "checkpoints": []}
    for round_ in range(config.rounds + 1):
        with tempfile.TemporaryDirectory() as folder, checkpoints.manager(folder) as manager:
            timed = {"bare": turn(), "progress": turn(label="turn"), "checkpoints": turn(manager=manager)}
        for name, value in timed.items():
            if round_:
                seconds[name].append(value)
    for name in ("progress", "checkpoints"):
        extra = np.median(np.array(seconds[name]) / np.array(seconds["bare"])) - 1
        print(f"{name}: {100 * extra:+.1f} % of {1e3 * np.median(seconds['bare']) / config.steps:.1f} ms a step")


if __name__ == "__main__":
    cli.main(Config, run)
