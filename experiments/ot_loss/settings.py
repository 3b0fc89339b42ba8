"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax import cli
from ddjax.cli.settings import MAY_BE_EMPTY, Count, FolderToRead, Fraction, Multiple, Positive, Range, Steps
from experiments.common.images.settings import Networks, Source
from experiments.common.settings import Training
from experiments.ot_loss.presets import PRESETS


@dataclass(frozen=True)
class Config(Source, Networks, Training):
    """Measure the gap between generated and real images in features (passive), and train it away (active).

    Presets: passive-longer (the passive model trained on, and nothing else), resume-* and retrain-* (transport weighs a
    tenth of the regression or as much, absolute blur), adaptive and late-blur.3 (blur in units of the median distance, falling
    or fixed, from small times alone), ddm and ddm-transport (distributional diffusion without and with transport of draws).

    Example: python -m experiments.ot_loss --phase both --preset all
    """

    phase: Literal["passive", "active", "both"] = "both"
    """Train the passive model, the presets, or all of them."""
    preset: tuple[Literal[(*PRESETS, "all")], ...] = ("passive-longer", "adaptive", "late-blur.3")  # pyright: ignore[reportInvalidTypeForm]
    """Models of the active phase."""
    passive: FolderToRead | None = None
    """A passive run, for presets that go on from it in --phase active."""
    steps: Count = 4000
    """Training steps of each model, those of the passive phase included."""
    passive_steps: Annotated[int, Multiple(100)] = 2800
    """Steps of the passive phase."""
    batch: Annotated[int, Range(2)] = 128
    width: Count = 256
    clip: Positive | None = 1.0
    depth: Annotated[int, Range(2, 1000)] = 4
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    save_every: Annotated[int, Multiple(100)] = 400
    """Training steps between checkpoints, at each of which the gap is measured."""
    conditional: bool = False
    """Tell the nets the classes; transport then stays within them."""
    blur: Positive = 0.3
    """Of the transport that is measured, in units of the median distance between features."""
    blurs: Annotated[tuple[Positive, ...], MAY_BE_EMPTY] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    """Blurs to compare, in the same units; none leaves the study out."""
    samples: Annotated[int, Range(50)] = 1000
    """Largest number of images in a measured set; all sets are of one size, at most that of the held-out images."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 50)
    """Numbers of sampling steps to judge; checkpoints are judged at the largest."""
    churn: Fraction = 1.0
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        super().check()
        if self.together:
            raise cli.UserError("--together trains every seed from scratch, and these models go on from one another")
        if self.passive_steps >= self.steps:
            raise cli.UserError(f"--passive-steps must be below --steps {self.steps}, got {self.passive_steps}")
        resumed = [name for name in self.chosen() if PRESETS[name].resumes]
        if self.phase == "active" and resumed and self.passive is None:
            raise cli.UserError(f"{resumed[0]} goes on from a passive run: name it in --passive, or take --phase both")

    def chosen(self) -> list[str]:
        """The presets to train."""
        every = "all" in self.preset
        return [] if self.phase == "passive" else [name for name in PRESETS if every or name in self.preset]
