"""Consistency models: the end of the flow from any of its points (Song et al., arXiv 2303.01469)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import NonNegative, Positive, Range
from ddjax.recipes.networks import Kernel
from ddjax.recipes.recipe import OnSchedule, require_no_exponent, training_times


@dataclass(frozen=True, kw_only=True)
class Consistency(OnSchedule):
    """A denoiser whose answers at two times t and q of one path agree, and are x_t itself at t = 0."""

    predicts: Literal["velocity", "v", "noise"] = "velocity"
    """What the network outputs; of an output x0 the answer at t = 0 would not be x_t."""
    time_exponent: Positive = 1.0
    """Training times of the rectified schedule are u^exponent."""
    stride: Annotated[float, Range(0, 1, "(]")] = 0.05
    """t - q, between the two times whose answers are compared, in (0, 1]."""
    huber: NonNegative = 0.0
    """The constant of Huber's distance, 0 for the square."""

    def __post_init__(self):
        super().__post_init__()
        require_no_exponent(self.schedule, self.time_exponent)
        if self.predicts == "x0":
            raise ValueError(
                "the answer of a consistency model is x_t itself at t = 0: predict a velocity, not predicts=x0"
            )

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `types.Denoiser`."""
        from ddjax import denoisers

        network = network or self.net(kernel=kernel)
        return denoisers.mean(network, self.noise_schedule(), predicts=self.predicts)

    def loss(self, network):
        """The expected distance between the answers at two times."""
        from ddjax import objectives

        return objectives.consistency(
            self.predictor(network),
            self.noise_schedule(),
            gap=self.stride,
            huber=self.huber,
            times=training_times(self.schedule, self.time_exponent),
            weight=self.weighting(),
        )

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """Multistep consistency sampling."""
        from ddjax.recipes import sampling

        return self.sampled_by(sampling.by_renoise, self.predictor(kernel=kernel), path=path)
