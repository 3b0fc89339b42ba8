"""The toy work that both sides do: an MLP 36 -> 128 x 4 -> 2, batch 512, population 8, energy score, Adam."""

import numpy as np

BATCH, POPULATION, WIDTH, DEPTH, TIME = 512, 8, 128, 4, 32
LEARNING_RATE = 1e-3
SAMPLES, SAMPLING_STEPS = 10_000, 20
INJECTIONS = (0, 1, 2)  # hidden layers at whose input xi joins

TORCH = {
    "torch eager": ("torch_toy", {}),
    "torch.compile": ("torch_toy", {"compiled": True}),
    "torch.compile, bf16": ("torch_toy", {"compiled": True, "bf16": True}),
}
DDJAX = {
    "ddjax, xi early": ("ddjax_toy", {"inject": 0}),
    "ddjax, xi at layer 1": ("ddjax_toy", {"inject": 1}),
    "ddjax, xi at layer 2": ("ddjax_toy", {"inject": 2}),
    "ddjax, xi at layer 1, bf16": ("ddjax_toy", {"inject": 1, "bf16": True}),
}


def steps(batch: int, size: int) -> int:
    """Training steps in one timed call: about the same work whatever the batch and population."""
    return int(np.clip(50 * BATCH * POPULATION // (batch * size), 2, 50))


def layer_sizes(inject: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of every layer, xi concatenated to the input of layer `inject`."""
    widths = [2 + TIME, *[WIDTH] * DEPTH, 2]
    return [(widths[i] + 2 * (i == inject), widths[i + 1]) for i in range(DEPTH + 1)]


def forward_flops(inject: int, rows: int, size: int) -> float:
    """Of `size` draws for each of `rows` inputs: what lies above the injection is computed once for the draws."""
    flops = 0.0
    for i, (n_in, n_out) in enumerate(layer_sizes(inject)):
        xi = 2 * (i == inject)
        flops += 2 * rows * n_out * ((n_in - xi) * (size if i > inject else 1) + xi * size)
    return flops


def training_flops(inject: int, batch: int, size: int) -> float:
    """Forward and backward of one step: three times forward, and no gradient of the first layer's input."""
    n_in, n_out = layer_sizes(inject)[0]
    return 3 * forward_flops(inject, batch, size) - 2 * batch * n_in * n_out


def fixed_inputs(inject: int) -> dict[str, np.ndarray]:
    """Weights (as [in, out] kernels on the concatenation [h, xi]) and noise on which both losses must agree."""
    random = np.random.default_rng(inject)
    inputs = {}
    for i, (n_in, n_out) in enumerate(layer_sizes(inject)):
        inputs[f"kernel_{i}"] = random.normal(size=(n_in, n_out)) / np.sqrt(n_in)
        inputs[f"bias_{i}"] = random.normal(size=n_out) / 10
    x_0 = random.normal(size=(64, 2)) + 3
    t = random.uniform(size=64)
    noise = random.normal(size=(64, 2))
    inputs |= {"x_0": x_0, "t": t, "x_t": (1 - t[:, None]) * x_0 + t[:, None] * noise}
    inputs["xi"] = random.normal(size=(POPULATION, 64, 2))
    return {name: value.astype(np.float32) for name, value in inputs.items()}
