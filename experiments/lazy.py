"""Modules that are imported on first use, so that every `--help` answers without jax: `from experiments.lazy import jax, metrics`.

A name is a room of ddjax unless it stands in `_ELSEWHERE`.
"""

import importlib
from typing import Any

_ELSEWHERE = {"jax": "jax", "jnp": "jax.numpy", "np": "numpy", "optax": "optax", "toys": "ddjax.data.toys"}
_ELSEWHERE |= {"figures": "experiments.pages.figures", "moon_shapes": "experiments.judges.shapes"}
_ELSEWHERE |= {"verdicts": "experiments.pages.verdicts"}
_ELSEWHERE |= {
    "jobs": "ddjax.runs.jobs",
    "saved": "ddjax.runs.saved",
    "pretrained": "ddjax.runs.pretrained",
    "digits": "ddjax.data.digits",
    "report": "experiments.pages.report",
}
_ELSEWHERE |= {"feeds": "experiments.imaging.feeds", "image_checks": "experiments.imaging.checks"}
_ELSEWHERE |= {"image_judges": "experiments.imaging.judging", "image_spaces": "experiments.imaging.spaces"}
_ELSEWHERE |= {"intervals": "experiments.imaging.intervals", "trained_images": "experiments.imaging.trained"}
_ELSEWHERE |= {"image_pages": "experiments.pages.images", "classifiers": "ddjax.runs.classifiers"}
_ELSEWHERE |= {"coverages": "experiments.judges.coverages", "measurements": "experiments.imaging.measurements"}
_ELSEWHERE |= {"inflations": "ddjax.recipes.inflations", "exact_flows": "experiments.judges.exact_flows"}
_ELSEWHERE |= {f"velocity_{room}": f"experiments.{room}.velocities" for room in ("judges", "pages")}
_DATA = (
    "gaussian",
    "moon",
    "rival",
    "grid",
    "condition",
    "conditioning",
    "gap",
    "view",
    "score",
    "inflation",
    "posterior",
    "forecast",
    "inverse_problem",
    "claim",
    "guidance",
)
for _data in _DATA:
    _ELSEWHERE |= {f"{_data}_{room}": f"experiments.{room}.{_data}s" for room in ("judges", "pages")}


class _Lazy:
    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Lazy(_ELSEWHERE.get(name, f"ddjax.{name}"))
