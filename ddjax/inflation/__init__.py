"""Inflationary flows: an invertible map from data to a Gaussian that keeps, or reduces, their dimensions.

An inflationary flow is a schedule whose scales are vectors in the eigenbasis of the data, which all that takes a schedule reads
coordinate by coordinate (`schedules.Scales`):

    eigen = inflation.eigenbasis(data)
    schedule = inflation.preserving(eigen.variances)
    denoiser = inflation.preconditioned(network, inflation.Anisotropic(schedule, eigen.variances))
    loss_fn = objectives.denoising(denoiser, schedule)  # of eigen.coordinates(data)
    field = flows.velocity(denoisers.bind(denoiser, params), schedule)
    latents = inflation.inflate(field, key, eigen.coordinates(data), inflation.linear(256, last=1e-3))

References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from ddjax.inflation.eigen import Eigenbasis, eigenbasis, eigenbasis_of
from ddjax.inflation.grids import linear, normal, variance_preserving
from ddjax.inflation.growth import constant_gap, original
from ddjax.inflation.maps import (
    Path,
    RoundTrip,
    generate,
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
from ddjax.inflation.preconditioning import EDM, Anisotropic, Coefficients, EigenEDM, Standardised, preconditioned
from ddjax.inflation.priors import Prior, analytic_prior, chi_coverage, coverage
from ddjax.inflation.residuals import autocorrelation, fresh_states, innovations, outputs, process_states, residuals
from ddjax.inflation.scales import Preserving, Reducing, horizon, one_scale, preserving, reducing
from ddjax.inflation.spaces import in_data_space, on_data
from ddjax.inflation.truths import gaussian_oracle, mixture_oracle
from ddjax.inflation.uncertainty import Credible, Distortion, ball, credible, distorted, stirred

__all__ = [
    "EDM",
    "Anisotropic",
    "Coefficients",
    "Credible",
    "Distortion",
    "EigenEDM",
    "Eigenbasis",
    "Participation",
    "Path",
    "Preserving",
    "Prior",
    "Reducing",
    "RoundTrip",
    "Standardised",
    "analytic_prior",
    "autocorrelation",
    "ball",
    "chi_coverage",
    "constant_gap",
    "coverage",
    "credible",
    "distorted",
    "eigenbasis",
    "eigenbasis_of",
    "fresh_states",
    "gaussian_oracle",
    "generate",
    "horizon",
    "in_data_space",
    "inflate",
    "inflate_path",
    "innovations",
    "linear",
    "mixture_oracle",
    "normal",
    "on_data",
    "one_scale",
    "original",
    "outputs",
    "participation",
    "participation_ratio",
    "preconditioned",
    "preserving",
    "process_states",
    "reducing",
    "residuals",
    "round_trip",
    "scaled_variances",
    "stirred",
    "truncated",
    "unscaled_variances",
    "variance_preserving",
]  # fmt: skip
