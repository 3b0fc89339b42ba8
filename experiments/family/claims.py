"""Claims of the papers behind the few-step family that can be checked in the plane, and what stored runs say of each.

A claim is a difference in W_1 (on digits in MMD^2) between two models that met the same seeds, noise and data, at some numbers of
steps, whose intervals hold together in 95 of 100 times (`judging.paired`). It is reproduced where each interval is below 0, in part
where some are; otherwise the opposite holds where one is above 0, and nothing is shown where none is. A claim that a model does as
well as another is measured by the floor's deviation in place of 0. The words are ours.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ddjax import judging
from ddjax.judging import Number


class Claim(NamedTuple):
    """By a source: model a is better than b at these numbers of steps, or as good; from a stored run."""

    source: str
    words: str
    run: str
    a: str
    b: str
    nfe: tuple[int, ...]
    as_good: bool = False
    metric: str = "w1"


CLAIMS = (
    Claim("2502.02483", "draws of the posterior in place of its mean make few steps enough", "moons", "ddm", "ddpm", (1, 2, 4, 8)),
    Claim("2502.02483", "kernel scores do as well as the energy score: IMQ", "moons", "ddm-imq", "ddm", (1, 2, 4, 8), True),
    Claim("2502.02483", "the same of RBF", "moons", "ddm-rbf", "ddm", (1, 2, 4, 8), True),
    Claim("2502.02483", "lam = 1, the proper rule, is best at few steps: before .5", "sweep", "ddm", "ddm lam=0.5", (1, 2, 4)),
    Claim("2609.37147", "beta and lam over time, norms by position: better than constants", "moons", "iddm", "ddm", (1, 2, 4, 8)),
    Claim("2609.37147", "xi behind a gate is better than in a layer", "gate", "ddm gate=true", "ddm", (1, 2, 4, 8)),
    Claim("2609.37147", "the same of iddm", "gate", "iddm gate=true", "iddm", (1, 2, 4, 8)),
    Claim("sDDM", "CRPS and squared error by element do as well as the energy score", "moons", "sddm", "ddm", (1, 2, 4, 8), True),
    Claim("2303.01469", "a consistency model is better at few steps than regression", "moons", "consistency", "ddpm", (1, 2, 4)),
    Claim("2505.13447", "an average velocity is better at few steps than a velocity", "moons", "mean-flow", "fm", (1, 2, 4, 8)),
    Claim("2512.02012", "the improved mean flow is better than the first", "moons", "imf", "mean-flow", (1, 2, 4, 8)),
    Claim("2302.00482", "minibatch transport makes a flow better at few steps", "moons", "fm-ot", "fm", (1, 2, 4, 8)),
    Claim("2112.08217", "digits: patches beside the whole image help", "digits", "ddm-patched", "ddm", (1, 2, 4, 8), metric="mmd2"),
)  # fmt: skip
HEADS = ("source", "claim", "W₁ (digits: MMD²) of", "above that of", "by, at steps", "here")


def rows(runs: dict[str, dict[str, Any]], claims: Sequence[Claim] = CLAIMS) -> list[list[str]]:
    """A row for each claim whose run is among the stored ones, by name."""
    told = []
    for claim in claims:
        if claim.run in runs:
            found, std = differences(claim, [Number(**row) for row in runs[claim.run]["numbers"]])
            k = 3 if claim.metric == "w1" else 4
            steps = "; ".join(f"{n}: {d.value:+.{k}f} [{d.low:+.{k}f}, {d.high:+.{k}f}]" for n, d in found.items())
            told.append([claim.source, claim.words, claim.a, claim.b, steps, verdict(claim, found.values(), std)])
    return told


def differences(claim: Claim, numbers: Sequence[Number]) -> tuple[dict[int, judging.Difference], float]:
    """What W_1 of a is above that of b at each number of steps, read together, and the deviation of the floor."""
    w_1 = [n for n in numbers if n.metric.startswith(claim.metric) and n.nfe in claim.nfe]
    churn = max((n.churn for n in w_1 if n.churn is not None), default=None)
    of = {(n.model, n.nfe): n for n in w_1 if n.churn in (None, churn) or n.nfe == 1}
    pairs = {n: (of[claim.a, n].by_seed, of[claim.b, n].by_seed) for n in claim.nfe}
    return {n: judging.paired(*pair, comparisons=len(pairs)) for n, pair in pairs.items()}, w_1[0].floor_std


def verdict(claim: Claim, found: Collection[judging.Difference], std: float) -> str:
    """In the words of the module."""
    limit = std if claim.as_good else 0.0
    below = [d.high < limit for d in found]
    if any(below):
        return "reproduced" if all(below) else "in part"
    return "the opposite" if any(d.low > limit for d in found) else "not shown"
