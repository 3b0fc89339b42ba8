"""Models as plain values, and what every family of them yields: `Model(name, network, loss_fn, optimizer, draw)`."""

from ddjax.recipes.build import SCHEDULE, build, coupling, predictor, sampler, schedule
from ddjax.recipes.drawing import Sampler, by_bridge, by_flow, drawing
from ddjax.recipes.model import Draw, Model, job, joint_job, parameters
from ddjax.recipes.recipe import Recipe, averages, read, stored

__all__ = [
    "SCHEDULE", "Draw", "Model", "Recipe", "Sampler", "averages", "build", "by_bridge", "by_flow", "coupling", "drawing",
    "job", "joint_job", "parameters", "predictor", "read", "sampler", "schedule", "stored",
]  # fmt: skip
