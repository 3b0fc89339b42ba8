"""Modules that are imported on first use, so that every `--help` answers without jax: `from experiments.lazy import jax, metrics`.

A name is a room of ddjax unless it stands in `_ELSEWHERE`.
"""

import importlib
from typing import Any

_ELSEWHERE = {
    "jax": "jax",
    "jnp": "jax.numpy",
    "np": "numpy",
    "optax": "optax",
    "toys": "ddjax.data.toys",
    "figures": "experiments.common.figures",
    "moon_shapes": "experiments.two_moons.shapes",
    "verdicts": "experiments.common.verdicts",
    "sampling": "ddjax.recipes.sampling",
    "jobs": "ddjax.runs.jobs",
    "saved": "ddjax.runs.saved",
    "pretrained": "ddjax.runs.pretrained",
    "digits": "ddjax.data.digits",
    "report": "experiments.common.report",
    "feeds": "experiments.common.images.feeds",
    "image_checks": "experiments.images.checks",
    "image_judges": "experiments.common.images.evaluate",
    "image_spaces": "experiments.common.images.spaces",
    "intervals": "experiments.compare.intervals",
    "trained_images": "experiments.common.images.trained",
    "image_pages": "experiments.common.images.report",
    "classifiers": "ddjax.runs.classifiers",
    "coverages": "experiments.inverse_problems.coverages",
    "measurements": "experiments.inverse_problems.measurements",
    "inflations": "ddjax.recipes.inflation",
    "exact_flows": "experiments.common.exact_flows",
    "velocity_judges": "experiments.anisotropic_flow.evaluate",
    "velocity_pages": "experiments.anisotropic_flow.report",
    "gaussian_judges": "experiments.two_gaussians.evaluate",
    "gaussian_pages": "experiments.two_gaussians.report",
    "moon_judges": "experiments.two_moons.evaluate",
    "moon_pages": "experiments.two_moons.report",
    "rival_judges": "experiments.family.evaluate",
    "rival_pages": "experiments.family.report",
    "grid_judges": "experiments.family.grids",
    "grid_pages": "experiments.family.grid_report",
    "condition_judges": "experiments.conditional_ot.evaluate",
    "condition_pages": "experiments.conditional_ot.report",
    "conditioning_judges": "experiments.common.conditioning",
    "conditioning_pages": "experiments.common.conditioning_report",
    "gap_judges": "experiments.ot_loss.evaluate",
    "gap_pages": "experiments.ot_loss.report",
    "view_judges": "experiments.three_views.evaluate",
    "view_pages": "experiments.three_views.report",
    "score_judges": "experiments.score_matching.evaluate",
    "score_pages": "experiments.score_matching.report",
    "inflation_judges": "experiments.inflation.evaluate",
    "inflation_pages": "experiments.inflation.report",
    "posterior_judges": "experiments.inflation_inference.evaluate",
    "posterior_pages": "experiments.inflation_inference.report",
    "forecast_judges": "experiments.forecast.evaluate",
    "forecast_pages": "experiments.forecast.report",
    "inverse_problem_judges": "experiments.inverse_problems.evaluate",
    "inverse_problem_pages": "experiments.inverse_problems.report",
    "claim_pages": "experiments.family.claims",
    "guidance_judges": "experiments.guidance.evaluate",
    "guidance_pages": "experiments.guidance.report",
}


class _Lazy:
    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Lazy(_ELSEWHERE.get(name, f"ddjax.{name}"))
