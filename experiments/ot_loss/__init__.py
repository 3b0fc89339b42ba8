"""Diffusion on images with an optimal-transport loss."""
