"""Three views of one diffusion: noisy paths, an evolving density, smooth paths; equal at every time, different together.

No training: scores are closed forms. Expected with the defaults: every marginal of every view at the floor; correlations of the
two ends .62 for both SDEs and 1 for the flow (g = 2, data N(0, 4)); neighbours kept by the flow, and lost by the SDE.
"""
