"""Inflationary flows: an invertible map from data to a Gaussian that keeps, or reduces, their dimensions.

An inflationary flow is a schedule whose scales are vectors in the eigenbasis of the data; nothing downstream changes:

    eigen = inflation.eigenbasis(data)
    schedule = inflation.preserving(eigen.variances)
    denoiser = inflation.anisotropic(network, schedule, eigen.variances)
    loss_fn = objectives.denoising(denoiser, schedule)  # of eigen.coordinates(data)
    field = flows.velocity(denoisers.bind(denoiser, params), schedule)
    latents = inflation.inflate(field, key, eigen.coordinates(data), inflation.linear(256, last=1e-3))

References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from ddjax.inflation.eigen import Eigenbasis, eigenbasis, eigenbasis_of
from ddjax.inflation.grids import linear, normal, variance_preserving
from ddjax.inflation.growth import constant_gap, original, rescaled
from ddjax.inflation.maps import (
    Path,
    RoundTrip,
    generate,
    generate_path,
    inflate,
    inflate_path,
    round_trip,
    truncated,
)
from ddjax.inflation.participation import (
    Participation,
    participation,
    participation_ratio,
    scaled_variances,
    unscaled_variances,
)
from ddjax.inflation.priors import Prior, analytic_prior, chi_coverage, coverage, empirical_prior
from ddjax.inflation.scales import Preserving, Reducing, horizon, one_scale, preserving, reducing
from ddjax.inflation.truths import gaussian_oracle, mixture_oracle

__all__ = [
    "Eigenbasis", "Participation", "Path", "Preserving", "Prior", "Reducing", "RoundTrip", "analytic_prior",
    "chi_coverage", "constant_gap", "coverage", "eigenbasis", "eigenbasis_of", "empirical_prior", "gaussian_oracle",
    "generate", "generate_path", "horizon", "inflate", "inflate_path", "linear", "mixture_oracle", "normal",
    "one_scale", "original", "participation", "participation_ratio", "preserving", "reducing", "rescaled",
    "round_trip", "scaled_variances", "truncated", "unscaled_variances", "variance_preserving",
]  # fmt: skip
