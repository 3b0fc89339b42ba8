"""Flow matching on the anisotropic paths of inflationary flows, beside the velocity of their probability-flow ODE.

Expected with the defaults: with independent pairs, relative L2 error below .1 on two moons, of what is learned against the exact
velocity; with pairs by optimal transport another velocity altogether, which carries the same prior to the same data.
"""
