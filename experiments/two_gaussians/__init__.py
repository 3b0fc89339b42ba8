"""Distributional diffusion on the paper's two Gaussians."""
