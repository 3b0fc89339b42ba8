"""The toy work that both sides do: an MLP 36 -> 128 x 4 -> 2, batch 512, population 8, energy score, Adam."""

from itertools import pairwise

import numpy as np

BATCH, POPULATION, WIDTH, DEPTH, TIME = 512, 8, 128, 4, 32
LEARNING_RATE = 1e-3
SAMPLES, SAMPLING_STEPS = 10_000, 20


def fixed_inputs() -> dict[str, np.ndarray]:
    """Weights (as [in, out] kernels on the concatenation [x_t, time, xi]) and noise on which both losses must agree."""
    random = np.random.default_rng(0)
    sizes = [2 + TIME + 2, *[WIDTH] * DEPTH, 2]
    inputs = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        inputs[f"kernel_{i}"] = random.normal(size=(n_in, n_out)) / np.sqrt(n_in)
        inputs[f"bias_{i}"] = random.normal(size=n_out) / 10
    x_0 = random.normal(size=(64, 2)) + 3
    t = random.uniform(size=64)
    noise = random.normal(size=(64, 2))
    inputs |= {"x_0": x_0, "t": t, "x_t": (1 - t[:, None]) * x_0 + t[:, None] * noise}
    inputs["xi"] = random.normal(size=(POPULATION, 64, 2))
    return {name: value.astype(np.float32) for name, value in inputs.items()}
