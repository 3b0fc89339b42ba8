"""Flow matching: a velocity from noise to data, followed by Euler's method (Lipman et al., arXiv 2210.02747)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from ddjax.cli.settings import Fraction
from ddjax.recipes.networks import Kernel
from ddjax.recipes.priors import Prior, prior
from ddjax.recipes.recipe import OnSchedule


@dataclass(frozen=True, kw_only=True)
class Flow(OnSchedule):
    """A network that predicts the velocity, trained on coupled pairs of noise and data at uniform times."""

    coupling: Literal["independent", "blind", "aware"] = "independent"
    """Of the noise with the data: blind and aware are Sinkhorn's, without and with sight of the condition."""
    share: Fraction = 0.99
    """Pairs that keep a condition of real numbers under the aware coupling, in [0, 1]."""
    prior: Prior = "normal"
    """Where the flow starts."""

    def __post_init__(self):
        super().__post_init__()
        if self.share != Flow.share and not (self.coupling == "aware" and self.cond_size):
            raise ValueError(f"share is of the aware coupling with a condition of real numbers, got share={self.share}")

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `types.Velocity`."""
        from ddjax import flows

        network = network or self.net(kernel=kernel)
        return flows.network_velocity(network, self.noise_schedule(), predicts=self.predicts)

    def loss(self, network):
        """The expected squared error of the velocity."""
        from ddjax import objectives
        from ddjax.types import standard_normal

        return objectives.flow_matching(
            self.predictor(network),
            self.noise_schedule(),
            weight=self.weighting(),
            coupling=self.pairs(),
            prior=prior(self.prior) or standard_normal,
        )

    def pairs(self):
        """How noise is paired with the data, a `couplings.Coupling`."""
        from ddjax import couplings

        if self.coupling == "independent":
            return couplings.independent
        if self.coupling == "blind":
            return couplings.blind(couplings.sinkhorn)
        if self.cond_size:
            return partial(couplings.sinkhorn, cost=couplings.near_condition(self.share))
        return couplings.sinkhorn

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """Euler's method along the velocity."""
        from ddjax.recipes import sampling

        return self.sampled_by(sampling.by_flow, self.predictor(kernel=kernel), path=path, prior=prior(self.prior))
