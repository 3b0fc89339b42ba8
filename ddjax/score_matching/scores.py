"""Where scores come from: a network of any prediction kind, or the closed form of a mixture."""

from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.mixtures import GaussianMixture
from ddjax.predictions import Kind, of_network
from ddjax.schedules import checked_schedule
from ddjax.score_matching.noised import TimedScore
from ddjax.types import Network, Scalar, Schedule, Velocity


def network_score(network: Network, schedule: Schedule, *, predicts: Kind = "noise") -> Velocity:
    """The score of a network without xi that predicts any kind: score(params, key, x_t [batch, *event], t [batch], cond).

    The signature is that of denoisers and velocities, and the score is an affine function of x_0: `denoisers.bind` and
    `denoisers.guided` act on it unchanged, the latter as classifier-free guidance (1 - w) score + w score given cond.

    Args:
        predicts: "noise", for which the score is -noise / sigma, keeps the network's output of order 1 at all times.
    Raises: the score, ValueError for a network that returns another shape, or an unknown kind.
    References: Ho and Salimans (guidance), arXiv 2207.12598.
    """
    return Partial(of_network, Network.of(network), checked_schedule(schedule), predicts, "score")


def mixture_score(mixture: GaussianMixture, schedule: Schedule) -> TimedScore:
    """score(x_t, t) = grad log p_t of a mixture, exactly, for one example at one time.

    Given a class or a measurement it is that of `mixture.given_class(...)` or `mixture.given_linear(...)`.
    """
    return Partial(_of_mixture, mixture, checked_schedule(schedule))


def _of_mixture(mixture: GaussianMixture, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar) -> Array:
    return mixture.score(schedule, x_t, t)
