"""Mean flows: the average velocity between two times (Geng et al., arXiv 2505.13447)."""

from dataclasses import dataclass
from typing import Literal

from ddjax.cli.settings import Fraction, NonNegative
from ddjax.recipes.conditions import Numbers
from ddjax.recipes.networks import Kernel, Mlp
from ddjax.recipes.priors import Prior, prior
from ddjax.recipes.recipe import Recipe, noise_schedule


@dataclass(frozen=True, kw_only=True)
class MeanFlow(Recipe):
    """An mlp that sees both times as they are: their features are too fast for the derivative in the loss."""

    network: Mlp = Mlp(time="raw")
    condition: Numbers | None = None
    schedule: Literal["rectified", "ddpm"] = "rectified"
    """Straight lines, or the chain of 1,000 steps of DDPM."""
    improved: bool = False
    """Regression on the velocity itself (improved mean flows)."""
    equal: Fraction | None = None
    """Share of examples whose two times are one; without a number the paper's, 0.75, or 0.5 of the improvement."""
    power: NonNegative = 1.0
    """Each example has weight 1 / (loss + 0.01)^power."""
    prior: Prior = "normal"
    """Where the flow starts."""

    def __post_init__(self):
        if not isinstance(self.network, Mlp) or self.network.time != "raw":
            raise ValueError(f"a mean flow has two times, which an mlp with raw times takes, got {self.network}")
        if self.labels:
            raise ValueError("a mean flow has two times, and no place for labels")

    def noise_schedule(self):
        """`schedules.Rectified` or `schedules.DDPM`."""
        return noise_schedule(self.schedule)

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, whose condition begins with the second time."""
        return self.network.make(self.event_shape, cond_size=self.cond_size + 1)

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `flows.AverageVelocity`."""
        from ddjax import flows

        return flows.average_velocity(network or self.net())

    def loss(self, network):
        """The expected error of the mean-flow identity."""
        from ddjax import objectives
        from ddjax.types import standard_normal

        return objectives.mean_flow(
            self.predictor(network),
            self.noise_schedule(),
            equal=self.equal,
            power=self.power,
            improved=self.improved,
            prior=prior(self.prior) or standard_normal,
        )

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """Jumps along the average velocity."""
        from ddjax.recipes import sampling

        start = prior(self.prior)
        return sampling.by_jumps(self.predictor(), self.noise_schedule(), self.event_shape, prior=start, path=path)
