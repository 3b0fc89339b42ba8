"""Models of images: distributional diffusion with its variants, and regression with the same net."""

import math

from ddjax.cli import UserError
from ddjax.recipes import Distributional, Dit, Energy, Labels, Recipe, Regression, part
from experiments.common.images.settings import VARIED, ImageSettings
from experiments.common.variants import varied


def recipes_of(settings: ImageSettings, shape: tuple[int, int, int], classes: int) -> list[Recipe]:
    """One distributional model for each beta, and regression with the same net and budget."""
    shared = {"event_shape": shape, "network": settings.network(), "optimizer": settings.optimizer()}
    if classes:
        shared["condition"] = part(Labels, settings, classes=classes)
    models = [
        part(Distributional, settings, name=f"DDM beta {beta:g}", rule=Energy(beta=beta, lam=settings.lam), **shared)
        for beta in settings.beta
    ]
    models = varied(models, settings.vary, VARIED)
    baseline = [part(Regression, settings, name="regression", **shared)] if settings.baseline else []
    for recipe in (*models, *baseline):
        require_patches(recipe)
    return [*models, *baseline]


def require_patches(recipe: Recipe) -> None:
    """Raises: UserError for patches of a score that are larger than the images, or blocks or tokens that do not tile them."""
    height, width, _ = recipe.event_shape
    told = f"images are {height} x {width}"
    for k in recipe.score_scales if isinstance(recipe, Distributional) else ():
        if height % k or width % k:
            raise UserError(f"--score-scales {k} does not tile the images: {told}")
    network = recipe.network
    if isinstance(network, Dit) and network.overlap > network.patch:
        raise UserError(f"--overlap {network.overlap} is larger than the tokens: --patch {network.patch}")
    if isinstance(network, Dit) and (height % network.patch or width % network.patch):
        side = math.gcd(height, width)
        fits = ", ".join(str(n) for n in range(1, side + 1) if side % n == 0)
        raise UserError(f"--patch {network.patch} does not tile the images: {told}, which patches of {fits} do")
