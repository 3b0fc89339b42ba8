"""From draws to numbers: hand cases for every aggregation, and sweeps whose answer is known."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import judging, mixtures, schedules
from ddjax.metrics import Floor
from ddjax.types import Batch


def number(**changed):
    plain = {
        "model": "a", "metric": "d", "nfe": 1, "churn": 1.0, "value": 1.0, "low": 0.0, "high": 2.0, "seeds": 1, "draws": 1,
        "floor": 0.1, "floor_std": 0.01,
    }  # fmt: skip
    return judging.Number(**plain | changed)


def test_a_number_is_the_median_over_seeds_of_the_mean_over_draws():
    """Seeds (1, 3), (10, 20), (0, 1): means 2, 15, .5, median 2.

    Mutations: the mean over seeds (5.8), the median over draws, axes exchanged.
    """
    found = judging.measured("a", "d", 4, np.array([[1.0, 3.0], [10.0, 20.0], [0.0, 1.0]]), (0.5, 0.1), churn=0.5)
    told = {"nfe": 4, "churn": 0.5, "seeds": 3, "draws": 6, "floor": 0.5, "floor_std": 0.1}
    assert found == number(value=2.0, low=0.0, high=20.0, by_seed=(2.0, 15.0, 0.5), **told)


def test_the_gap_is_measured_to_the_floor_at_equal_steps_and_the_largest_churn():
    """Limit 1.1, floor .1, model .2: 90 % closed. Mutations: without the floor (82 %); the limit of other steps; oracles told."""
    limit, numbers = "exact mean", []
    for nfe, of_limit in ((1, 1.1), (4, 0.6), (8, 0.15)):
        for churn in (0.0, 1.0) if nfe > 1 else (0.0,):
            numbers += [
                number(
                    nfe=nfe, churn=churn, value=of_limit + 5 * (churn == 0.0 and nfe > 1), model=limit, trained=False
                ),
                number(nfe=nfe, churn=churn, value=0.2 if churn or nfe == 1 else 9.0),
            ]
    numbers.append(number(model="flow", nfe=4, churn=None, value=0.35))
    shares = judging.gap_closed(numbers, "d", limit)
    assert shares.pop("flow") == {4: pytest.approx(0.5)}  # what has no churn stands at every one
    assert list(shares) == ["a"] and list(shares["a"]) == [1, 4]  # at 8 steps the limit is within 10 floor deviations
    assert shares["a"][1] == pytest.approx(0.9) and shares["a"][4] == pytest.approx(0.8)


def test_there_is_a_gap_where_the_limit_is_more_than_ten_floor_deviations_off():
    """Floor .1 with deviation .01: a limit of .195 leaves none, one of .205 does. Mutations: 9 or 11 deviations."""
    limit = "exact mean"
    numbers = [number(nfe=nfe, value=value, model=limit, trained=False) for nfe, value in ((2, 0.195), (4, 0.205))]
    shares = judging.gap_closed([*numbers, number(nfe=2, value=0.1), number(nfe=4, value=0.1)], "d", limit)
    assert shares == {"a": {4: pytest.approx(1.0)}}


def shift(real, fake):
    """A distance that can be taken by hand: between the means."""
    return jnp.abs(real.mean(0) - fake.mean(0)).sum()


def test_a_class_distance_is_the_mean_over_classes_in_units_of_the_real_set():
    """Real points 0, 2 | 4, 10 and 0, 1 | 2, 5; fake ones 1 off in x and 3 in y, in class 1 alone.

    Mutations: each set in units of its own; the distance of the union; the sum over classes.
    """
    x_0, labels = jnp.asarray([[0.0, 0.0], [2.0, 1.0], [4.0, 2.0], [10.0, 5.0]]), jnp.asarray([0, 0, 1, 1])
    real = Batch(x_0, labels)
    fake = Batch(x_0 + jnp.where(labels == 1, 1.0, 0.0)[:, None] * jnp.asarray([[1.0, 3.0]]), labels)
    scale = np.asarray(x_0).std(0)
    assert judging.class_mean(shift, 2)(real, fake) == pytest.approx((0 + 1 / scale[0] + 3 / scale[1]) / 2, rel=1e-5)


def test_a_judge_compares_with_as_many_fresh_points_whole_or_in_blocks():
    """Truth i^2 for i < n, samples 0: the mean square of all, and of at most two blocks of 3.

    Mutations: blocks of another size or number; the first block twice; true points of a fixed number or key.
    """
    asked = []

    def truth(key, n):
        asked.append((int(jax.random.key_data(key)[1]), n))
        return Batch(jnp.arange(n, dtype=float)[:, None] ** 2)

    distance = judging.on_points(shift)
    judge = judging.against(
        truth, {"all": judging.Metric("", distance), "blocks": judging.Metric("", distance, 3)}, blocks=2
    )
    squares = np.arange(8.0) ** 2
    found = judge(Batch(jnp.zeros((8, 1))), jax.random.key(5), 1)
    assert found == {"all": pytest.approx(squares.mean()), "blocks": pytest.approx(squares[:6].mean())}
    assert judge(Batch(jnp.zeros((4, 1))), jax.random.key(6), 1)["all"] == pytest.approx(squares[:4].mean())
    assert asked == [(5, 8), (6, 4)]


@pytest.mark.parametrize(("n", "points", "blocks"), [(2500, 1000, 5), (1500, 1000, 5), (1000, 1000, 1), (30, None, 5)])
def test_a_value_and_its_floor_are_of_equally_many_points(n, points, blocks):
    """Whatever is left over is left out. Mutations: a last block of what is left; floors of n where a metric has its own size."""
    sizes = []

    def noted(real, fake):
        sizes.append((len(real.x_0), len(fake.x_0)))
        return 0.0

    truth = lambda key, n: Batch(np.zeros((n, 1), np.float32))  # noqa: E731
    chosen = {"d": judging.Metric("d", noted, points)}
    judging.against(truth, chosen, blocks=blocks)(truth(None, n), jax.random.key(0), 1)
    assert len(sizes) == (1 if points is None else min(blocks, n // points))
    judging.floors(truth, chosen, jax.random.key(0), n=n, repeats=5)
    assert set(sizes) == {(points or n,) * 2}


def test_a_block_that_cannot_be_filled_is_refused():
    """One sentence with both numbers. Mutation: a smaller block, whose distance is larger than its floor."""
    points = Batch(np.zeros((400, 1), np.float32))
    metric = judging.Metric("W1", lambda real, fake: 0.0, 1000)
    with pytest.raises(ValueError, match="W1: a block has 1000 points, got 400 real and 400 of a model"):
        judging.by_block(metric, points, points, 5)


def test_floors_are_those_of_each_metric_at_its_own_number_of_points():
    """The truth is 1 / n everywhere but for its key's sign. Mutation: n where a metric has blocks of its own."""

    def truth(key, n):
        return Batch(jnp.full((n, 1), 1.0 / n) * jax.random.normal(key, (1, 1)))

    distance = judging.on_points(shift)
    chosen = {"all": judging.Metric("", distance), "blocks": judging.Metric("", distance, 5)}
    found = judging.floors(truth, chosen, jax.random.key(0), n=50, repeats=5)
    assert found["blocks"].mean == pytest.approx(10 * found["all"].mean, rel=1e-5) and found["all"].mean > 0
    assert found["blocks"].std == pytest.approx(10 * found["all"].std, rel=1e-5)


