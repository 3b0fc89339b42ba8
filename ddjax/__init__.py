"""ddjax: distributional diffusion models in JAX.

The rooms, from the ground up: `schedules`, `times`, `scoring`, `transport`; `predictions`, `paths`,
`weights`, `couplings`, `mixtures`, `metrics`, `data`; `denoisers`, `networks`, `flows`; `objectives`,
`score_matching`, `samplers`, `sde`, `training`; `inflation`; `recipes`, `judging`, `targets`; `cli`, `runs`.
Each is imported on first use.
"""

import importlib

__version__ = "0.1.0"
__all__ = [  # noqa: RUF022 (in the order of the rooms, not of the alphabet)
    "schedules", "times", "scoring", "transport",
    "predictions", "paths", "couplings", "weights", "mixtures", "metrics", "data",
    "denoisers", "networks", "flows",
    "objectives", "score_matching", "samplers", "sde", "training",
    "inflation",
    "recipes", "judging", "targets",
    "cli", "runs",
]  # fmt: skip


def __getattr__(name: str):
    """Import a room on first use, so that `import ddjax` costs nothing."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
