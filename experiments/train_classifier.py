"""Train the small classifier in whose features image models are measured: digits 98 %, glyphs 98.5 % on the test split."""

from dataclasses import dataclass
from pathlib import Path

from experiments import cli


@dataclass(frozen=True)
class Config:
    """Train a classifier on labelled images, shifted by up to a pixel or two, and save its weights and test accuracy."""

    data: str = "digits"
    """Image set: a name (digits, glyphs, mnist, ...) or a path."""
    out: Path | None = None
    """Folder of the weights; runs/classifier/DATA by default."""
    steps: int = 2000
    """Training steps."""
    batch: int = 128
    """Images in a step."""
    seed: int = 0
    """Of initial weights, batches and shifts."""
    config: Path | None = None
    """YAML file with any of these settings."""


def run(config: Config) -> None:
    """Load, train, judge, save."""
    if config.steps < 1 or config.batch < 1:
        raise cli.UserError(f"--steps and --batch must be at least 1, got {config.steps}, {config.batch}")
    from ddjax.data import images

    train, test = (images.load(config.data, split=split) for split in ("train", "test"))
    if train.labels is None:
        raise cli.UserError(f"--data {config.data} has no labels to train on")
    net, params = fit(train.x, train.labels, train.classes, config)
    accuracy, wrong = judge(net, params, test.x, test.labels)
    folder = config.out or Path("runs") / "classifier" / train.name
    save(folder, params, settings_of(config, train) | {"test_accuracy": accuracy, "test_images": len(test.x)})
    print(f"{train.name}: test accuracy {accuracy:.4f} ({wrong} of {len(test.x)} wrong)")
    print(f"results: {folder} (classifier.safetensors, classifier.json)")


def fit(x, labels, classes: int, config: Config):
    """The classifier and its averaged parameters after training.

    Steps are dispatched one by one: inside a scan XLA's CPU backend runs gradients of convolutions fifty times slower.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from ddjax import training
    from ddjax.networks.classifier import classifier
    from ddjax.training.progress import progress

    net = classifier(x.shape[1:], classes)
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    reach = max(x.shape[1] // 14, 1)  # pixels of a shift

    def loss_fn(params, key, batch):
        images, labels = batch
        loss = optax.softmax_cross_entropy_with_integer_labels(net.logits(params, images), labels).mean()
        return loss, {"loss": loss}

    def one(state):
        key_batch, _ = state.keys()
        key_rows, key_shift = jax.random.split(key_batch)
        rows = jax.random.randint(key_rows, (config.batch,), 0, len(x))
        shifts = jax.random.randint(key_shift, (config.batch, 2), -reach, reach + 1)
        return train_step(state, (scaled(jax.vmap(_shifted, (0, 0, None))(x[rows], shifts, reach)), labels[rows]))

    optimizer = optax.adamw(optax.cosine_decay_schedule(2e-3, config.steps), weight_decay=1e-2)
    train_step = training.make_train_step(loss_fn, optimizer)
    key_init, key_train = jax.random.split(jax.random.key(config.seed))
    state, step = training.TrainState.create(net.init(key_init), optimizer, key_train), jax.jit(one, donate_argnums=0)
    with progress(config.steps, start=0, label="classifier") as update:
        for i in range(1, config.steps + 1):
            state, metrics = step(state)
            if i % 100 == 0 or i == config.steps:
                update(i, {name: float(value) for name, value in metrics.items()})
    return net, state.ema


def _shifted(image, shift, reach: int):
    """The image moved by (rows, columns), its edge repeated."""
    import jax
    import jax.numpy as jnp

    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    return jax.lax.dynamic_slice(padded, (shift[0] + reach, shift[1] + reach, 0), image.shape)


def scaled(x):
    """Bytes as numbers in [-1, 1]."""
    import jax.numpy as jnp

    return jnp.asarray(x, jnp.float32) / 127.5 - 1


def judge(net, params, x, labels) -> tuple[float, int]:
    """Accuracy, and how many are wrong."""
    import numpy as np

    guesses = [net.logits(params, scaled(x[start : start + 500])).argmax(-1) for start in range(0, len(x), 500)]
    wrong = int((np.concatenate(guesses) != labels).sum())
    return 1 - wrong / len(x), wrong


def settings_of(config: Config, train) -> dict:
    """What the weights depend on."""
    chosen = {
        "data": train.name,
        "digest": train.digest,
        "event_shape": list(train.x.shape[1:]),
        "classes": train.classes,
    }
    return chosen | {"steps": config.steps, "batch": config.batch, "seed": config.seed}


def save(folder: Path, params, settings: dict) -> None:
    """Weights, then settings, each all or nothing."""
    import json

    from ddjax.networks import weights
    from experiments.runs import provenance, write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    weights.save(folder / "classifier.safetensors", params)
    write_atomically(folder / "classifier.json", json.dumps(settings | {"provenance": provenance()}, indent=2) + "\n")


if __name__ == "__main__":
    cli.main(Config, run)
