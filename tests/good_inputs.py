"""Arguments under which each public function works, by their names: what `test_inputs` changes one at a time."""

import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax

import ddjax
from ddjax import (
    couplings,
    data,
    denoisers,
    inflation,
    networks,
    schedules,
    scoring,
    sde,
    targets,
    times,
    training,
    types,
    weights,
)

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
T, POINT, DRAWS = jnp.full(4, 0.5), X[0], jnp.stack([X, X + 1, X - 2], 1)
SCHEDULE, GRID = schedules.Rectified(), jnp.array([1.0, 0.5, 0.0])
TRUTH = targets.two_gaussians()
IMAGES = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 4, 1)), jnp.float32)


def noisy(key, x):
    return x + types.standard_normal(key, x.shape)


NETWORK = types.Network(
    lambda key: {"a": types.standard_normal(key, (2,))},
    networks.repeating(lambda params, x_t, t, cond, xi: x_t if xi is None else x_t + xi),
)

# an argument of each name, of the batch X or of the one example POINT; an own one of a function follows below
GOOD = {
    "schedule": SCHEDULE,
    "network": NETWORK,
    "mixture": TRUTH,
    "params": None,
    "n": 4,
    "size": 2,
    "x": X,
    "x_0": X,
    "x_1": X,
    "x_t": X,
    "t": T,
    "cond": None,
    "times": GRID,
    "shape": (4, 2),
    "event_shape": (4,),
    "noise": X,
    "y": X,
    "real": X,
    "fake": X,
    "samples": DRAWS,
    "observations": X,
    "observation": POINT,
    "references": X + 3,
    "points": X,
    "data": X,
    "p": 2.0,
    "k": 2,
    "key": None,
    "denoiser": lambda params, key, x_t, t, cond: noisy(key, x_t),
    "denoise": lambda key, x_t, t: noisy(key, x_t),
    "field": lambda key, x_t, t: noisy(key, x_t),
    "velocity": lambda params, key, x_t, t, cond: noisy(key, x_t),
    "average": lambda params, key, x_t, t, r, cond: noisy(key, x_t),
    "step": lambda key, x_t, t, s: noisy(key, x_t),
    "draw": lambda key, n: jax.random.normal(key, (n, 2)),
    "law": times.uniform,
    "weight": weights.uniform,
    "coupling": couplings.independent,
    "base": times.uniform,
    "prior": types.standard_normal,
    "log_likelihood": lambda x_0: -jnp.sum(x_0**2),
    "rule": scoring.Energy(),
    "loss_fn": lambda params, key, batch: (jnp.sum(noisy(key, batch[0])), {}),
    "term": lambda params, key, batch: (jnp.sum(noisy(key, batch[0])), {}),
    "metric": lambda x, y: jnp.sum(x - y),
    "sample": lambda key, n: jax.random.normal(key, (n, 2)),
    "sde": sde.of_schedule(schedules.VariancePreserving()),
    "variances": jnp.array([1.0, 2.0]),
    "blur": 0.5,
    "null": jnp.zeros(()),
    "probability": 0.1,
    "classes": 3,
    "tolerance": 1e-2,
    "chunk": 4,
    "cost": jnp.abs(X @ X.T),
    "eigen": inflation.eigenbasis(X),
    "cloud": X,
    "centre": POINT,
    "radius": 1.0,
    "states": DRAWS.swapaxes(0, 1),
    "d": 3,
    "latents": X,
    "path": DRAWS.swapaxes(0, 1),
    "image": IMAGES[0],
    "images": data.Images(np.zeros((4, 2, 2, 1), np.uint8), None, (), "train", "four"),
    "most": 2,
    "keep": 1,
    "matrix": jnp.ones((1, 2)),
    "u": lambda x: 2 * x,
    "preconditioning": inflation.Anisotropic(SCHEDULE, (1.0, 2.0)),
    "optimizer": optax.sgd(0.1),
    "bandwidth": 1.0,
    "score": lambda params, key, x_t, t, cond: noisy(key, x_t),
    "truth": lambda x, t: -x,
    "value": POINT,
    "values": DRAWS.swapaxes(0, 1),
    "outputs": DRAWS.swapaxes(0, 1),
    "push": lambda points: 2 * points,
    "mean": POINT,
    "cov": jnp.array([[2.0, 0.5], [0.5, 1.0]]),
    "growth": inflation.original,
    "log_w": X,
    "source": "x0",
    "target": "noise",
    "s": 0.25,
    "steps": 1,
    "state": training.TrainState.create({"a": X}, optax.sgd(0.1), jax.random.key(0)),
    "batch": lambda key: noisy(key, X),
    "train_step": training.make_train_step(lambda params, key, batch: (jnp.sum(params["a"]), {}), optax.sgd(0.1)),
    "squared": X[0] ** 2,
    "plan": couplings.annealed(jnp.abs(X @ X.T)),
    "labels": jnp.array([0, 0, 1, 1]),
    "folder": "",
    "name": "a",
    "width": 1,
    "axis": 0,
    "weights": jnp.array([2.0, 1.0]),
    "horizon": 100.0,
    "rho": lambda x: jnp.sum(x**2, 1),
    "exponent": 0.5,
    "groups": scoring.Windows(2),
    "estimator": scoring.fair,
}
ONE = {"x_t": POINT, "t": 0.5, "x_0": POINT, "x": POINT, "noise": POINT}
OF_X = {"score": lambda x: -x, "truth": lambda x: -x}
OF_X_T = {"score": lambda x, t: -x}
OWN = {
    **{
        f"schedules.{name}": ONE
        for name in ("scales_at", "with_rates", "spread_rate", "squared_diffusion", "logsnr", "snr_loss")
    },
    **{f"paths.{name}": ONE for name in ("interpolate", "bridge")},
    **{f"inflation.{name}": ONE for name in ("scaled_variances", "unscaled_variances")},
    **{f"score_matching.{name}": OF_X for name in ("explicit", "implicit", "sliced")},
    **{f"sde.{name}": OF_X_T for name in ("reverse", "probability_flow", "predictor_corrector")},
    **{f"sde.{name}": ONE for name in ("euler_maruyama", "heun", "prior_gap")},
    **{f"inflation.{name}": {"times": GRID[::-1]} for name in ("process_states", "fresh_states", "participation")},
    "predictions.convert": ONE,
    "flows.exact_divergence": ONE,
    "sde.fokker_planck_residual": OF_X_T | ONE | {"log_density": lambda x, t: -jnp.sum(x**2)},
    "sde.simulate": {"times": jnp.array([0.1, 0.4, 0.8])},
    "sde.integrate": {"start": 0.1, "end": 0.3},
    "sde.ordinary": {"velocity": lambda x, t: -x},
    "sde.reverse": OF_X_T | {"horizon": 1.0},
    "score_matching.bayes": OF_X_T | {"log_likelihood": lambda x_t, t: -jnp.sum(x_t**2)},
    "score_matching.denoising": OF_X_T,
    "score_matching.data_loss": {
        "score": lambda params, x: -x,
        "objective": lambda score, key, x: jnp.sum(noisy(key, jax.vmap(score)(x)), 1),
    },
    "score_matching.class_likelihood": {"classes": jnp.array([0, 1]), "label": 0},
    "score_matching.linear_likelihood": {"y": jnp.ones(1), "noise": jnp.eye(1)},
    "samplers.pseudoinverse_guided": {"y": jnp.ones((4, 1)), "noise": 0.1},
    "times.power": {"exponent": 0.5},
    "networks.flattened": {"event_shape": (2,)},
    "networks.unet": {"event_shape": (8, 8, 1), "width": (4,)},
    "networks.dit": {"event_shape": (4, 4, 1), "width": 8, "depth": 1, "heads": 1},
    "denoisers.folded_population": {"denoiser": denoisers.distributional(NETWORK, SCHEDULE)},
    "metrics.prdc": {"k": 2},
    "inflation.stirred": {"prior": inflation.analytic_prior(SCHEDULE, jnp.ones(2)), "std": 0.1},
    "inflation.reducing": {"variances": jnp.array([2.0, 1.0])},
    "inflation.coverage": {"prior": inflation.analytic_prior(SCHEDULE, jnp.ones(2))},
    "objectives.sinkhorn_term": {"iterations": 5},
    "metrics.per_class": {"real_labels": jnp.array([0, 1, 2, 0]), "fake_labels": jnp.array([0, 1, 2, 1])},
    "sde.predictor_corrector": OF_X_T | {"size": 0.1},
    "metrics.variogram_score": {"samples": DRAWS[0]},
    "metrics.cached_statistics": {"points": lambda: X},
    "scoring.score": {"samples": DRAWS[0], "rho": lambda x: jnp.sum(x**2, 1)},
    "scoring.energy_score": {"samples": DRAWS[0]},
    "scoring.kernel_score": {"samples": DRAWS[0], "kernel": scoring.rbf()},
    "scoring.crps": {"samples": DRAWS[0]},
    "scoring.fair": {"samples": DRAWS[0]},
    "scoring.biased": {"samples": DRAWS[0]},
    "scoring.paired": {"samples": DRAWS[0]},
    "denoisers.guided": {"weight": 2.0},
    "metrics.memorisation": {"train": X + 1, "held_out": X - 1, "samples": X},
    "flows.log_density": {"start": 0.2},
}


