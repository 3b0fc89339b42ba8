"""The curse of conditions: eight Gaussians to two moons, with and without a condition, under three couplings.

Protocol of Cheng and Schwing, arXiv 2503.10636, figure 1: MLP 3 x 128, Adam 3e-4, batch 256; sampled by one Euler step and
by an adaptive solver. Theirs trains 20,000 steps and couples batches of 1,024; here the training batch itself is coupled.
"""
