"""Regression on x_0, the classical denoiser: the mean of x_0 given x_t."""

from dataclasses import dataclass

from ddjax.recipes.denoising import Denoising
from ddjax.recipes.networks import Kernel


@dataclass(frozen=True, kw_only=True)
class Regression(Denoising):
    """A network without xi, which learns a mean; with schedule ddpm, predicts noise and weight snr it is DDPM."""

    def predictor(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """A `types.Denoiser` of the mean of x_0 given x_t."""
        from ddjax import denoisers

        network = self.net(dropout=dropout, kernel=kernel)
        return denoisers.mean(network, self.noise_schedule(), predicts=self.predicts)

    def loss(self):
        """The expected squared error of x_0."""
        from ddjax import objectives

        denoiser = self.predictor(dropout=True)
        loss_fn = objectives.denoising(denoiser, self.noise_schedule(), times=self.times(), weight=self.weighting())
        return self.with_transport(loss_fn, denoiser)
