"""Every field of every kind of model has an effect, exactly the one that its row names; what makes no sense cannot be written."""

import dataclasses
from functools import cache
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import inflation, recipes
from ddjax.networks import classifier
from ddjax.recipes import Dit, Labels, Mlp, Numbers, Optimizer, Transport, Unet
from ddjax.recipes.inflation import written
from ddjax.runs import classifiers

NET = Mlp(width=8, depth=2)
COMMON = {"name": "a", "event_shape": (2,), "network": NET, "optimizer": Optimizer(warmup=2, steps=40)}
EIGEN, OTHER = (
    written(inflation.eigenbasis_of(np.array([0.2, -0.1]), np.array([[1.0, c], [c, 0.9]]))) for c in (0.6, 0.3)
)
DISTRIBUTIONAL = recipes.Distributional(**COMMON | {"event_shape": (4, 4, 1)}, weight="sigmoid", population=4)
REGRESSION = recipes.Regression(**COMMON, weight="sigmoid")
FLOW = recipes.Flow(**COMMON, weight="sigmoid")
CONSISTENCY = recipes.Consistency(**COMMON, weight="sigmoid")
MEAN_FLOW = recipes.MeanFlow(**COMMON | {"network": Mlp(width=8, depth=2, time="raw")})
INFLATION = recipes.Inflation(**COMMON, eigen=EIGEN, keep=1)
DIT = dataclasses.replace(REGRESSION, event_shape=(4, 4, 1), network=Dit(width=8, depth=2, patch=2))
UNET = dataclasses.replace(REGRESSION, event_shape=(8, 8, 1), network=Unet(width=8, depth=1))
LABELLED = dataclasses.replace(REGRESSION, condition=Labels(classes=3))
NUMBERED = dataclasses.replace(REGRESSION, condition=Numbers(cond_size=1))
MOVED = dataclasses.replace(LABELLED, transport=Transport(weight=0.5))
AWARE = dataclasses.replace(FLOW, coupling="aware", condition=Numbers(cond_size=1))

