"""Bayesian inference carried through inflationary flows: the posterior of mixture weights, before and after, and calibrated.

No training: fields are exact, so that what is lost is lost by the flow and its solver. Expected with the defaults: (.5, .25, .25)
inside the 95 % intervals for the data, after both round trips and for generated data, and ranks that are uniform for all of
them; a reducing flow whose second latent is dropped loses what that latent knew.
"""
