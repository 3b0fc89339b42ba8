"""Diffusion on images with an optimal-transport loss: the gap to the data in features, measured, then trained away.

Passive phase: a DDPM (noise regression, a chain of 1,000 steps), judged at every checkpoint in the features of a frozen
classifier. Active phase: the loss gains a Sinkhorn divergence between denoised batches and the data in these features.
A denoised mean is less spread than the data, so the term is biased for the DDPM; for draws of DDM it is not.
"""
