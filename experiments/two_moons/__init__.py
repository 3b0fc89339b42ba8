"""Flow matching on two moons, step by step: concatenated and sinusoidal time, optimal-transport coupling, classes with
guidance, and distributional diffusion on the same net and budget.

Expected with the defaults: experiments 1 to 3 at the floor of W_1 at 50 steps; losses .92 to .97 with independent pairs
and below .04 with coupled ones; at 1 step only the coupled flow and DDM draw moons.
"""