def test_a_table_has_every_number_once_and_the_one_step_number_in_every_row():
    """Columns are steps, rows models by churn; at one step churn does nothing."""
    numbers = [number(churn=0.0, value=7.0)]
    numbers += [number(nfe=4, churn=churn, value=3.0 + churn) for churn in (0.0, 1.0)]
    told = judging.table([*numbers, number(metric="other", value=99.0)], "d").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in told[:4]]
    assert cells[0] == ["model", "churn", "1 step", "4 steps"]
    assert cells[2] == ["a", "0", "7", "3"] and cells[3] == ["a", "1", "7", "4"]
    assert told[-1] == "floor 1.0e-01 +- 1.0e-02" and "99" not in "".join(told)


def test_a_sweep_hands_seed_steps_and_churn_to_the_draw_and_fresh_keys_to_all():
    """Numbers are made of what arrives.

    Mutations: every seed judged with seed 0's parameters; churn or steps fixed; one key for all.
    """
    keys = []

    def draw(params, key, steps, churn):
        keys.append(jax.random.key_data(key))
        return Batch(jnp.asarray([params, steps, churn]))

    def judge(batch, key, steps):
        keys.append(jax.random.key_data(key))
        seed, drawn_steps, churn = map(float, batch.x_0)
        return {"seed": seed, "steps": 10 * steps + drawn_steps, "churn": churn}

    floors = dict.fromkeys(("seed", "steps", "churn"), Floor(0.0, 1.0))
    found = judging.sweep(
        "a", draw, [1.0, 5.0, 6.0], judge, floors, jax.random.key(0), nfe=(1, 3), churn=(0.0, 0.5), repeats=2
    )
    told = {(n.metric, n.nfe, n.churn): (n.value, n.low, n.high, n.seeds, n.draws) for n in found}
    assert set(told) == {(m, *c) for m in floors for c in ((1, 0.0), (3, 0.0), (3, 0.5))}
    assert told["seed", 3, 0.5] == (5.0, 1.0, 6.0, 3, 6)
    assert told["steps", 1, 0.0][0] == 11.0 and told["steps", 3, 0.5][0] == 33.0
    assert told["churn", 3, 0.5][0] == 0.5 and told["churn", 3, 0.0][0] == 0.0
    assert len(keys) == 3 * 3 * 2 * 2 and len(np.unique(np.array(keys), axis=0)) == 2 * 3 * 2 * 2  # churns share theirs


