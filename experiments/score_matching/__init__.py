"""Every objective of score matching on one target whose score is known: bias, variance, cost, and what training reaches.

The target is a skewed mixture in 3-D, so that no sign hides. At one noise level each objective is estimated for a score that is
wrong on purpose, and compared with the exact value; then the same network is trained by each for equal steps, and its score
compared with the exact one at every noise level.
"""
