"""The flow-matching work that both sides do: fresh moons and noise, MLP 3 x 128 with time concatenated, AdamW, batch 256."""

import numpy as np

BATCH, STEPS = 256, 100  # STEPS training steps in a timed call
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.01
SIZES = ((3, 128), (128, 128), (128, 128), (128, 2))


def fixed_inputs() -> dict[str, np.ndarray]:
    """Weights, pairs and times on which both losses must agree."""
    random = np.random.default_rng(0)
    inputs = {f"kernel_{i}": random.normal(size=size) / np.sqrt(size[0]) for i, size in enumerate(SIZES)}
    inputs |= {"x_0": random.normal(size=(64, 2)), "x_1": random.normal(size=(64, 2)), "t": random.uniform(size=64)}
    return {name: value.astype(np.float32) for name, value in inputs.items()}