@pytest.mark.parametrize(
    ("params", "trained"), [([None], False), ([{}, {}], False), ([0.0], True), ([{"w": 1.0}], True)]
)
def test_what_has_no_parameters_is_not_trained(params, trained):
    """Mutation: `bool(params)`."""
    draw = lambda params, key, steps, churn: Batch(jnp.zeros((1, 1)))  # noqa: E731
    floors, key = {"d": Floor(0.0, 1.0)}, jax.random.key(0)
    [number] = judging.sweep("a", draw, params, lambda *_: {"d": 0.0}, floors, key, nfe=(1,), label=None)
    assert number.trained is trained


@pytest.mark.parametrize("churn", [(None,), (0.5, 1.0)])
def test_a_sweep_tells_how_far_it_is(churn, monkeypatch, capsys):
    """Draws done of all, at how many steps, and what is left at the pace after the first: 7 s each, 40 s for the first.

    Mutations: cells counted instead of draws; the draws of 1 step counted for every churn; told when all is over only.
    """
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def draw(params, key, steps, e):
        now[0] += 7.0 if now[0] else 40.0
        return Batch(jnp.zeros((1, 1)))

    def swept(**how):
        now[0] = 0.0
        judging.sweep("a", draw, [0, 0], lambda *_: {"d": 0.0}, {"d": Floor(0.0, 1.0)}, jax.random.key(0), nfe=(1, 4),
                      churn=churn, repeats=2, **how)  # fmt: skip
        return capsys.readouterr().err.splitlines()

    total = 4 + 4 * len(churn)
    told = swept()
    first, other = ("", "") if churn[0] is None else ("  churn 0.5", "  churn 1")
    assert told[:2] == [f"judging a 0/{total}  compiling", f"judging a 1/{total}  steps 1{first}"]
    last = f"judging a {total}/{total}  0.14 draws/s  steps 4{other}  0 s left"
    assert told[-1] == last and len(told) == 3 + (total - 2) // 2
    assert told[2].startswith(f"judging a 3/{total}  0.14 draws/s") and told[2].endswith(f"  {7 * (total - 3)} s left")
    assert swept(label="exact")[-1] == last.replace("judging", "exact")
    assert swept(label=None) == []


def test_the_spread_of_exact_draws_is_the_closed_form(skewed):
    """The oracle's spread is off by sampling alone, half of it by half. Mutations: ddof 0 (6 % at 8 draws); no root."""
    S = schedules.Rectified()
    oracle = mixtures.oracle(skewed, S)
    mean = mixtures.mean_oracle(skewed, S)

    def halved(params, key, x_t, t, cond=None):
        middle = mean(params, jax.random.clone(key), x_t, t, cond)
        return middle + params * (oracle(None, key, x_t, t, cond) - middle)

    params = [jnp.asarray(1.0), jnp.asarray(0.5)]
    curve = judging.spread_curve(halved, params, skewed, S, jax.random.key(0), [0.3, 0.8], n=4000, size=8)
    learned = np.array(curve.learned) / np.array(curve.exact)
    np.testing.assert_allclose(learned[0], 1.0, atol=0.012)
    np.testing.assert_allclose(learned[1], 0.5, atol=0.012)
    assert curve.mean_error == pytest.approx(np.abs(learned - 1).mean(), rel=1e-6)
