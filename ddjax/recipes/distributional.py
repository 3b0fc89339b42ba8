"""Distributional diffusion (DDM): draws of x_0 given x_t, learned by a scoring rule.

De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", arXiv 2502.02483: loss DDM eq. (14), Algorithms 1 and 2.
"""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import MAY_BE_EMPTY, Count, NonNegative, Range
from ddjax.recipes.networks import Kernel, Mlp
from ddjax.recipes.recipe import Denoising
from ddjax.recipes.rules import Energy, Rule


@dataclass(frozen=True, kw_only=True)
class Distributional(Denoising):
    """A network with noise xi at its input, whose draws of x_0 are scored."""

    rule: Rule = Energy()
    """Of the whole event."""
    score_patch: Annotated[int, Range(0)] = 0
    """Side of the patches whose mean score joins that of the whole image, up to the image's; 0 for none."""
    score_scales: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Sides k of blocks that tile an image: their means are scored too, as a smaller image, with weight k."""
    score_differences: NonNegative = 0.0
    """Weight of the CRPS of differences between neighbouring pixels, along both axes."""
    population: Count = 8
    """Draws m of each example in the loss; at least 2 where the rule has an interaction."""
    references: Count = 1
    """Examples of the batch against which an x_t is scored, of which any may have made it."""
    inject: Annotated[int, Range(0)] = 1
    """The hidden layer or block that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    gate: bool = False
    """Of an mlp: xi joins behind a gate of t, as it does in later blocks of unet and dit."""

    def __post_init__(self):
        super().__post_init__()
        if self.gate and not isinstance(self.network, Mlp):
            raise ValueError("a gate is of an mlp: later blocks of unet and dit have one anyway")
        parts = self.score_patch or self.score_scales or self.score_differences
        if parts and len(self.event_shape) != 3:
            raise ValueError(f"patches, scales and differences are of images, got {self.event_shape=}")
        if self.score_patch > min(self.event_shape[:2]):
            raise ValueError(f"score_patch {self.score_patch} is larger than the images, {self.event_shape}")

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, which takes xi."""
        settings = {"gate": True} if self.gate else {}
        sizes = {"classes": self.classes, "cond_size": self.cond_size, "inject": self.inject}
        return self.with_ratio(self.network.make(self.event_shape, dropout=dropout, kernel=kernel, **sizes, **settings))

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `types.Denoiser` that draws x_0 given x_t."""
        from ddjax import denoisers

        network = network or self.net(kernel=kernel)
        return denoisers.distributional(network, self.noise_schedule(), predicts=self.predicts)

    def loss(self, network):
        """DDM eq. (14): the expected score of m draws of x_0."""
        from ddjax import denoisers, objectives

        denoiser = self.predictor(network)
        loss_fn = objectives.distributional(
            denoiser,
            self.noise_schedule(),
            score=self.score(),
            size=self.population,
            population=denoisers.folded_population,
            references=self.references,
            times=self.times(),
            weight=self.weighting(),
        )
        return self.with_transport(loss_fn, denoiser)

    def score(self):
        """The `scoring.Rule` of the whole event, of its patches, of its scales and of its differences."""
        from ddjax import scoring

        whole = self.rule.make()
        patched = scoring.Patched(whole, self.score_patch) if self.score_patch else whole
        maps = [(float(k), whole, scoring.pooling(k)) for k in self.score_scales]
        if self.score_differences:
            crps = scoring.by_element(scoring.Energy(1.0, self.rule.lam))
            maps += [(self.score_differences, crps, scoring.finite_differences(axis)) for axis in (0, 1)]
        return scoring.Sum(((1.0, patched, None), *maps)) if maps else patched
