"""Distributional diffusion on images, beside regression with the same net and budget.

The recipe is the paper's (De Bortoli et al., arXiv 2502.02483): x_0 prediction by the energy score, xi as channels or late,
class conditioning, an average of the parameters. Sizes of the nets are ours; the paper's could not be read.
Expected with --preset digits: distributional diffusion at 1 step closer to the held-out digits than regression at 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli, runs
from ddjax.cli.settings import (
    MAY_BE_EMPTY,
    Count,
    Decay,
    Depth,
    Exponent,
    FileToRead,
    Fraction,
    Multiple,
    NonNegative,
    Positive,
    Range,
    Seeds,
    Steps,
)
from ddjax.runs import engine
from experiments import run as runner
from experiments.lazy import data, denoisers, figures, jax, jnp, np, paths, recipes, types
from experiments.run import Experiment, Findings, Trained

if TYPE_CHECKING:
    from ddjax.data import Folder, Images
    from ddjax.judging import Number
    from ddjax.recipes import Model, Recipe
    from ddjax.runs import Run
    from ddjax.types import Batch, Key, Params

Preset = Literal["digits", "glyphs", "photos", "cifar10", "cifar10-dit"]


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train distributional diffusion (DDM) and x_0 regression on images, and judge both at 1 to 50 steps.

    The embedded sets (digits, glyphs, photos) need nothing; `python -m experiments.fetch` downloads MNIST, Fashion-MNIST and
    CIFAR-10. Writes config.yaml, metrics.jsonl, summary.json, sample grids, figures, report.html and checkpoints into --out.
    """

    preset: Preset = "digits"
    """Settings for one data set; explicit flags still win. cifar10 and cifar10-dit are for accelerators."""
    data: str = "digits"
    """digits, glyphs, photos, or a path: MNIST or CIFAR-10 files, a folder of images, a .npz, or .npy files.

    Arrays: x (images, data, arr_0, x_train, ...) [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels, as bytes,
    uint16, booleans, or floats in [0, 1], [-1, 1] or [0, 255]; y (labels, arr_1, y_train, ...) [n], numbers or words. Folders:
    files, or a folder for each class, perhaps inside train and test (or val, valid, ...); transparency is shown on white."""
    image_size: Count | None = None
    """Side of the square that the images of a folder are cropped and scaled to; needed where they differ in size."""
    hold_out: Annotated[int, Range(2)] = 10
    """Of --data PATH without splits of its own, one image in so many is held out for the judges, in all classes alike."""
    skip_unreadable: bool = False
    """Leave out image files that cannot be decoded, in place of an error that names them all."""
    resident: Annotated[int, Range(0)] = 1024
    """Largest training set, in MiB of pixels, that is kept on the device; a larger one streams through Grain."""
    seeds: Seeds = 1
    """Number of seeds, 0 to seeds - 1."""
    steps: Count = 6000
    """Training steps of each model."""
    batch: Count = 512
    """Examples for each training step."""
    beta: Annotated[tuple[Exponent, ...], MAY_BE_EMPTY] = (0.1,)
    """Exponents of the energy score; one model for each."""
    lam: NonNegative = 1.0
    """Weight of the interaction: 1 is the proper rule."""
    score_patch: Annotated[int, Range(0)] = 3
    """Side of the patches whose mean score joins that of the whole image, up to the image's; 0 is the paper's score alone."""
    population: Count = 4
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    baseline: bool = True
    """Train the regression baseline too, with the same net and budget."""
    net: Literal["mlp", "unet", "dit"] = "mlp"
    """mlp sees an image as a vector; unet and dit as an image."""
    width: Count = 512
    """Width of the hidden layers (mlp, dit); the UNet has width, 2 width, 2 width at its resolutions."""
    depth: Depth = 5
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    patch: Count = 4
    """Pixels along the side of a token (dit)."""
    attention: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Heights in pixels at which the UNet attends."""
    inject: Annotated[int, Range(0)] = 1
    """The layer or block that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    dropout: Fraction = 0.0
    """Rate inside the blocks of unet and dit while training."""
    bfloat16: bool = False
    """Compute of unet and dit in bfloat16; parameters and loss stay float32."""
    remat: bool = False
    """Recompute blocks of unet and dit in the backward pass: less memory, more time."""
    predicts: Literal["x0", "velocity"] = "x0"
    """What the nets output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid is the paper's for images; it starves the first steps of few-step sampling."""
    bias: float = 0.0
    """Shift b of the sigmoid weight, sigmoid(logsnr - b)."""
    time_exponent: Positive = 0.5
    """Training times are u^exponent: below 1 favours the noise end."""
    learning_rate: Positive = 3e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay."""
    warmup: Annotated[int, Range(0)] = 200
    """Steps of warm-up."""
    clip: Positive = 1.0
    """Largest norm of the gradient."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from."""
    label_dropout: Fraction = 0.1
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Guidance weight w while sampling: 1 is conditional, above it pulls towards the class."""
    churn: Fraction = 1.0
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)
    """Numbers of sampling steps to judge."""
    samples: Annotated[int, Range(100)] = 2000
    """Samples for each judged number."""
    inception: FileToRead | None = None
    """Weights of the FID network (pt_inception-2015-12-05.pth, or a safetensors copy): adds FID to the numbers."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints and sample grids."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        if self.population < 2 and self.lam > 0:
            raise cli.UserError(f"--population must be at least 2 when lam > 0, got {self.population}")
        if not (self.beta or self.baseline):
            raise cli.UserError("nothing to train: give --beta a value or leave --baseline on")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        sides = {("image_size",): 3 * (self.image_size or 0) ** 2, ("samples",): 64 * self.samples}
        return engine.floats(self) | sides


