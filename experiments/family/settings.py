"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax import cli
from ddjax.cli.settings import MAY_BE_EMPTY, Count, Fraction, Positive, Range, Seeds, Steps
from experiments.common.settings import Study, Training
from experiments.common.variants import variants
from experiments.family.presets import DEFINED, TRIALS, VARIED, Preset, of_target

TargetName = Literal["two_gaussians", "eight_gaussians", "moons", "checkerboard", "forty", "digits"]


@dataclass(frozen=True)
class Config(Training):
    """Train every preset on every target, and judge all at 1 to 50 steps beside both oracles.

    ddm: the energy score of m = 4 draws. iddm: beta and lam over time, norms by position, late xi. sddm: CRPS and squared error
    by element. ddm-imq, -rbf, -exp: kernel scores. ddm-patched, of digits alone: patches beside the whole image. fm, fm-ot: flow
    matching, without and with transport. ddpm: regression. consistency, mean-flow, imf: the rivals. Writes config.yaml,
    metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.family --target moons --only ddm imf --steps 500
    """

    target: tuple[TargetName, ...] = ("two_gaussians", "moons")
    """What to learn: laws in the plane, or digits of 8 x 8 pixels."""
    only: tuple[Preset, ...] = tuple(DEFINED)
    """Presets to train, each on the targets that it was tuned for."""
    vary: Annotated[tuple[str, ...], MAY_BE_EMPTY] = ()
    """Variants beside every preset that has the setting: `beta=.5,1.5 lam=.5+beta=1` adds three to ddm."""
    equal: Literal["steps", "seconds"] = "steps"
    """What all presets train for: --steps each, or the time in which ddm makes them (`presets.COST`)."""
    seeds: Seeds = 5
    steps: Count = 5000
    batch: Count = 256
    depth: Annotated[int, Range(3, 1000)] = 3
    """Number of hidden layers."""
    learning_rate: Positive | None = None
    """Peak rate of the optimiser, after a warm-up and before a cosine decay to 1 percent (default: each preset's own)."""
    warmup: Annotated[int, Range(0)] | None = 100
    clip: Positive | None = 1.0
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)
    """Numbers of sampling steps to judge."""
    churn: tuple[Fraction, ...] = (1.0,)
    """Noise of the bridge of distributional and regression models: 0 is DDIM, 1 is DDPM."""
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them); of digits as many as are held out."""
    blocks: Count = 5
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(5)] = 16
    """Pairs of fresh true samples behind each floor."""
    choose: Annotated[tuple[Preset, ...], MAY_BE_EMPTY] = ()
    """Presets whose grids of 2 to 8 sampling times are chosen, on the first seed, and judged on the others."""
    short: bool = False
    """A look at every preset: one target, one seed, 1,000 steps (explicit flags still win)."""

    def check(self) -> None:
        """Raises: UserError for variants of nothing, presets without a target that suits one of them, costs of steps that were
        not measured, or grids of models that are not trained or have no other seed to be judged on.
        """
        super().check()
        variants(self.vary, VARIED)
        if self.equal == "seconds" and "digits" in self.target:
            raise cli.UserError("--equal seconds goes by the steps' costs in the plane: leave digits out of --target")
        if self.choose and self.seeds < 2:
            raise cli.UserError("--choose judges grids on other seeds than the first: take --seeds 2 or more")
        if absent := sorted(set(self.choose) - set(self.only)):
            raise cli.UserError(f"--choose {absent[0]} is not among the presets of --only")
        if not any(preset in of_target(target) for target in self.target for preset in self.only):
            on = "digits" in self.target
            help_ = f"on digits are {', '.join(of_target('digits'))}" if on else "take --target digits"
            raise cli.UserError(f"--only {' '.join(self.only)} was not tuned on {' '.join(self.target)}: {help_}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return super().floats() | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}


SHORT = {"short": {"target": ("moons",), "seeds": 1, "steps": 1000, "samples": 2000, "nfe": (1, 4), "repeats": 8}}


@dataclass(frozen=True)
class Tuning(Study):
    """Tune the presets of `experiments.family`, each with the same number of trials, and tell every trial.

    Writes summary.json and report.html into --out. The presets as they stand are not changed.

    Example: python -m experiments.family_tuning --only ddm --steps 500
    """

    target: TargetName = "moons"
    """What to tune on."""
    only: tuple[Preset, ...] = tuple(TRIALS)
    """Presets to tune; those of images on digits alone."""
    steps: Count = Config.steps
    """Training steps of each trial."""
    blocks: Count = 10
    """Blocks of points behind each W_1; of the 360 held-out digits there are 2."""


@dataclass(frozen=True)
class WarmStart(Study):
    """Train DDM from scratch and from a regression model by xi weights of zero, and compare W_1 at 1, 2 and 4 steps.

    Writes summary.json and report.html into --out.

    Example: python -m experiments.warm_start --steps 2000 --seeds 1
    """

    target: TargetName = "moons"
    """What to learn."""
    steps: Count = Config.steps
    """Training steps of the regression, and of DDM's whole budget."""
    share: Count = 4
    """The warm model has this part of the budget: 4 is a quarter."""
    seeds: Seeds = 3
    """Number of seeds, 0 to seeds - 1."""
    blocks: Count = 5
    """Blocks of 1,000 points behind each W_1."""


@dataclass(frozen=True)
class Page:
    """Write the table of docs/family.md, and docs/family_tables.md, from docs/results/family_*.json.

    Example: python -m experiments.family_page
    """
