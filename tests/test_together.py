"""Seeds in one state: each gets what it would get alone, on disk and off, and a run of them resumes bit for bit."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import couplings, flows, networks, objectives, recipes, runs, schedules, targets, training
from ddjax.cli import UserError
from ddjax.runs import jobs, saved
from ddjax.runs.engine import Engine
from ddjax.training import together
from experiments.common import runner
from experiments.ot_loss import experiment as ot_loss
from experiments.two_gaussians import experiment as two_gaussians

SEEDS = 3
RECIPE = recipes.Distributional(
    name="ddm",
    event_shape=(2,),
    network=recipes.Mlp(width=16, depth=2),
    population=2,
    optimizer=recipes.Optimizer(steps=200, learning_rate=1e-2),
)
MODEL = recipes.build(RECIPE)


def folder(path):
    path.mkdir(exist_ok=True)
    return runs.Run(path, {}, Engine())


def batch(key):
    return targets.two_gaussians().sample(key, 64)


def trained(path, steps=200):
    rows = [recipes.job("ddm", seed) for seed in range(SEEDS)]
    return jobs.train_together(
        folder(path), "ddm-seeds3", rows, *MODEL[1:4], batch, jobs.Budget(steps, 100, 0.9, (0.5,))
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All seeds, 200 steps at once."""
    path = tmp_path_factory.mktemp("together") / "run"
    return path, trained(path)


def test_every_seed_gets_what_it_would_get_alone(whole, tmp_path):
    """Parameters to 1e-4 after 200 steps, logged losses to 1e-5, and no seed is another.

    Mutations: one key for all; a batch shared by all seeds; metrics of seeds exchanged or averaged.
    """
    path, params = whole
    rows = runs.read_metrics(path)
    for seed in range(SEEDS):
        job, budget = recipes.job("ddm", seed), jobs.Budget(200, 100, 0.9, (0.5,))
        alone = jobs.train(folder(tmp_path / job), job, *MODEL[1:4], batch, budget, seed=seed)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), params[seed], alone)
        mine = [row for row in rows if row["job"] == job]
        for row, wanted in zip(mine, runs.read_metrics(tmp_path / job), strict=True):
            assert row["step"] == wanted["step"] and row["loss"] == pytest.approx(wanted["loss"], abs=1e-5)
    assert len({row["loss"] for row in rows if row["step"] == 200}) == SEEDS


def test_a_run_of_seeds_resumes_bit_for_bit(whole, tmp_path):
    """Stopped at 100 and gone on with; rows of the metrics are there once. Mutation: keys that are not kept."""
    path, params = whole
    trained(tmp_path, 100)
    jax.tree.map(np.testing.assert_array_equal, trained(tmp_path), params)
    assert sorted(map(json.dumps, runs.read_metrics(tmp_path))) == sorted(map(json.dumps, runs.read_metrics(path)))


def test_seeds_with_exact_couplings_get_what_they_would_get_alone():
    """Batches of two seeds need different numbers of augmenting paths. Mutation: a search that waits for a free row."""
    schedule, optimizer = schedules.Rectified(), optax.adam(1e-2)
    network = networks.mlp(2, width=8, depth=2, inject=None)
    velocity = flows.network_velocity(network, schedule)
    loss_fn = objectives.flow_matching(velocity, schedule, coupling=couplings.assignment)
    step = training.make_train_step(loss_fn, optimizer)

    def create(seed):
        return training.TrainState.create(network.init(jax.random.key(seed)), optimizer, jax.random.key(seed))

    draws = jax.random.normal(jax.random.key(2), (2, 30, 2)) * jnp.array([1.0, 0.0])[:, None, None]
    both, _ = jax.jit(together.step(step))(together.stacked([create(0), create(1)]), draws)
    for seed in range(2):
        alone, _ = jax.jit(step)(create(seed), draws[seed])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[seed], b, atol=1e-6), both.params, alone.params)  # noqa: B023


def test_a_seed_that_diverges_is_told():
    """The step and the loss of the first bad one, the others being fine."""

    def loss_fn(params, key, batch):
        loss = params.sum() / (batch.max() < 0.999).astype(float)
        return loss, {}

    step = together.step(training.make_train_step(loss_fn, optax.sgd(0.0)))
    states = [training.TrainState.create(np.ones(2, np.float32), optax.sgd(0.0), jax.random.key(s)) for s in range(2)]
    draws = together.batches(lambda key: jax.random.uniform(key, (4,)))
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        training.fit(together.stacked(states), step, draws, steps=2000, label=None)


def test_a_family_trains_its_seeds_together_and_they_are_sampled(tmp_path):
    """From the setting to `saved.load`, whose parameters of seed 1 are those of seed 1 alone. Mutation: those of seed 0."""
    recipe = recipes.changed(RECIPE, steps=100)
    judge = lambda settings, trained: runner.Findings([], {}, "")  # noqa: E731
    experiment = runner.Experiment("two_gaussians", [recipe], lambda settings, recipe, seed: batch, judge)
    for name in ("together", "alone"):
        told = {"out": tmp_path / name, "together": name == "together", "seeds": 2, "save_every": 100}
        runner.run(experiment, two_gaussians.Config(**told))
    a, b = (saved.load(tmp_path / name, "ddm-seed1") for name in ("together", "alone"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), a.params, b.params)


@pytest.mark.parametrize("together", [False, True])
def test_averages_are_models_of_a_run(together, tmp_path):
    """Each by its own name, with its own parameters; the run's own first. Mutation: `ema` for all."""
    recipe = recipes.changed(RECIPE, steps=100, other_decays=(0.5, 0.0))
    judged = []

    def judge(settings, trained):
        judged.append(trained)
        return runner.Findings([], {}, "")

    experiment = runner.Experiment("two_gaussians", [recipe], lambda *_: batch, judge)
    runner.run(experiment, two_gaussians.Config(out=tmp_path / "run", save_every=100, together=together))
    names = ["ddm", "ddm, average 0.5", "ddm, average 0"]
    assert [recipe.name for recipe, _ in judged[0].pairs()] == names == list(judged[0].params)
    loaded = [saved.load(tmp_path / "run", recipes.job(name, 0)) for name in names]
    assert [each.recipe.optimizer.ema_decay for each in loaded] == [0.999, 0.5, 0.0]
    for each, name in zip(loaded, names, strict=True):
        jax.tree.map(np.testing.assert_array_equal, each.params, judged[0].params[name][0])
    leaves = [np.asarray(jax.tree.leaves(each.params)[0]) for each in loaded]
    assert all((a != b).any() for i, a in enumerate(leaves) for b in leaves[:i])


def test_what_cannot_be_trained_together_is_refused(monkeypatch):
    """A stream, states of several steps, several devices, models that go on from others: one sentence each."""
    with pytest.raises(ValueError, match="drawn from a key"):
        together.batches(iter([]))
    first = jobs.initial_state(MODEL.network, MODEL.optimizer, 0)
    with pytest.raises(ValueError, match=r"one step, got \[0, 1\]"):
        together.stacked([first, first._replace(step=first.step + 1)])
    with pytest.raises(UserError, match="go on from one another"):
        ot_loss.Config(together=True).check()
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    with pytest.raises(ValueError, match="on one device"):
        jobs.require_together()