_LARGER = {  # what differs from the digits
    "beta": (1.0,), "score_patch": 0, "inject": 2, "time_exponent": 0.7, "learning_rate": 1e-3
}  # fmt: skip
_PAPER = _LARGER | {
    "data": "cifar10", "steps": 200_000, "batch": 256, "weight": "sigmoid", "learning_rate": 2e-4, "warmup": 5000,
    "ema_decay": 0.9999, "bfloat16": True, "samples": 10_000, "save_every": 10_000, "inject": 0, "dropout": 0.1,
}  # fmt: skip

PRESETS = {
    "preset glyphs": _LARGER | {"data": "glyphs", "net": "dit", "width": 128, "depth": 4, "batch": 128, "steps": 4000},
    "preset photos": _LARGER
    | {
        "data": "photos",
        "net": "dit",
        "width": 128,
        "depth": 6,
        "batch": 64,
        "inject": 3,
        "steps": 4000,
    },
    "preset cifar10": _PAPER | {"net": "unet", "width": 128, "depth": 2, "attention": (16,)},
    "preset cifar10-dit": _PAPER | {"net": "dit", "width": 384, "depth": 12, "patch": 2},
}


TABLES = {
    "frechet pixels": "Fréchet distance, pixels",
    "frechet features": "Fréchet distance, classifier features",
    "FID": "FID, against the training images",
    "kernel distance features": "Kernel distance, classifier features (unbiased, may be negative)",
    "class accuracy": "Class accuracy of conditional samples",
    "precision features": "Precision, classifier features, k = 5",
    "recall features": "Recall, classifier features, k = 5",
    "density features": "Density, classifier features, k = 5",
    "coverage features": "Coverage, classifier features, k = 5",
    "memorisation pixels": "Median distance to the nearest training image, over that of held-out images (near 0: copies)",
}
SHOWN = 12  # images in a row of a grid


def recipes_of(settings: Config, shape: tuple[int, int, int], classes: int) -> list[Recipe]:
    """One distributional model for each beta, and regression with the same net and budget."""
    if settings.score_patch > min(shape[:2]):
        raise cli.UserError(f"--score-patch {settings.score_patch} is larger than the images, {shape}")
    names = (
        "predicts", "net", "width", "depth", "inject", "patch", "attention", "dropout", "bfloat16", "remat", "lam",
        "score_patch", "population", "weight", "bias", "time_exponent", "label_dropout", "guidance", "steps",
        "learning_rate", "warmup", "clip", "weight_decay", "ema_decay",
    )  # fmt: skip
    shared = {name: getattr(settings, name) for name in names}
    shared |= {"event_shape": shape, "classes": classes, "residual": settings.net == "mlp", "cosine": True}
    if not classes:
        shared |= {"label_dropout": 0.0, "guidance": 1.0}
    models = [recipes.Recipe(name=f"DDM beta {beta:g}", beta=beta, **shared) for beta in settings.beta]
    baseline = [recipes.Recipe(name="regression", kind="regression", **shared)] if settings.baseline else []
    return [*models, *baseline]


def shown_labels(recipe: Recipe) -> Any:
    """The classes in turns, for pictures."""
    return jnp.arange(SHOWN, dtype=jnp.int32) % recipe.classes if recipe.classes else None


def watch(settings: Config, recipe: Recipe, model: Model, folder: Run) -> Any:
    """Draw samples at 1 and 4 steps into a picture that is replaced as training goes on."""

    def watching(params: Params) -> dict[str, float]:
        rows = {figures.steps_of(n): pictured(settings, recipe, model, params, n) for n in (1, 4)}
        file = folder.path / f"while-training-{recipes.job(model.name, 0).removesuffix('-seed0')}.png"
        figures.grid(rows, model.name).savefig(file, dpi=110)
        return {}

    return watching


def pictured(settings: Config, recipe: Recipe, model: Model, params: Params, steps: int) -> Any:
    """A row of samples, the classes in turns, always of the same noise."""
    told = {"churn": settings.churn, "guidance": recipe.guidance, "cond": shown_labels(recipe)}
    return model.draw(params, jax.random.key(3), SHOWN, steps=steps, **told)


