"""Inverse problems with learned models: digits given part of them, and whether intervals of the samples cover the truth.

A held-out digit is itself a draw of p(x_0 | y), so that calibrated samples have its ranks uniform. Distributional diffusion
conditions by draws; the regression baseline, of the same net and steps, is guided by gradients, with a scale tuned on other digits.
Before that, the two Gaussians of `experiments.conditioning` with a learned model in the place of the exact posterior.
"""
