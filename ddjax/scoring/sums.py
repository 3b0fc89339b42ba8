"""Sums of rules of linear images.

    (A)  score(xhat, x_0) = sum_i weight_i rule_i(L_i xhat, L_i x_0)

If xhat has the law of x_0, then L xhat has that of L x_0: a proper rule of an image is proper, and so is the sum. It is
strictly proper where one of its terms is. A map that forgets something, as means and differences do, hides it from its own
term, which so weighs the rest the more.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax.inputs import checked_draws, checked_rule, described
from ddjax.scoring.maps import Map
from ddjax.scoring.rules import Rule, needs_pairs
from ddjax.scoring.scores import Draws, Observation, Terms
from ddjax.types import Scalar, known, precise


@dataclass(frozen=True)
class Sum:
    """(A) as a rule of its own: `Sum(((1.0, Energy(), None), (0.5, by_element(Energy()), pooling(4))))`.

    Args:
        parts: (weight, rule, linear_map) of each term, the weight positive and finite; the map takes one event to an array
            (see `maps`), None leaves it as it is. Events come to it in float32 or better.
    Raises: ValueError for no part or a weight that is not positive and finite; when called, for a map that does not take
        the event or returns no array, and a rule that returns no `Terms`.
    """

    parts: tuple[tuple[Scalar, Rule, Map | None], ...]

    def __post_init__(self):
        if not self.parts:
            raise ValueError("a sum of rules needs at least one part, (weight, rule, linear_map)")
        for part in self.parts:
            if not isinstance(part, tuple) or len(part) != 3:
                raise ValueError(f"a part of a sum is (weight, rule, linear_map or None), got {described(part)}")
            weight, rule, _ = part
            checked_rule(rule)
            if known(weight) and not 0 < weight < math.inf:
                raise ValueError(f"weights of a sum must be positive and finite, got {weight}")

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: as one of the rules does."""
        return any(needs_pairs(rule) for _, rule, _ in self.parts)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t: the weighted sums of those of the parts."""
        samples, observation = checked_draws(samples, observation)
        samples, observation = precise(samples), precise(observation)
        maps = [_fitting(linear_map, observation) for _, _, linear_map in self.parts]
        weighted = []
        for (weight, rule, _), linear_map in zip(self.parts, maps, strict=True):
            terms = rule(jax.vmap(linear_map)(samples), linear_map(observation), t)
            if not isinstance(terms, Terms):
                raise ValueError(f"rules of a sum return Terms, got {type(terms).__name__} from {rule}")
            weighted.append([jnp.asarray(weight, term.dtype) * term for term in terms])
        return Terms(*map(sum, zip(*weighted, strict=True)))


def _fitting(linear_map: Map | None, observation: Array) -> Map:
    """The map, once the shapes tell that it takes the event to an array."""
    if linear_map is None:
        return lambda event: event
    try:
        image = jax.eval_shape(linear_map, observation)
    except (TypeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(f"a map of a sum does not take events of shape {observation.shape}: {why}") from error
    if not isinstance(image, jax.ShapeDtypeStruct):
        raise ValueError(f"a map of a sum must take an event to an array, got {type(image).__name__}")
    return linear_map
