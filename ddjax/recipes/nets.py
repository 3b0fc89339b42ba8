"""The network that a recipe names."""

import math
from dataclasses import replace

from ddjax import networks, objectives
from ddjax.networks.attention import Kernel
from ddjax.recipes.recipe import Recipe
from ddjax.types import Network


def network(recipe: Recipe, *, dropout: float, kernel: Kernel = "auto") -> Network:
    """The recipe's network for its events, with labels where it has classes, and xi where it is distributional.

    With a ratio beside its parameters where there is transport; the features of that are convolutions too.
    """
    if recipe.kind == "inflation" and recipe.space == "eigen":
        recipe = replace(recipe, event_shape=(math.prod(recipe.event_shape),))
    if recipe.kind == "mean_flow" and (recipe.net != "mlp" or recipe.classes or recipe.time != "raw"):
        told = f"net={recipe.net}, time={recipe.time}, classes={recipe.classes}"
        raise ValueError(
            f"a mean flow has two times, which an mlp with raw times and without classes takes, got {told}"
        )
    inject = recipe.inject if recipe.kind == "distributional" else None
    made = _mlp(recipe, inject) if recipe.net == "mlp" else _of_images(recipe, inject, dropout, kernel)
    made = made._replace(convolutional=made.convolutional or bool(recipe.features and recipe.transport))
    return made if recipe.transport is None else objectives.with_ratio(made)


def _mlp(recipe: Recipe, inject: int | None) -> Network:
    network = networks.mlp(
        math.prod(recipe.event_shape),
        width=recipe.width,
        depth=recipe.depth,
        inject=inject,
        cond_size=recipe.classes or recipe.cond_size + (recipe.kind == "mean_flow"),
        time=networks.raw_time if recipe.time == "raw" else networks.time_features,
        residual=recipe.residual,
        gate=recipe.gate and inject is not None,
    )
    if len(recipe.event_shape) > 1:
        network = networks.flattened(network, recipe.event_shape)
    return networks.labelled(network, recipe.classes) if recipe.classes else network


def _of_images(recipe: Recipe, inject: int | None, dropout: float, kernel: Kernel) -> Network:
    import jax.numpy as jnp

    shared = {"classes": recipe.classes, "inject": inject, "dropout": dropout, "remat": recipe.remat}
    shared |= {"dtype": jnp.bfloat16 if recipe.bfloat16 else jnp.float32, "kernel": kernel}
    if recipe.net == "dit":
        return networks.dit(
            recipe.event_shape,
            patch=recipe.patch,
            overlap=recipe.overlap,
            width=recipe.width,
            depth=recipe.depth,
            **shared,
        )
    of_unet = {"width": recipe.width, "depth": recipe.depth, "attention": recipe.attention}
    return networks.unet(recipe.event_shape, **of_unet, **shared)
