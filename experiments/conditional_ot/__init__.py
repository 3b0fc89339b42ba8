"""Eight Gaussians to two moons with a condition, under three couplings."""
