"""Couplings: which noise each example of a batch meets.

`coupling(key, x_0, x_1, cond=None) -> x_1`: data and its condition keep their order, the noise is re-paired.
A permutation keeps the noise of the batch as it is, so every marginal is exact.

A model with a condition samples from noise that is independent of it, and must be trained so. Couplings
therefore respect a condition that they are given: labels (integers) by permuting within each class alone, a
continuous condition by a term in the cost. `blind` takes the condition away, which is right for a model that
has none, and wrong by construction for one that has (arXiv 2503.10636).

A batch that is split over devices (`ddjax.training.sharding`) is coupled as a whole: gathered, so that the pairs and
their cost do not depend on the number of devices, and a larger batch pairs better. The gathered cost matrix takes
batch^2 numbers on each device.
"""

from ddjax.couplings.costs import Cost, conditional, near_condition, squared, within_classes
from ddjax.couplings.pairings import Coupling, assignment, blind, independent, sinkhorn
from ddjax.couplings.plans import Plan, Planner, annealed, entropic, to_permutation

__all__ = [
    "Cost", "Coupling", "Plan", "Planner", "annealed", "assignment", "blind", "conditional", "entropic",
    "independent", "near_condition", "sinkhorn", "squared", "to_permutation", "within_classes",
]  # fmt: skip