SHAPES, LOSS, BOTH = {"shapes"}, {"loss"}, {"loss", "samples"}
EVERY = {
    "name": ("b", {"name"}),
    "event_shape": ((3,), SHAPES),
    "network": (Mlp(width=12, depth=2), SHAPES),
    "optimizer": (Optimizer(learning_rate=0.5), {"update"}),
    "other_decays": ((0.5,), {"averages"}),
}
ON_SCHEDULE = EVERY | {
    "condition": (Labels(classes=3), SHAPES),
    "schedule": ("ddpm", BOTH),
    "predicts": ("v", BOTH),
    "weight": ("uniform", LOSS),
    "bias": (1.0, LOSS),
}
DENOISING = ON_SCHEDULE | {"time_exponent": (0.5, LOSS), "transport": (Transport(weight=0.5), SHAPES)}
KERNEL = {"bandwidth": (0.5, LOSS), "lam": (0.5, LOSS)}
IMAGES = {"dropout": (0.5, {"random bits"}), "bfloat16": (True, {"bf16"}), "remat": (True, {"recomputed"})}
# class -> (a recipe that it is or that holds it, {field: (another value, what it changes, perhaps another recipe)})
TABLE = {
    recipes.Distributional: (DISTRIBUTIONAL, DENOISING | {
        "event_shape": ((3, 3, 1), SHAPES),
        "rule": (recipes.Imq(), LOSS),
        "score_patch": (2, LOSS),
        "score_scales": ((2,), LOSS),
        "score_differences": (0.5, LOSS),
        "population": (3, LOSS),
        "references": (2, LOSS),
        "inject": (0, BOTH),
        "gate": (True, SHAPES),
    }),
    recipes.Regression: (REGRESSION, DENOISING),
    recipes.Flow: (FLOW, ON_SCHEDULE | {
        "coupling": ("aware", LOSS),
        "share": (0.5, LOSS, AWARE),
        "prior": ("eight_gaussians", BOTH),
    }),
    recipes.Consistency: (CONSISTENCY, ON_SCHEDULE | {
        "time_exponent": (0.5, LOSS),
        "stride": (0.2, LOSS),
        "huber": (0.3, LOSS),
    }),
    recipes.MeanFlow: (MEAN_FLOW, EVERY | {
        "network": (Mlp(width=12, depth=2, time="raw"), SHAPES),
        "condition": (Numbers(cond_size=1), SHAPES),
        "schedule": ("ddpm", BOTH),
        "improved": (True, LOSS),
        "equal": (0.1, LOSS),
        "power": (0.0, LOSS),
        "prior": ("eight_gaussians", BOTH),
    }),
    recipes.Inflation: (INFLATION, EVERY | {
        "event_shape": ((2, 1), {"refused"}),  # of other data than the eigenbasis
        "eigen": (OTHER, BOTH),
        "keep": (2, BOTH),
        "gap": (0.5, BOTH),
        "gamma": (0.01, BOTH),
        "preconditioning": ("edm", BOTH),
        "space": ("data", BOTH),
        "time_law": ("uniform", LOSS),
    }),
    Mlp: (REGRESSION, {
        "width": (12, SHAPES), "depth": (3, SHAPES), "residual": (True, BOTH), "time": ("raw", SHAPES),
    }),
    Dit: (DIT, {
        "width": (16, SHAPES), "depth": (1, SHAPES), "patch": (1, SHAPES), "overlap": (1, SHAPES),
        "dropout": (0.5, {"random bits", "loss"}), "bfloat16": (True, {"bf16", *BOTH}), "remat": (True, {"recomputed"}),
    }),
    Unet: (UNET, IMAGES | {"width": (16, SHAPES), "depth": (2, SHAPES), "attention": ((4,), SHAPES)}),
    Optimizer: (REGRESSION, {
        "steps": (60, {"update"}), "learning_rate": (0.5, {"update"}), "warmup": (None, {"update"}),
        "clip": (1e-8, {"update"}), "weight_decay": (0.5, {"update"}), "ema_decay": (0.9, {"averages"}),
    }),
    Labels: (LABELLED, {"classes": (4, SHAPES), "label_dropout": (0.5, LOSS), "guidance": (2.0, {"guidance"})}),
    Numbers: (NUMBERED, {"cond_size": (2, SHAPES)}),
    Transport: (MOVED, {
        "weight": (1.0, LOSS), "blur": (0.5, LOSS), "relative_blur": (False, LOSS), "until": (0.25, LOSS),
        "within_classes": (True, LOSS), "features": ("a classifier's", {"convolutional", "loss"}),
    }),
    recipes.Energy: (DISTRIBUTIONAL, {"beta": (0.5, LOSS), "lam": (0.5, LOSS)}),
    recipes.Imq: (dataclasses.replace(DISTRIBUTIONAL, rule=recipes.Imq()), KERNEL),
    recipes.Rbf: (dataclasses.replace(DISTRIBUTIONAL, rule=recipes.Rbf(bandwidth=8.0)), KERNEL),
    recipes.Exponential: (dataclasses.replace(DISTRIBUTIONAL, rule=recipes.Exponential()), KERNEL),
    recipes.Iddm: (dataclasses.replace(DISTRIBUTIONAL, rule=recipes.Iddm()), {"beta": (0.5, LOSS), "lam": (0.5, LOSS)}),
    recipes.Sddm: (dataclasses.replace(DISTRIBUTIONAL, rule=recipes.Sddm()), {}),
}  # fmt: skip
ROWS = [(of, field, *row) for of, (_, rows) in TABLE.items() for field, row in rows.items()]


def filled(params):
    """Parameters that no symmetry hides anything of."""
    return jax.tree.map(lambda leaf: leaf + 0.3 * jnp.sin(jnp.arange(1.0, 1 + leaf.size)).reshape(leaf.shape), params)


def updates(optimizer, *, at=6):
    """Sizes of the first updates for a constant gradient on a parameter of 2."""
    params = jnp.asarray(2.0)
    state, sizes = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(at):
            update, state = optimizer.update(jnp.asarray(1.0), state, params)
            sizes.append(float(update))
    return sizes


@cache
def observed(recipe):
    """Everything that a recipe decides, by the names of the table."""
    try:
        model = recipes.build(recipe)
    except ValueError:
        return {"refused": True}
    n, one = 8, model.network.init(jax.random.key(1))
    params = filled(one)
    x_0 = 1.0 + jax.random.normal(jax.random.key(2), (n, *recipe.event_shape))
    labels, numbers = jnp.arange(n) % 3, jnp.sin(jnp.arange(1.0 * n * recipe.cond_size)).reshape(n, recipe.cond_size)
    cond = labels if recipe.classes else numbers if recipe.cond_size else None
    apply = lambda params, x: model.network.apply(params, x, jnp.full(n, 0.5), cond, None)  # noqa: E731
    moved = getattr(recipe, "transport", None) is not None
    found = {
        "refused": False,
        "name": model.name,
        "shapes": str(jax.tree.map(jnp.shape, one)),
        "averages": [each.optimizer.ema_decay for each in recipes.averages(recipe)],
        "guidance": recipe.guidance,
        "convolutional": model.network.convolutional,
        "update": None if moved else updates(model.optimizer),
    }
    if len(recipe.event_shape) == 3 and isinstance(recipe, recipes.Regression):
        program = str(jax.make_jaxpr(apply)(params, x_0))
        found |= {
            "bf16": "bf16" in program,
            "recomputed": program.count("remat2["),
            "random bits": "random_bits" in program,
        }
    if not isinstance(recipe.network, Unet):
        batch = x_0 if cond is None else (x_0, cond)
        found["loss"] = float(jax.jit(model.loss_fn)(params, jax.random.key(4), batch)[0])
        found["samples"] = model.draw(params, jax.random.key(5), n, steps=3, cond=cond).tolist()
    return found


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """The folder of a classifier of the events of `MOVED`, as a value of `Transport.features`."""
    net, folder = classifier.classifier((4, 4, 1), 3), tmp_path_factory.mktemp("classifier")
    classifiers.save(folder, filled(net.init(jax.random.key(1))), {"event_shape": [4, 4, 1], "classes": 3})
    return str(folder)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].__name__}-{row[1]}")
