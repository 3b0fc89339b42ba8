"""Draw samples from a saved run, or from what was exported of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddjax import cli
from ddjax.cli.settings import Count, FileToWrite, FolderToRead, Fraction, Seed, Steps
from ddjax.files import replacing, require_plain
from ddjax.runs import exported, pictures


@dataclass(frozen=True)
class Config:
    """Draw samples from a model that an experiment trained, into a .npz file: x_0, and how it was drawn.

    Models with classes draw them in turns: sample i has class i modulo their number, which the file keeps as labels, with
    the classes' names. Images are kept as pixels (bytes) too, and shown in a PNG file beside --out. Flows follow
    their velocity by Euler's method, distributional and regression models the bridge.

    Example: ddjax sample runs/short --n 1000 --steps 4 --out samples.npz
    """

    run: FolderToRead | None = None
    """Folder of the run, with its config.yaml and checkpoints."""
    exported: FolderToRead | None = None
    """Folder written by `ddjax export`, instead of --run: needs neither the run nor flax."""
    pretrained: str | None = None
    """Name of a model that comes with the package, instead of both: two_gaussians, moons or digits."""
    out: FileToWrite = Path("samples.npz")
    """File to write."""
    n: Count = 10_000
    """Number of samples."""
    steps: Steps = 4
    """Sampling steps: each is one call of the denoiser."""
    churn: Fraction | None = None
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM (default: 1, or what was exported); flows have none."""
    model: str | None = None
    """Which trained model of the run, for instance ddm-beta1-seed0 (default: the first)."""
    seed: Seed = 0
    """Seed of the draw."""
    chunk: Count = 65_536
    """Samples drawn at a time: the bound on memory. It changes no sample beyond rounding."""

    def check(self) -> None:
        """Raises: UserError for settings that nothing can be drawn with."""
        if sum(source is not None for source in (self.run, self.exported, self.pretrained)) != 1:
            raise cli.UserError("give one of --run, --exported and --pretrained")
        if self.run is None and self.model is not None:
            raise cli.UserError("--model belongs to --run: an export holds one model")
        if self.out.suffix == ".png":
            raise cli.UserError(f"--out {self.out} is a .npz file; the picture of images is written beside it")
        if self.out.suffix.lower() not in ("", ".npz") and (self.out.is_file() or not self.out.exists()):
            npz = self.out.with_suffix(".npz")
            raise cli.UserError(
                f"--out {self.out} is a .npz file: take {npz}, and for text numpy.savetxt of numpy.load('{npz.name}')['x_0']"
            )

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: samples of two numbers, the smallest that are drawn."""
        return {("n",): 2 * self.n}


def churn_of(trained: Any, churn: float | None) -> float:
    """The churn to sample with. Raises: UserError for noise where a flow has none."""
    if trained.flow and churn:
        raise cli.UserError(f"{trained.job} follows its velocity without noise: leave --churn out, got {churn:g}")
    return 0.0 if trained.flow else 1.0 if churn is None else churn


def run(config: Config) -> None:
    """Load, draw, write."""
    import numpy as np

    if config.exported is not None and exported.has_samplers(config.exported):
        require_places(config.out, exported.about(config.exported)["shape"])
        churn, x_0 = exported.draw(
            config.exported, config.n, steps=config.steps, seed=config.seed, churn=config.churn, chunk=config.chunk
        )
        classes = exported.classes(config.exported)
    else:
        trained = loaded(config)
        require_places(config.out, trained.recipe.event_shape)
        churn, x_0 = live(config, trained)
        classes = trained.classes
    drawn = {"x_0": x_0, "steps": config.steps, "churn": churn, "seed": config.seed}
    if classes:
        drawn |= {"labels": np.arange(config.n, dtype=np.int32) % len(classes), "classes": np.array(classes)}
    told = cli.shown(config.out)
    images = pictures.are_images(x_0.shape[1:])
    if images:
        drawn["pixels"] = pictures.pixels(x_0)
        told += f" and {cli.shown(config.out.with_suffix('.png'))}"
    with replacing(config.out) as file:
        np.savez(file, **drawn)
        if images:  # both or neither
            pictures.write(config.out.with_suffix(".png"), drawn["pixels"], len(classes))
    print(f"{config.n} samples in {config.steps} steps: {told} (mean {x_0.mean():.3g}, std {x_0.std():.3g})")


def require_places(out: Path, shape: Sequence[int]) -> None:
    """Raises: OSError, before anything is drawn, where samples, or a picture of such ones, would not replace a plain file."""
    require_plain(out)
    if pictures.are_images(shape):
        require_plain(out.with_suffix(".png"))


def loaded(config: Config) -> Any:
    """The model of a run, of an export without samplers, or of the package."""
    from ddjax.runs import pretrained, saved

    if config.run is not None:
        return saved.load(config.run, config.model)
    return pretrained.load(config.pretrained) if config.exported is None else saved.of_export(config.exported)


def live(config: Config, trained: Any) -> tuple[float, Any]:
    """The churn, and samples of a trained model."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    churn, classes = churn_of(trained, config.churn), trained.recipe.classes
    labels = jnp.arange(config.n, dtype=jnp.int32) % classes if classes else None
    key, how = jax.random.key(config.seed), {"steps": config.steps, "churn": churn, "chunk": config.chunk}
    return churn, np.asarray(trained.draw(key, labels, config.n, **how))
