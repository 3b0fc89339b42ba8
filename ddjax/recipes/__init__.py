"""Models as plain values: a class for each kind, which knows its network, loss and sampler; `build` makes a `Model` of any.

    Distributional  draws of x_0 by a scoring rule (DDM)      Regression   its mean, DDPM for instance
    Flow            flow matching                             Consistency  the end of the flow
    MeanFlow        the average velocity between two times    Inflation    an inflationary flow

    >>> recipe = Distributional(name="ddm", event_shape=(2,), network=Mlp(width=64), rule=Energy(beta=0.5))
    >>> recipe.network.width
    64

`recipes.sampling` makes samplers of any denoiser or velocity. Only what is called imports jax.
"""

import importlib
import warnings
from typing import Any

from ddjax.recipes.build import build
from ddjax.recipes.conditions import Labels, Numbers
from ddjax.recipes.model import Model, job, joint_job, parameters
from ddjax.recipes.networks import Dit, Layers, Mlp, Network, Unet
from ddjax.recipes.optimizer import Optimizer
from ddjax.recipes.parts import part
from ddjax.recipes.recipe import Recipe
from ddjax.recipes.rules import Energy, Exponential, Iddm, Imq, Rbf, Rule, Sddm
from ddjax.recipes.stored import (
    Consistency,
    Distributional,
    Flow,
    Inflation,
    Kind,
    MeanFlow,
    Regression,
    averages,
    changed,
    entries,
    read,
    stored,
)
from ddjax.recipes.transport import Transport

__all__ = [
    "Consistency", "Distributional", "Dit", "Energy", "Exponential", "Flow", "Iddm", "Imq", "Inflation", "Kind", "Labels", "Layers",
    "MeanFlow", "Mlp", "Model", "Network", "Numbers", "Optimizer", "Rbf", "Recipe", "Regression", "Rule", "Sddm", "Transport",
    "Unet", "averages", "build", "changed", "entries", "job", "joint_job", "parameters", "part", "read", "stored",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names of 0.3 that lie in `recipes.sampling` now, for one version."""
    if name not in ("Sampler", "by_bridge", "by_flow", "drawing"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"recipes.{name} is recipes.sampling.{name}", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module("ddjax.recipes.sampling"), name)
