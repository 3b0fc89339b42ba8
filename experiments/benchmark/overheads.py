"""What the progress display and the checkpoints cost, as shares of training time: medians over interleaved rounds.

Processor time is the figure to trust on a machine that others use too.
"""

import tempfile
import time
from dataclasses import dataclass, replace

from ddjax import cli
from ddjax.cli.settings import Count


@dataclass(frozen=True)
class Config:
    """Train the default two-Gaussians model bare, with the progress display, and with frequent checkpoints, in turns.

    Example: python -m experiments.benchmark.overheads --rounds 3
    """

    steps: Count = 2000
    """Training steps for each turn: many, because each traces the loop anew."""
    rounds: Count = 5
    """Rounds, after a warm-up."""
    every: Count = 50
    """Steps between checkpoints, and steps for each dispatch in every turn."""

    def check(self) -> None:
        """Raises: UserError for steps that do not come out even."""
        if self.steps % self.every:
            raise cli.UserError(f"--steps must be a multiple of --every, got {self.steps} and {self.every}")


def run(config: Config) -> None:
    """Take turns, print the cost of each."""
    import jax
    import numpy as np

    from ddjax import recipes, targets, training
    from ddjax.runs import jobs
    from ddjax.training import checkpoints
    from experiments.common.settings import Scored

    cache = tempfile.TemporaryDirectory()  # each turn builds its loop anew; only the first may compile it
    jax.config.update("jax_compilation_cache_dir", cache.name)
    settings, mixture = Scored(), targets.two_gaussians()
    model = recipes.build(
        recipes.part(
            recipes.Distributional,
            settings,
            name="ddm",
            event_shape=(2,),
            network=recipes.part(recipes.Mlp, settings),
            optimizer=replace(settings.optimizer(), clip=1.0),
        )
    )
    train_step = training.make_train_step(model.loss_fn, model.optimizer)

    def turn(label=None, manager=None) -> tuple[float, float]:
        state = jobs.initial_state(model.network, model.optimizer, 0)
        began = time.perf_counter(), time.process_time()
        state = training.fit(
            state, train_step, lambda key: mixture.sample(key, settings.batch),
            steps=config.steps, chunk=config.every, checkpoints=manager, save_every=config.every, label=label,
        )  # fmt: skip
        jax.block_until_ready(state)
        return time.perf_counter() - began[0], time.process_time() - began[1]

    seconds = {"bare": [], "progress": [], "checkpoints": []}
    for round_ in range(config.rounds + 1):
        with tempfile.TemporaryDirectory() as folder, checkpoints.manager(folder) as manager:
            timed = {"bare": turn(), "progress": turn(label="turn"), "checkpoints": turn(manager=manager)}
        for name, value in timed.items():
            if round_:
                seconds[name].append(value)
    for name in ("progress", "checkpoints"):
        wall, cpu = np.median(np.array(seconds[name]) / np.array(seconds["bare"]), 0) - 1
        ms = 1e3 * np.median(seconds["bare"], 0)[0] / config.steps
        print(f"{name}: {100 * wall:+.1f} % of {ms:.1f} ms a step, {100 * cpu:+.1f} % of the processor time")


if __name__ == "__main__":
    cli.main(Config, run)
