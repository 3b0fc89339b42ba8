"""From a recipe of any kind to a model."""

from ddjax.recipes.model import CHUNK, Model
from ddjax.recipes.recipe import Recipe


def build(recipe: Recipe, *, chunk: int = CHUNK) -> Model:
    """The model of a recipe: trained with dropout, where it has any, and sampled without.

    Args:
        chunk: how many samples are drawn together.
    Raises: ValueError for a recipe that no network, rule or optimiser can follow.
    """
    from ddjax import objectives
    from ddjax.recipes import sampling

    network, labels = recipe.net(dropout=True), recipe.labels
    loss_fn = recipe.loss(network)
    if labels and labels.label_dropout:
        loss_fn = objectives.condition_dropout(loss_fn, probability=labels.label_dropout, null=labels.classes)
    draw = sampling.drawing(recipe.sampler(), chunk=chunk)
    return Model(recipe.name, network, loss_fn, recipe.optimiser(), draw)
