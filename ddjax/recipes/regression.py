"""Regression on x_0, the classical denoiser: the mean of x_0 given x_t."""

from dataclasses import dataclass

from ddjax.recipes.networks import Kernel
from ddjax.recipes.recipe import Denoising


@dataclass(frozen=True, kw_only=True)
class Regression(Denoising):
    """A network without xi, which learns a mean; with schedule ddpm, predicts noise and weight snr it is DDPM."""

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `types.Denoiser` of the mean of x_0 given x_t."""
        from ddjax import denoisers

        network = network or self.net(kernel=kernel)
        return denoisers.mean(network, self.noise_schedule(), predicts=self.predicts)

    def loss(self, network):
        """The expected squared error of x_0."""
        from ddjax import objectives

        denoiser = self.predictor(network)
        loss_fn = objectives.denoising(denoiser, self.noise_schedule(), times=self.times(), weight=self.weighting())
        return self.with_transport(loss_fn, denoiser)
