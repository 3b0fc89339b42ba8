"""Optimal transport between denoised batches and the data beside a loss, as plain values."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import MAY_BE_EMPTY, NonNegative, Positive, Range


@dataclass(frozen=True, kw_only=True)
class Transport:
    """A Sinkhorn divergence beside the loss (`objectives.balanced`)."""

    weight: NonNegative
    """In proportion to the loss. 0 computes no transport and trains the same parameters, so that training can go on from there
    with another weight."""
    blur: Positive = 0.1
    """Of the transport, in the space of `features`."""
    relative_blur: bool = True
    """Whether blur is in units of the median distance between the data of a batch."""
    until: Annotated[float, Range(0, 1, "(]")] = 1.0
    """Times of the noisy batch that is denoised are those of training, times this: a mean is near a draw at small ones alone."""
    within_classes: bool = False
    """Move nothing from class to class."""
    features: Annotated[str, MAY_BE_EMPTY] = ""
    """Folder of the classifier (`runs.classifiers`) in whose features transport is; the data themselves without one."""

    def beside(self, loss_fn, denoiser, schedule, times, *, classes: int):
        """The loss with the term of transport.

        Args:
            loss_fn, denoiser, schedule, times: of the model. classes: number of its labels, 0 for none.
        """
        if not self.weight:
            return loss_fn
        import jax.numpy as jnp

        from ddjax import objectives
        from ddjax.networks import classifier

        features = objectives.flat
        if self.features:
            net, params, _ = classifier.load(self.features)
            # a mean of noise leaves the range of images
            features = lambda x: net.features(params, jnp.clip(x, -1, 1))  # noqa: E731
        term = objectives.sinkhorn_term(
            denoiser,
            schedule,
            blur=self.blur,
            relative=self.relative_blur,
            features=features,
            classes=classes if self.within_classes else 0,
            times=lambda key, n: self.until * times(key, n),
        )
        return objectives.balanced(loss_fn, term, lam=self.weight)
