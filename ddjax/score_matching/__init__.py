"""Score matching: learning grad log p from draws of p.

`explicit`, `implicit`, `sliced` and `denoising` give one value for each example, for a score that is a function of one example
with its parameters bound; they are 1/2 E|score - grad log p|^2, the last three up to a number that does not depend on the score.
`explicit_loss`, `implicit_loss`, `sliced_loss`, `denoising_loss` and `data_loss` make training losses of them, `network_score`
makes a score of a network. `mixture_score` is exact, and so are its conditions: `bayes` adds the gradient of a likelihood,
`class_likelihood` and `linear_likelihood` are those that a mixture has.
"""

from ddjax.score_matching.conditions import bayes, class_likelihood, linear_likelihood
from ddjax.score_matching.losses import data_loss, denoising_loss, explicit_loss, implicit_loss, sliced_loss
from ddjax.score_matching.noised import denoising
from ddjax.score_matching.plain import explicit, implicit, sliced
from ddjax.score_matching.scores import mixture_score, network_score

__all__ = [
    "bayes", "class_likelihood", "data_loss", "denoising", "denoising_loss", "explicit", "explicit_loss", "implicit",
    "implicit_loss", "linear_likelihood", "mixture_score", "network_score", "sliced", "sliced_loss",
]  # fmt: skip
