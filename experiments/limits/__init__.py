"""The physical limit: what the exact posterior sampler and the exact posterior mean reach at every number of steps.

No training: both denoisers are closed forms. The sampler stays at the floor for every number of steps and every churn;
the mean, which is the best that a classical model can learn, does not.
"""