def public():
    """The functions of all rooms, and the classes that take one of what is checked, by name."""
    for room in (*ddjax.__all__, "data.toys"):
        if room in ("cli", "runs", "judging", "recipes"):  # whose own tests have their values
            continue
        module = importlib.import_module(f"ddjax.{room}")
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
        for name in names:
            value = getattr(module, name)
            function = inspect.isfunction(inspect.unwrap(value)) or name in CLASSES
            if function and inspect.unwrap(value).__module__.startswith("ddjax."):
                yield f"{room}.{name}", value


CLASSES = ("Patched", "Anisotropic", "EDM", "EigenEDM")
PUBLIC = dict(public())
PARAMETERS = {name: inspect.signature(function).parameters for name, function in PUBLIC.items()}


def fitting(name, **changed):
    """Arguments under which a function works, with what is changed."""
    good, chosen = GOOD | OWN.get(name, {}), {}
    for parameter, told in PARAMETERS[name].items():
        if told.kind is told.VAR_POSITIONAL:
            continue
        needed = told.default is told.empty or parameter in OWN.get(name, {})
        if parameter == "key":
            chosen[parameter] = jax.random.key(0)
        elif needed:
            assert parameter in good, f"give tests/test_inputs.py a value of {parameter}, an argument of {name}"
            chosen[parameter] = good[parameter]
    return chosen | changed


def called(name, **changed):
    """A call by position, as keyword-only arguments allow."""
    chosen = fitting(name, **changed)
    by_keyword = {
        p: chosen.pop(p) for p, told in PARAMETERS[name].items() if p in chosen and told.kind is told.KEYWORD_ONLY
    }
    return PUBLIC[name](*[chosen[p] for p in PARAMETERS[name] if p in chosen], **by_keyword)
