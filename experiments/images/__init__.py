"""Distributional diffusion beside regression on images."""