def judge(
    settings: Config, train: Images | Folder, held_out: Images | Folder, copies: str, trained: Trained
) -> Findings:
    """Every model at every number of steps, in pixels and in features."""
    from ddjax.judging import sweep
    from experiments.imaging import feeds, judging, spaces

    seen, test = feeds.judged(train, settings), feeds.judged(held_out, settings)
    judges = spaces.of(seen, test, settings.inception)
    floors = {name: (value, None) for name, value in judging.floors(judges, test).items()}
    found = list(zip(recipes_of(settings, train.shape, len(train.classes)), trained.models, strict=True))
    numbers = []
    for recipe, model in found:

        def drawn(params: Params, key: Key, steps: int, churn: float, recipe=recipe, model=model) -> Batch:
            key_labels, key_draw = jax.random.split(key)
            labels = judging.labels_like(train, key_labels, settings.samples)
            cond = None if labels is None else jnp.asarray(labels)
            told = {"churn": settings.churn, "guidance": recipe.guidance, "cond": cond}
            x_0 = model.draw(params, key_draw, settings.samples, steps=steps, **told)
            return types.Batch(jnp.clip(x_0, -1, 1), labels)

        judged = lambda batch, key, steps: judging.judge(batch, judges)  # noqa: E731
        key, params = jax.random.key(2026), trained.params[model.name]
        numbers += sweep(model.name, drawn, params, judged, floors, key, nfe=settings.nfe)
    protocol = spaces.PROTOCOL.format(
        n=settings.samples, test=len(test), train=len(seen), all=len(train), ema=settings.ema_decay
    )
    return Findings(
        numbers,
        TABLES,
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "data": [train.describe(), held_out.describe(), seen.attribution, copies],
            "classes": list(train.classes),
            "digest": {"train": train.digest, "test": held_out.digest},
            "parameters": {model.name: recipes.parameters(model) for _, model in found},
            "protocol": protocol,
        },
        drawn_figures(settings, found, trained, test, numbers),
        notes=[*filter(None, (seen.attribution, copies)), protocol],
    )


def drawn_figures(
    settings: Config, found: list[tuple[Recipe, Model]], trained: Trained, test: Images, numbers: list[Number]
) -> dict[str, tuple[Any, str]]:
    """Distances by steps, samples by number of steps, draws of the posterior of a noisy image, losses."""
    drawn, rows = {}, {}
    for space in ("pixels", "features"):
        if any(number.metric == f"frechet {space}" for number in numbers):
            label = f"Fréchet distance, {space}"
            drawn[f"frechet-{space}.png"] = figures.by_steps(numbers, f"frechet {space}", label), f"{label}, by steps."
    for recipe, model in found:
        params = trained.params[model.name][0]
        for n in settings.nfe:
            rows[f"{model.name}, {figures.steps_of(n)}"] = pictured(settings, recipe, model, params, n)
    rows["held out"] = np.asarray(data.to_float(jnp.asarray(test.x[:SHOWN])))
    drawn["samples.png"] = figures.grid(rows), "Samples by number of steps, first seed; last row held-out images."
    for recipe, model in found:
        if recipe.kind == "distributional":
            draws = posterior(recipe, trained.params[model.name][0], test)
            name = f"posterior-{recipes.job(model.name, 0).removesuffix('-seed0')}.png"
            caption = "A held-out image, the same with noise, and draws of what it could have been."
            drawn[name] = figures.grid(draws, f"{model.name}: draws of x_0 given x_t"), caption
    logged = [row for row in runs.read_metrics(trained.folder.path) if row["job"].endswith("seed0")]
    return drawn | {"losses.png": (figures.training(logged), "Training losses of the first seed.")}


def posterior(recipe: Recipe, params: Params, test: Images) -> dict[str, Any]:
    """One held-out image, noisier and noisier, and draws of what it could have been."""
    x_0, schedule = data.to_float(jnp.asarray(test.x[:1])), recipes.SCHEDULE
    cond = jnp.asarray(test.labels[:1]) if recipe.classes else None
    rows = {}
    for t in (0.3, 0.6, 0.9):
        x_t = paths.interpolate(schedule, x_0, jax.random.normal(jax.random.key(11), x_0.shape), t)
        key, at, size = jax.random.key(12), jnp.full(1, t), SHOWN - 2
        draws = denoisers.population(recipes.predictor(recipe), params, key, x_t, at, cond, size=size)
        rows[f"t = {t}"] = np.concatenate([np.asarray(x_0), np.asarray(x_t), np.asarray(draws[0])])
    return rows


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    from experiments.imaging import checks, feeds, judging

    with feeds.in_flags():
        train, held_out = feeds.load(settings)
        checks.require_judgeable(train, held_out, settings)
        copies = checks.copies(train, held_out, settings)
        family = Experiment(
            "images",
            recipes_of(settings, train.shape, len(train.classes)),
            lambda recipe, seed: feeds.batches(train, settings, seed),
            partial(judge, settings, train, held_out, copies),
            partial(watch, settings),
            chunk=judging.CHUNK,
            preset=settings.preset,
            notes=[
                line for line in (train.describe(), held_out.describe(), feeds.told(train, settings), copies) if line
            ],
            facts={"event_shape": list(train.shape), "classes": list(train.classes)},
        )
        runner.run(family, settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
