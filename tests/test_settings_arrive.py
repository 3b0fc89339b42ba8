"""What is set must arrive: every setting of every family changes exactly what it says, seen where it leaves the family.

A family is run with its ends tied off: nothing is trained, drawn or measured, and whatever reaches training, a sampler or a
judge is written down by name. One changed setting may then change the written things that its row names, and no other.
"""

import dataclasses
import functools
import inspect
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import data, judging, recipes, runs
from ddjax.data import toys
from ddjax.networks import inception
from ddjax.runs import classifiers, engine, jobs
from ddjax.types import Batch
from experiments.common import conditioning as conditionings
from experiments.common import oracles, runner
from experiments.common.images import evaluate as image_judges
from experiments.common.images import report as image_pages
from experiments.common.images import spaces
from experiments.common.runner import Findings
from experiments.conditional_ot import evaluate as conditions
from experiments.conditional_ot import experiment as conditional_ot
from experiments.conditional_ot import report as condition_pages
from experiments.family import evaluate as rivals
from experiments.family import experiment as family
from experiments.family import grids
from experiments.family import report as rival_pages
from experiments.images import experiment as images
from experiments.inflation import evaluate as inflations
from experiments.inflation import experiment as inflation
from experiments.inflation import report as inflation_pages
from experiments.inverse_problems import coverages
from experiments.inverse_problems import evaluate as inverse_problem_judges
from experiments.inverse_problems import experiment as inverse_problems
from experiments.inverse_problems import report as inverse_problem_pages
from experiments.ot_loss import evaluate as gaps
from experiments.ot_loss import experiment as ot_loss
from experiments.ot_loss import report as gap_pages
from experiments.two_gaussians import evaluate as gaussians
from experiments.two_gaussians import experiment as two_gaussians
from experiments.two_gaussians import report as gaussian_pages
from experiments.two_moons import evaluate as moons
from experiments.two_moons import experiment as two_moons
from experiments.two_moons import report as moon_pages
from experiments.two_moons import shapes

