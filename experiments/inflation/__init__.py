"""Inflationary flows: an invertible map from data to a Gaussian that preserves, or reduces, their dimensions.

Trains the denoiser of each flow, inflates data, generates, and goes there and back. Expected with the defaults, met on all five
toys (docs/inflation.md): W_1 at most twice the floor, errors of the way there and back below 1e-2, latents within 2 points of
the chi law at all radii.
"""
