"""What lambda does: the spread that the loss implies, trained against the closed form.

For Gaussian data whose posterior has standard deviation S in every coordinate, the energy score with exponent beta and
interaction weight lam is least at a predicted standard deviation s with s^2 / S^2 = q / (2 - q), q = lam^(2 / (2 - beta)).
Only lam = 1 gives s = S.
"""