TRAINED = {
    "seeds": (4, {"train.seed", "sweep.seeds"}),
    "together": (True, {"joint.rows"}),
    "steps": (700, {"recipe.steps", "train.steps"}),
    "batch": (64, {"train.batch"}),
    "width": (96, {"recipe.width"}),
    "depth": (7, {"recipe.depth"}),
    "learning_rate": (0.25, {"recipe.learning_rate"}),
    "ema_decay": (0.75, {"recipe.ema_decay", "train.ema_decay"}),
    "save_every": (300, {"train.save_every"}),
    "accumulate": (2, {"train.accumulate"}),
    "config": (None, set()),  # read by the command line
    "warmup": (7, {"recipe.warmup"}),
    "clip": (0.5, {"recipe.clip"}),
    "weight_decay": (0.5, {"recipe.weight_decay"}),
}
LABELS = {"recipe.condition", "recipe.label_dropout", "recipe.guidance"}
DRAWS = {
    f"recipe.{name}"
    for name in (
        "beta",
        "gate",
        "inject",
        "lam",
        "population",
        "references",
        "rule",
        "score_differences",
        "score_patch",
        "score_scales",
        "time_exponent",
        "transport",
    )
}
TRANSPORT = {"recipe.transport.blur", "recipe.transport.until", "recipe.transport.weight"}
OF_MLP, OF_IMAGES = {"recipe.residual", "recipe.time"}, {"recipe.dropout", "recipe.bfloat16", "recipe.remat"}
MLP = {"residual": (True, {"recipe.residual"}), "time": ("raw", {"recipe.time"})}
IN = {net: {"net": net} for net in ("mlp", "unet", "dit")}
NETWORKS = {  # each with the network that has it
    "residual": (False, {"recipe.residual"}, IN["mlp"]),
    "time": ("raw", {"recipe.time"}, IN["mlp"]),
    "attention": ((4,), {"recipe.attention"}, IN["unet"]),
    "patch": (2, {"recipe.patch"}, IN["dit"]),
    "overlap": (2, {"recipe.overlap"}, IN["dit"]),
    "dropout": (0.5, {"recipe.dropout"}, IN["dit"]),
    "bfloat16": (True, {"recipe.bfloat16"}, IN["unet"]),
    "remat": (True, {"recipe.remat"}, IN["dit"]),
}
DISTRIBUTIONAL = TRAINED | {
    "population": (6, {"recipe.population"}),
    "nfe": ((1, 3), {"sweep.nfe", "draw.steps"}),
}
SCORED = DISTRIBUTIONAL | {
    "beta": ((0.5, 1.5), {"recipe.beta", "recipe.name", "sweep.model"}),
    "lam": (0.5, {"recipe.lam"}),
    "inject": (2, {"recipe.inject"}),
    "predicts": (None, {"recipe.predicts"}),
    "weight": ("sigmoid", {"recipe.weight"}),
    "time_exponent": (0.25, {"recipe.time_exponent"}),
    "other_decays": ((0.5,), {"recipe.other_decays", "train.other_decays", "sweep.model"}),
}
FAMILIES = {
    two_gaussians: SCORED
    | MLP
    | {
        "predicts": ("x0", {"recipe.predicts"}),
        "churn": ((0.0, 0.5), {"sweep.churn", "draw.churn"}),
        "samples": (500, {"draw.n", "floors.n"}),
        "repeats": (5, {"sweep.repeats"}),
        "full": (True, {"opened.default"}),
    },
    two_moons: DISTRIBUTIONAL
    | {
        "batch": (64, {"train.batch", "train.n"}),
        "nfe": ((1, 3), {"sweep.nfe", "draw.steps", "judge.last", "watch.steps"}),
        "exp": (("1",), {"opened.default", "sweep.model", "floors.labelled", "judge.labelled", "draw.guidance", "train.labelled",
                         "recipe.name", "recipe.kind", "recipe.time", "recipe.coupling", "recipe.classes"} | LABELS | DRAWS),
        "noise": (0.125, {"train.noise", "floors.noise", "judge.noise", "exact.noise", "watch.noise"}),
        "dropout": (0.5, {"recipe.label_dropout"}),
        "guidance": ((2.0,), {"recipe.guidance", "draw.guidance", "track.guidance", "sweep.model"}),
        "samples": (2000, {"draw.n", "floors.n", "exact.n"}),
        "blocks": (3, {"judge.blocks"}),
        "repeats": (5, {"floors.repeats"}),
    },
    conditional_ot: TRAINED
    | MLP
    | {
        "batch": (64, {"train.batch", "train.n"}),
        "seeds": (4, {"train.seed", "cell.seeds"}),
        "noise": (0.125, {"train.noise", "cell.noise", "floor.noise"}),
        "share": (0.5, {"recipe.share"}),
        "samples": (500, {"cell.samples", "floor.samples"}),
        "repeats": (6, {"cell.repeats", "floor.repeats"}),
        "tolerance": (0.5, {"cell.tolerance"}),
        "full": (True, {"opened.default"}),
    },
    images: SCORED
    | NETWORKS
    | {
        "predicts": ("velocity", {"recipe.predicts"}),
        "preset": ("photos", {"opened.default"}),
        "score_patch": (2, {"recipe.score_patch"}),
        "score_scales": ((4,), {"recipe.score_scales"}),
        "score_differences": (0.5, {"recipe.score_differences"}),
        "vary": (("lam=0.5",), {"recipe.lam", "recipe.name", "sweep.model"}),
        "baseline": (False, {"recipe.kind", "recipe.name", "sweep.model"}),
        "bias": (2.0, {"recipe.bias"}, {"weight": "sigmoid"}),
        "label_dropout": (0.5, {"recipe.label_dropout"}),
        "guidance": (2.0, {"recipe.guidance", "draw.guidance"}),
        "churn": (0.5, {"draw.churn", "watch.churn", "pictures.churn"}),
        "nfe": ((1, 3), {"sweep.nfe", "draw.steps", "pictures.nfe"}),
        "samples": (30, {"draw.n", "labels.n"}),
        "data": ("glyphs", {"load.source"}),
        "image_size": (8, {"load.size"}),
        "hold_out": (7, {"load.every"}),
        "skip_unreadable": (True, {"load.skip_unreadable"}),
        "follow_links": (True, {"load.follow_links"}),
        "resident": (512, {"load.largest"}),
        "inception": ("weights", {"spaces.inception", "inception.path"}),
        "net": ("unet", {"recipe.network", "recipe.attention", *OF_IMAGES} | OF_MLP),
    },
    ot_loss: TRAINED
    | NETWORKS
    | {
        "seeds": (4, {"train.seed", "sweep.seeds"}),
        "steps": (5000, {"recipe.steps", "train.steps"}),
        "passive_steps": (700, {"recipe.steps", "train.steps"}),
        "phase": ("passive", {"opened.default", "sweep.model", "recipe.name", "recipe.steps", "train.steps"} | TRANSPORT),
        "preset": (("passive-longer",), {"sweep.model", "recipe.name", "recipe.steps", "train.steps"} | TRANSPORT),
        "passive": (None, set()),  # tests/test_ot_loss.py
        "net": ("dit", {"recipe.network", "recipe.patch", "recipe.overlap", *OF_IMAGES} | OF_MLP),
        "conditional": (True, {"recipe.classes", "recipe.transport.within_classes", "train.labelled", "space.random_classes"}
                        | LABELS),
        "blur": (0.5, {"space.blur"}),
        "blurs": ((2.0,), {"study.blurs"}),
        "samples": (100, {"space.largest"}),
        "nfe": ((1, 3), {"sweep.nfe", "draw.steps"}),
        "churn": (0.5, {"draw.churn"}),
        "data": ("glyphs", {"load.source"}),
        "image_size": (8, {"load.size"}),
        "hold_out": (7, {"load.every"}),
        "skip_unreadable": (True, {"load.skip_unreadable"}),
        "follow_links": (True, {"load.follow_links"}),
    },
    family: TRAINED
    | {
        "batch": (64, {"train.batch", "train.n"}),
        "target": (("checkerboard",), {"opened.default", "recipe.name", "oracles.name", "closed.metric", "train.n", "train.noise"}),
        "only": (("ddm",), {"sweep.model", "sweep.churn", "draw.churn"}
                 | {f"recipe.{name}" for name in ("name", "kind", "rule", "beta", "bandwidth", "population", "references",
                                                  "coupling", "share", "prior", "improved", "equal", "power", "huber",
                                                  "stride", "time", "time_exponent", "learning_rate", "predicts", "weight")}),
        "choose": (("ddm",), {"grids.target"}),
        "vary": (("beta=1.5",), {"sweep.model", "recipe.name", "recipe.beta"}),
        "equal": ("seconds", {"recipe.steps", "train.steps"}),
        "churn": ((0.5,), {"sweep.churn", "draw.churn"}),
        "nfe": ((1, 3), {"sweep.nfe", "draw.steps"}),
        "samples": (1500, {"draw.n", "floors.n"}),
        "blocks": (1, {"against.blocks"}),
        "repeats": (5, {"floors.repeats"}),
        "short": (True, set()),  # of the command line
    },
    inflation: TRAINED
    | MLP
    | {
        "seeds": (4, {"train.seed", "sweep.seeds"}),
        "data": ("circles", {"opened.default", "standardised.name"}),
        "keep": ((0,), {"recipe.keep", "recipe.name", "sweep.model", "alone.n", "gaussian.keep", "kept.method", "kept.steps"}),
        "gap": ((0.5,), {"recipe.gap", "recipe.name", "sweep.model"}),
        "gamma": (0.125, {"recipe.gamma"}),
        "preconditioning": ("edm", {"recipe.preconditioning"}),
        "space": ("data", {"recipe.space"}),
        "time_law": ("normal", {"recipe.time_law"}),
        "method": ("rk4", {"judged.method", "kept.method"}),
        "nfe": ((1, 3), {"sweep.nfe", "draw.steps", "judged.steps", "kept.steps"}),
        "samples": (1500, {"draw.n", "floors.n", "points.n", "pca.n", "alone.n"}),
        "least": (0.5, set()),  # of digits: tests/test_inflation_family.py
        "repeats": (5, {"floors.repeats"}),
    },
    inverse_problems: TRAINED
    | {
        "seeds": (1, set()),  # one alone
        "noise": (0.25, {"given.noise", "tuned.noise"}),
        "other_noise": ((2.0,), {"given.noise", "tuned.noise"}),
        "draws": ((8,), {"conditioned.draws"}),
        "digits": (20, {"given.n"}),
        "tuning": (15, {"tuned.n"}),
        "points": (500, {"plane.n"}),
    },
}  # fmt: skip


