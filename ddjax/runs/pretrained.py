"""Trained models that come with the package: weights, the recipe of their network, and their numbers with the command behind them.

Each is a folder that `ddjax export` wrote, without a compiled sampler, which JAX would read for six months only:

>>> import jax
>>> from ddjax.runs import pretrained
>>> model = pretrained.load("two_gaussians")
>>> model.sample(model.params, jax.random.key(0), 5, steps=4, churn=1.0).shape
(5, 2)
"""

import difflib
from pathlib import Path
from typing import Any

from ddjax.cli import UserError
from ddjax.runs import exported, saved

FOLDER = Path(__file__).parents[1] / "pretrained"


def names() -> tuple[str, ...]:
    """Of all models."""
    return tuple(sorted(path.name for path in FOLDER.iterdir() if (path / exported.ABOUT).is_file()))


def folder(name: str) -> Path:
    """Where a model lies. Raises: UserError for a name that none has, with the nearest one."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)[0]
        raise UserError(f"there is no pretrained {name!r}; did you mean {near}? There are {', '.join(names())}")
    return FOLDER / name


def load(name: str) -> saved.Trained:
    """A model by its name; draws by `.sample(params, key, n, steps=, churn=)`.

    Raises: UserError for a name that none has, or files that are not those that were exported.
    """
    return saved.of_export(folder(name))


def about(name: str) -> dict[str, Any]:
    """What its export says: numbers, licence of the data, the settings and provenance of the run that trained it."""
    return exported.about(folder(name))
