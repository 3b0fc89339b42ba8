"""What distributional and regression models share: a denoiser trained on noisy examples and sampled by the bridge."""

from dataclasses import dataclass
from typing import ClassVar

from ddjax.cli.settings import Positive
from ddjax.recipes.networks import Kernel
from ddjax.recipes.recipe import OnSchedule, require_no_exponent, training_times
from ddjax.recipes.transport import Transport


@dataclass(frozen=True, kw_only=True)
class Denoising(OnSchedule):
    """A denoiser, perhaps with transport beside its loss."""

    time_exponent: Positive = 1.0
    """Training times of the rectified schedule are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    transport: Transport | None = None

    churns: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        require_no_exponent(self.schedule, self.time_exponent)
        if self.transport and self.transport.within_classes and not self.labels:
            raise ValueError("transport within classes needs labels")

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, with a ratio beside the parameters where there is transport, whose features are convolutions."""
        return self.with_ratio(super().net(dropout=dropout, kernel=kernel))

    def with_ratio(self, network):
        """The network as transport trains it, unchanged without."""
        if self.transport is None:
            return network
        from ddjax import objectives

        convolutional = network.convolutional or bool(self.transport.features and self.transport.weight)
        return objectives.with_ratio(network._replace(convolutional=convolutional))

    def times(self):
        """The time distribution of the loss."""
        return training_times(self.schedule, self.time_exponent)

    def with_transport(self, loss_fn, denoiser):
        """The loss, with transport beside it where there is some."""
        if self.transport is None:
            return loss_fn
        schedule, times = self.noise_schedule(), self.times()
        return self.transport.beside(loss_fn, denoiser, schedule, times, classes=self.classes)

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """DDM Algorithm 2: the bridge of its denoiser."""
        from ddjax.recipes import sampling

        return self.sampled_by(sampling.by_bridge, self.predictor(kernel=kernel), path=path)

    def optimiser(self):
        """Its `optax.GradientTransformation`, which descends the ratio of transport too."""
        if self.transport is None:
            return super().optimiser()
        from ddjax import objectives

        return objectives.descend_ratio(super().optimiser())
