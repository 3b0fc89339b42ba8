"""Distributional diffusion on images, beside regression with the same net and budget.

The recipe is the paper's (De Bortoli et al., arXiv 2502.02483): x_0 prediction by the energy score, xi as channels or late,
class conditioning, an average of the parameters. Sizes of the nets are ours; the paper's could not be read.
Expected with --preset digits: distributional diffusion at 1 step closer to the held-out digits than regression at 4.
"""
