"""The sentence that a report begins with: how near the floor the best model came, and how much nearer than another."""

from collections.abc import Collection, Sequence

from ddjax.judging import Number
from experiments.common.readings import AT_FLOOR, at_floor, excess, noise

USUAL_STEPS = 4
USUAL_RIVAL = "regression"
NEAR = 1.1  # ratio of distances from the floor below which neither is called closer


def by_steps(numbers: Sequence[Number], title: str, *, at: int = USUAL_STEPS, rival: str = USUAL_RIVAL) -> str:
    """The best trained model of one metric at `at` steps (else at the most that were judged), beside another one.

    Args:
        numbers: of one metric; at the largest churn where there are several. title: what the metric is called.
        rival: a word in the name of the model to compare with; the first other one where none has it.
    """
    there, steps = _at(numbers, at)
    if not there:
        return ""
    best = min(there, key=excess)
    others = [one for one in there if one is not best]
    named = [one for one in others if rival in one.model]
    than = (named or others or [None])[0]
    told = f"{steps} step{'s' * (steps > 1)}: {_named(best)} is {standing(best, title)}"
    return f"{told}; {closer(best, than)}" if than else told


def steps_of(nfe: Collection[int], at: int = USUAL_STEPS) -> int:
    """The number of steps that a verdict is of: `at`, else the most that were judged, 0 where none were."""
    return at if at in nfe else max(nfe, default=0)


def standing(number: Number, title: str) -> str:
    """Where a number lies, in words."""
    spread = "" if number.floor_std is None else f" ± {number.floor_std:.2g}"
    numbers = f"{number.value:.2g}; floor {number.floor:.2g}{spread}"
    short = title.split(",")[0].split(" (")[0]
    if at_floor(number):
        return f"{AT_FLOOR} of {short} ({numbers})"
    return f"{excess(number):.2g} from the floor of {short} ({numbers})"


def closer(number: Number, than: Number) -> str:
    """How many times closer to the floor a number is than another, and at least how many where it is at the floor."""
    if at_floor(than):
        return f"{_named(than)} is there too" if at_floor(number) else f"{_named(than)} is {AT_FLOOR}"
    reached = max(excess(number), noise(number))
    if reached <= 0:
        return f"{_named(than)} is {excess(than):.2g} from it"
    ratio, least = excess(than) / reached, "at least " * (excess(number) < reached)
    return (
        f"{_named(than)} is about as far"
        if ratio < NEAR and not least
        else f"{least}{ratio:.2g}x closer than {_named(than)}"
    )


def _named(number: Number) -> str:
    """The name of a model, in quotes where it is several words."""
    return f"“{number.model}”" if " " in number.model else number.model


def _at(numbers: Sequence[Number], at: int) -> tuple[list[Number], int]:
    """The numbers of trained models at one number of steps, each model once, and that number."""
    trained = [n for n in numbers if n.trained]
    chosen = steps_of({n.nfe for n in trained}, at)
    of = {}
    for n in sorted((n for n in trained if n.nfe == chosen), key=lambda n: n.churn or 0.0):
        of[n.model] = n  # the largest churn comes last
    order = dict.fromkeys(n.model for n in trained)
    return [of[model] for model in order if model in of], chosen