class Written(dict):
    """What left the family: the set of values that each name was given."""

    def note(self, name, value):
        if isinstance(value, functools.partial):
            for of, it in value.keywords.items():
                self.note(f"{name.split('.')[0]}.{of}", it)
        elif value is None or type(value) in (bool, int, float, str, tuple, type(Path())):
            self.setdefault(name, set()).add(repr(value))

    def end(self, monkeypatch, module, attribute, name, returns):
        """Tie off a function: its plain arguments are written as name.argument, and it returns what is said."""
        signature = inspect.signature(getattr(module, attribute))

        @functools.wraps(getattr(module, attribute))
        def tied(*args, **kwargs):
            for argument, value in signature.bind(*args, **kwargs).arguments.items():
                self.note(f"{name}.{argument}", value)
            return returns(*args, **kwargs) if callable(returns) else returns

        monkeypatch.setattr(module, attribute, tied)


@pytest.fixture
def written(monkeypatch):
    """(family, settings) -> everything that leaves it."""

    def run(family, settings):
        seen = Written()
        end = functools.partial(seen.end, monkeypatch)

        def built(recipe, *, chunk):
            for place, value in recipes.entries(recipe).items():
                *outer, name = place.split(".")
                named = outer[-1] if outer and name == "kind" else place if outer == ["transport"] else name
                seen.note(f"recipe.{named}", tuple(value) if isinstance(value, list) else value)

            def draw(params, key, n, *, steps, cond=None, churn=None, guidance=1.0):
                for name, value in {"n": n, "steps": steps, "churn": churn, "guidance": guidance}.items():
                    seen.note(f"draw.{name}", value)
                return np.zeros((n, *recipe.event_shape))

            return recipes.Model(recipe.name, recipe, None, None, draw)

        def trained(folder, job, network, loss_fn, optimizer, batch, budget, *, seed, watch, start=None):
            for name, value in (budget._asdict() | {"seed": seed}).items():
                seen.note(f"train.{name}", value)
            shapes = jax.tree.leaves(jax.eval_shape(batch, jax.random.key(0)))
            seen.note("train.batch", shapes[0].shape[0])
            seen.note("train.labelled", len(shapes) > 1)
            assert shapes[0].shape[1:] == network.event_shape
            if watch:
                watch("parameters")
            return ("parameters",) * (1 + len(budget.other_decays))

        def together(folder, job, rows, *model, watch):
            seen.note("joint.rows", len(rows))
            return [trained(folder, row, *model, seed=seed, watch=watch) for seed, row in enumerate(rows)]

        def swept(model, draw, params, judge, floors, key, *, nfe, churn=(None,), repeats=1):
            for name, value in {"model": model, "nfe": nfe, "churn": churn, "repeats": repeats}.items():
                seen.note(f"sweep.{name}", value)
            seen.note("sweep.seeds", len(params))
            draw(params[0], key, nfe[-1], churn[-1])
            return []

        def cell(recipe, model, params, **budget):
            for name, value in (budget | {"seeds": len(params)}).items():
                seen.note(f"cell.{name}", value)

        def planar(name):
            def sample(key, n):
                if n < 10_000_000 and isinstance(n, int) and n != 100_000 and not isinstance(key, jax.core.Tracer):
                    seen.note("points.n", n)
                return jax.random.normal(key, (n, 2)) * jnp.array([[2.0, 1.0]])

            return sample

        def other(name):
            def drawn(params, key, n):
                seen.note(f"{name}.n", n)
                return np.zeros((n, 2))

            return lambda *args, **kwargs: drawn

        def restored(key, y, m, *, noise, steps, scale=1.0):
            for name, value in {"n": len(y), "noise": noise}.items():
                seen.note(f"given.{name}", value)
            return jnp.zeros((len(y), m, 8, 8, 1))

        def points(n, *_, **__):
            return Batch(jnp.zeros((n, 2)), jnp.zeros(n, int))

        end(runs, "open_run", "opened", types.SimpleNamespace(path=Path("a run that is not there"), settings={}))
        end(engine, "start", "start", None)
        end(recipes, "parameters", "parameters", 0)
        end(runner, "write", "write", None)
        monkeypatch.setattr(recipes, "build", built)
        monkeypatch.setattr(jobs, "train", trained)
        monkeypatch.setattr(jobs, "train_together", together)
        monkeypatch.setattr(judging, "sweep", swept)
        end(judging, "floors", "floors", {})
        end(judging, "gap_closed", "closed", {})
        end(oracles, "oracles", "oracles", {})
        end(gaussians, "spreads", "spreads", {})
        end(gaussian_pages, "drawn", "page", {})
        end(gaussian_pages, "sentences", "page", [])
        end(toys, "two_moons", "train", lambda key, n, *, noise: points(n))
        end(moons, "floors", "floors", {})
        end(moons, "judge", "judge", None)
        end(moons, "exact_sampler", "exact", lambda key, n, *, noise: points(n))
        end(moons, "at_a_checkpoint", "watch", {})
        end(shapes, "track", "track", np.zeros((2, 2)))
        end(shapes, "shape", "shape", {})
        end(moon_pages, "findings", "page", Findings([], {}, ""))
        monkeypatch.setattr(conditions, "cell", cell)
        end(conditions, "floor", "floor", [])
        end(conditions, "orders", "orders", {})
        end(condition_pages, "picture", "page", None)
        end(condition_pages, "table", "page", None)
        end(condition_pages, "verdict", "page", "")
        end(data, "load", "load", PICTURES)
        end(inception, "load", "inception", 0.0)
        end(spaces, "of", "spaces", image_judges.Judges([]))
        end(spaces, "too_few", "page", [])
        end(image_judges, "labels_like", "labels", lambda images, key, n: np.zeros(n, np.int32))
        end(image_pages, "while_training", "watch", None)
        end(image_pages, "drawn", "pictures", {})
        end(classifiers, "trained", "classifier", classifiers.Trained(None, None, 1.0, Path("features")))
        end(gaps, "space", "space", gaps.Space(None, np.zeros((7, 2)), None, None, 1.0, 1.0, 1.0, None))
        end(gaps, "of", "features", None)
        end(gaps, "trio", "trio", {})
        end(gaps, "floors", "floors", {})
        end(gaps, "curves", "curves", {})
        end(gaps, "blur_study", "study", [])
        end(gap_pages, "findings", "page", Findings([], {}, ""))
        end(gap_pages, "told", "page", "")
        end(gap_pages, "while_training", "page", None)
        end(inflations, "standardised", "standardised", planar)
        end(inflations, "judged", "judged", None)
        end(inflations, "from_the_kept", "kept", other("alone"))
        end(inflations, "pca_gaussian", "gaussian", other("pca"))
        end(judging, "against", "against", None)
        end(rivals, "oracles", "oracles", {})
        end(grids, "judged", "grids", {})
        end(rivals, "seconds", "page", {})
        end(rival_pages, "findings", "page", Findings([], {}, ""))
        for name in ("unconditional", "conditioned", "particles", "dps", "pigdm"):
            end(inverse_problem_judges, name, name, lambda *_, **__: restored)
        end(inverse_problem_judges, "tuned", "tuned", lambda way, loss, y, key: seen.note("tuned.n", len(y)))
        end(inverse_problem_judges, "effective", "effective", [])
        end(coverages, "judged", "covered", types.SimpleNamespace(_asdict=dict))
        end(conditionings, "ways", "ways", lambda *_: {conditionings.PLUGGED: None})
        end(conditionings, "measured", "plane", {})
        end(inverse_problem_pages, "findings", "page", Findings([], {}, ""))
        end(inflation_pages, "findings", "page", Findings([], {}, ""))
        family.run(settings)
        return {name: values for name, values in seen.items() if name.split(".")[0] not in ("page", "write", "start")}

    return run


PICTURES = data.Images(
    np.zeros((40, 8, 8, 1), np.uint8), np.arange(40, dtype=np.int32) % 2, ("a", "b"), "train", "squares"
)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__.split(".")[-1])
def test_every_setting_changes_what_it_says_and_nothing_else(family, written):
    """Mutations: a seed that is always 0; --churn left out of `draw`; --noise of the judges left at its default; a prefix
    of --repeats for --blocks; a recipe's lam from another setting; a new setting that is read by nobody.
    """
    engines = {field.name for field in dataclasses.fields(engine.Engine)}
    assert {field.name for field in dataclasses.fields(family.Config)} - engines == set(FAMILIES[family])
    wrong, ordinary = {}, written(family, family.Config())
    for setting, (value, names, *others) in FAMILIES[family].items():
        usual = family.Config(**(others[0] if others else {}))
        before = written(family, usual) if others else ordinary
        after = written(family, dataclasses.replace(usual, **{setting: value}))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        wrong |= {setting: changed ^ names} if changed != names else {}
    assert not wrong
