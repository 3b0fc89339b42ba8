"""Distributional diffusion on the paper's two Gaussians, beside regression and both exact oracles.

Paper: De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", arXiv 2502.02483, section 5.1.
Expected with the defaults: MMD^2 (RBF, bandwidth 1, U-statistic, n = 10,000) below 5e-3 at 1 step and 1e-3 at 4 steps.
"""