def test_a_field_changes_what_it_says_and_nothing_else(row, features):
    """Mutations: any field ignored, exchanged with another, or read where it does not belong."""
    of, field, value, effects, *other = row
    base = other[0] if other else TABLE[of][0]
    if field == "features":
        base, value = dataclasses.replace(base, event_shape=(4, 4, 1)), features
    changed = recipes.changed(base, **{field: value}) if field != "weight" or of is not Transport else None
    if changed is None:  # a recipe has a weight of its own
        changed = dataclasses.replace(base, transport=dataclasses.replace(base.transport, weight=value))
    before, after = observed(base), observed(changed)
    differing = {name for name in before | after if before.get(name) != after.get(name)}
    if "refused" in differing:
        differing = {"refused"}
    if "shapes" in differing:  # other parameters have another loss, other samples and another program
        differing -= {"loss", "samples", "update", "recomputed"}
    assert differing == effects


def test_every_field_has_a_row():
    """A field that is added must come with what it changes. Mutation: a field without a row."""
    assert set(get_args(recipes.Kind)) <= set(TABLE)
    for part in (recipes.Network, recipes.Rule):
        assert set(get_args(part)) <= set(TABLE)
    for of, (base, rows) in TABLE.items():
        assert {field.name for field in dataclasses.fields(of)} == set(rows), of.__name__
        held = [base, *(getattr(base, field.name) for field in dataclasses.fields(base))]
        assert of in {type(value) for value in held}


NONSENSE = {
    "a flow with a scoring rule": lambda: recipes.Flow(**COMMON, rule=recipes.Energy()),
    "an mlp in bfloat16": lambda: Mlp(bfloat16=True),
    "patches for an mlp": lambda: Mlp(patch=4),
    "guidance without labels": lambda: recipes.Flow(**COMMON, guidance=2.0),
    "a population without a scoring rule": lambda: recipes.Regression(**COMMON, population=4),
    "a flow with transport": lambda: recipes.Flow(**COMMON, transport=Transport(weight=1.0)),
    "regression with a coupling": lambda: recipes.Regression(**COMMON, coupling="aware"),
    "an inflation that predicts noise": lambda: recipes.Inflation(**COMMON, eigen=EIGEN, predicts="noise"),
    "a bandwidth of the energy score": lambda: recipes.Energy(bandwidth=1.0),
    "a mean flow with labels": lambda: recipes.MeanFlow(name="a", event_shape=(2,), condition=Labels(classes=3)),
    "a mean flow with features of time": lambda: recipes.MeanFlow(**COMMON),
    "a mean flow on a dit": lambda: recipes.MeanFlow(name="a", event_shape=(4, 4, 1), network=Dit()),
    "a gate in a dit": lambda: dataclasses.replace(DISTRIBUTIONAL, network=Dit(), gate=True),
    "a consistency model that predicts x_0": lambda: dataclasses.replace(CONSISTENCY, predicts="x0"),
    "a bias of a uniform weight": lambda: recipes.Flow(**COMMON, bias=1.0),
    "a power of the steps of a chain": lambda: recipes.Regression(**COMMON, schedule="ddpm", time_exponent=0.5),
    "a share without a coupling": lambda: recipes.Flow(**COMMON, share=0.5),
    "a gap where no direction is kept": lambda: recipes.Inflation(**COMMON, eigen=EIGEN, gap=0.5),
    "a dit in an eigenbasis": lambda: dataclasses.replace(INFLATION, network=Dit()),
    "transport within classes without labels": lambda: dataclasses.replace(
        REGRESSION, transport=Transport(weight=1.0, within_classes=True)
    ),
    "patches of vectors": lambda: recipes.Distributional(**COMMON, score_patch=2),
    "patches larger than the images": lambda: dataclasses.replace(DISTRIBUTIONAL, score_patch=5),
}


@pytest.mark.parametrize("make", NONSENSE.values(), ids=NONSENSE)
def test_what_makes_no_sense_cannot_be_written(make):
    """Mutation: any of these built without a word, as all of them were in 0.3.0."""
    with pytest.raises((TypeError, ValueError)):
        make()
