"""Settings that families of models share; a family adds its own, and states another default where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli import UserError
from ddjax.cli.settings import (
    MAY_BE_EMPTY,
    Count,
    Decay,
    Exponent,
    FileToRead,
    FolderToWrite,
    NonNegative,
    Positive,
    Range,
    Seeds,
    Steps,
)
from ddjax.recipes import Layers, Optimizer, part
from ddjax.runs.engine import Engine


@dataclass(frozen=True)
class Study:
    """Where the results go."""

    out: FolderToWrite | None = None
    """Folder of summary.json, figures and report.html (default: runs/ and the name); an earlier study there is replaced."""


@dataclass(frozen=True)
class Training(Layers, Optimizer, Engine):
    """Of every family: how much is trained, on which net, and how often it is saved."""

    seeds: Seeds = 1
    """Number of seeds, 0 to seeds - 1; tables give medians and ranges over them."""
    together: bool = False
    """Train all seeds of a model in one state, one step of all at a time: pays on a GPU that small nets leave idle."""
    batch: Count = 512
    """Examples for each training step."""
    accumulate: Count = 1
    """Parts of a batch, computed one after the other in the memory of one: they divide the batch."""
    save_every: Count = 1000
    """Training steps between checkpoints."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def optimizer(self) -> Optimizer:
        """That of every model."""
        return part(Optimizer, self)

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        if self.batch % self.accumulate:
            raise UserError(f"--accumulate {self.accumulate} does not divide --batch {self.batch}")
        if self.save_every % self.log_every:
            raise UserError(f"--log-every {self.log_every} does not divide --save-every {self.save_every}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once, by the settings that ask for them: a lower bound.

        Of every hidden layer the parameters, their average and Adam's two moments; of one layer what the batch leaves there.
        """
        return {("width", "depth"): 4 * (self.depth - 1) * self.width**2, ("batch", "width"): self.batch * self.width}


@dataclass(frozen=True)
class Sampled(Training):
    """Of a family with distributional diffusion in it: draws while training, and numbers of steps to sample in."""

    population: Annotated[int, Range(2)] = 4
    """Draws m of DDM for each example."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of sampling steps to judge."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """And what the population of a batch leaves in one layer."""
        return super().floats() | {("batch", "population", "width"): self.batch * self.population * self.width}


@dataclass(frozen=True)
class Scored(Sampled):
    """Of a family that is about the scoring rule itself: the rule, its weights over time, and where xi joins."""

    population: Count = 8
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    beta: tuple[Exponent, ...] = (1.0,)
    """Exponents of the energy score; one model for each."""
    lam: NonNegative = 1.0
    """Weight of the interaction: 1 is the proper rule, below 1 the spread shrinks."""
    inject: Annotated[int, Range(0)] = 1
    """The hidden layer or block that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    predicts: Literal["x0", "velocity", "v"] = "velocity"
    """What the networks output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid, of logsnr, is the paper's for images; it starves the noise end and so the first steps."""
    time_exponent: Positive = 0.7
    """Training times are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    learning_rate: Positive = 5e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    warmup: Annotated[int, Range(0)] | None = 100
    other_decays: Annotated[tuple[Decay, ...], MAY_BE_EMPTY] = ()
    """Decays of further averages, kept in the same training: each is judged, and can be sampled, as a model of its own."""

    def check(self) -> None:
        """Raises: UserError for an interaction of one draw, or averages that are one."""
        super().check()
        if len({self.ema_decay, *self.other_decays}) <= len(self.other_decays):
            raise UserError(f"--other-decays differ from each other and from --ema-decay {self.ema_decay:g}")
        if self.population < 2 and self.lam > 0:
            raise UserError(f"--population must be at least 2 when lam > 0, got {self.population}")
