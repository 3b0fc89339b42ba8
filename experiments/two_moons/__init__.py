"""Flow matching, couplings, guidance and distributional diffusion on two moons."""
