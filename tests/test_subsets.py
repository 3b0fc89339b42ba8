"""Parts of a data set: the classes of the whole, whatever the order that its files have, and the same law on both sides."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import data
from ddjax.data import subsets
from experiments.common.images import evaluate as judging
from experiments.common.images import feeds, spaces, trained
from experiments.common.images import report as image_pages
from experiments.family import evaluate as rivals
from experiments.guidance import evaluate as guidances
from experiments.images import experiment as images_family
from experiments.inverse_problems import experiment as inverse_problems
from experiments.ot_loss import evaluate as gaps
from experiments.ot_loss import experiment as ot_loss

CLASSES, SIDE = 4, 4
SORTED = np.repeat(np.arange(CLASSES, dtype=np.int32), 100)
IN_TURNS = np.sort(SORTED).reshape(CLASSES, -1).T.reshape(-1)
ORDERS = {"sorted": SORTED, "in turns": IN_TURNS}


def pictures(labels, split="train"):
    """Images whose pixels say their class and, by noise below it, who they are."""
    noise = np.random.default_rng(len(split)).integers(0, 16, (len(labels), SIDE, SIDE, 1))
    x = (64 * labels[:, None, None, None] + noise).astype(np.uint8)
    return data.Images(x, labels.astype(np.int32), tuple("abcd"), split, "some")


def classes_of(x):
    """The classes that pixels say, bytes or numbers in [-1, 1]."""
    x = np.asarray(x).reshape(len(x), -1)
    pixels = x if x.dtype == np.uint8 else 127.5 * (x + 1)
    return np.round(pixels.mean(1)).astype(int) // 64


def flat(x):
    return x.reshape(len(x), -1)


class Seen(Exception):
    """Carries what a function was about to use."""


def stops(monkeypatch, module, name):
    """The named function hands its arguments to the test and goes no further."""

    def stop(*args, **_):
        raise Seen(*args)

    monkeypatch.setattr(module, name, stop)


def held_out_of_images(train, test, monkeypatch):
    stops(monkeypatch, spaces, "of")
    with pytest.raises(Seen) as seen:
        images_family.judge(images_family.Config(samples=100), None, train=train, held_out=test, copies="")
    return seen.value.args[1].x


def floor_of_images(train, test, monkeypatch):
    stops(monkeypatch, judging, "against_test")
    space = judging.Space("pixels", judging.pixels, flat(train.x), flat(test.x), np.ones(len(test)))
    with pytest.raises(Seen) as seen:
        judging.floors(judging.Judges([space]), train, test, 100)
    return seen.value.args[1]


def streamed(train, test, monkeypatch):
    monkeypatch.setattr(feeds, "JUDGED", 100)
    return feeds.judged(train, SimpleNamespace(resident=0)).x


def of_a_run(train, test, monkeypatch):
    monkeypatch.setattr(feeds, "splits", lambda source: (train, test))
    return trained.splits(None, 100)[1].x


def space(train, test, **told):
    return gaps.space(flat, train, test, blur=0.3, largest=100, **told)


def curve(name, pair, side, n=100):
    """The first of what a curve compares, where nothing has been done to it yet."""

    def taken(train, test, monkeypatch):
        return gaps.curves(space(train, test), train, test)[name].pairs[pair][side][:n]

    return taken


def tuning_of_inverse_problems(train, test, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name, split: {"train": train, "test": test}[split])
    return inverse_problems.Bench(inverse_problems.Config(digits=100)).truth


def fresh_digits(train, test, monkeypatch):
    monkeypatch.setattr(rivals, "digits", lambda: tuple(data.to_float(jnp.asarray(part.x)) for part in (train, test)))
    return rivals._digits().fresh(jax.random.key(0), 100)


# (training images, held-out images, monkeypatch) -> images [n, ...] that stand for a whole set, without other draws
PLACES = {
    "data.part": lambda train, test, _: data.part(test, 100).x,
    "order": lambda train, test, _: test.x[subsets.order(test.labels, 400)[:100]],
    "order, without labels": lambda train, test, _: test.x[subsets.order(None, 400)[:100]],
    "random classes": lambda train, test, _: test.x[subsets.with_random_classes(test.labels, 400, 100)],
    "random classes, without labels": lambda train, test, _: test.x[subsets.with_random_classes(None, 400, 100)],
    "images, held out": held_out_of_images,
    "images, floor": floor_of_images,
    "images, streamed": streamed,
    "guidance and compare, held out": of_a_run,
    "pictures": lambda train, test, _: image_pages.by_class(test, 100),
    "pictures, without labels": lambda train, test, _: image_pages.by_class(
        data.Images(test.x, None, (), "test", "some"), 100
    ),
    "ot_loss, held out": lambda train, test, _: space(train, test).test,
    "ot_loss, training": lambda train, test, _: space(train, test).train,
    "ot_loss, other training": lambda train, test, _: space(train, test).other,
    "ot_loss, training, random classes": lambda train, test, _: space(train, test, random_classes=True).train,
    "ot_loss, other training, random classes": lambda train, test, _: space(train, test, random_classes=True).other,
    "ot_loss, coverage": curve("coverage, by classes present", CLASSES - 1, 0),
    "ot_loss, coverage, held out": curve("coverage, by classes present", 0, 1),
    "ot_loss, fidelity": curve("fidelity, by noise", 0, 0),
    "ot_loss, overfitting, training": curve("overfitting, to training images", -1, 0),
    "ot_loss, overfitting, held out": curve("overfitting, to training images", 0, 0),
    "ot_loss, overfitting, other held out": curve("overfitting, to held-out images", 0, 1),
    "inverse_problems": tuning_of_inverse_problems,
    "family of digits": fresh_digits,
}


@pytest.mark.parametrize("arranged", ORDERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_part_of_a_set_has_the_classes_of_the_set(place, arranged, monkeypatch):
    """Of 4 equal classes each within 4 deviations of a random part, of images that are sorted by class or come in turns.

    The head of the first has one class, evenly spaced images of the second too. Mutations: `[:n]` at any of the places;
    evenly spaced rows in `part`; a permutation drawn for each class and the classes one after the other.
    """
    labels = ORDERS[arranged]
    taken = classes_of(PLACES[place](pictures(labels), pictures(labels, "test"), monkeypatch))
    n = len(taken)
    counts = np.bincount(taken, minlength=CLASSES)
    assert n >= 50 and (abs(counts - n / CLASSES) <= 4 * np.sqrt(n * 3 / 16)).all(), counts


UNEQUAL = np.repeat(np.arange(3, dtype=np.int32), (300, 90, 10))


def test_every_beginning_of_an_order_is_stratified():
    """Each class within 2 rows of its share of every beginning, all rows once; of 1 in 100 too.

    Mutations: classes one after the other; one class first wherever they tie (then a class is off by more).
    """
    for seed in range(20):
        rows = subsets.order(UNEQUAL, 400, seed=seed)
        assert sorted(rows) == [*range(400)]
        counts = np.cumsum(UNEQUAL[rows][:, None] == np.arange(3), 0)
        share = np.arange(1, 401)[:, None] * np.array([300, 90, 10]) / 400
        assert abs(counts - share).max() <= 2
    equal = SORTED[subsets.order(SORTED, 400)].reshape(-1, CLASSES)
    assert (np.sort(equal, 1) == np.arange(CLASSES)).all()  # equal classes: exactly one of each in every turn


def test_every_row_is_taken_as_often_as_any_other():
    """Of 20 rows of unequal classes each leads 5 of 20 in a quarter of 4,000 orders, within 4 deviations; so do classes that
    are drawn at random, but for a class of one row, which is there once however often it is drawn.

    Mutations: a class ahead of all others where they tie; the first rows of a class.
    """
    labels = np.repeat(np.arange(3, dtype=np.int32), (12, 7, 1))
    bound = 4 * np.sqrt(4000 * 0.25 * 0.75)
    fixed = [subsets.order(labels, 20, seed=seed)[:5] for seed in range(4000)]
    assert abs(np.bincount(np.concatenate(fixed), minlength=20) - 1000).max() <= bound
    drawn = [subsets.with_random_classes(labels[:19], 19, 5, seed=seed) for seed in range(4000)]
    assert abs(np.bincount(np.concatenate(drawn), minlength=19) - 4000 * 5 / 19).max() <= bound


def test_random_classes_are_independent_draws():
    """The count of a class has the binomial's mean and variance over 4,000 parts of 40 in 100, no row twice.

    A plain part has .6 of that variance. Mutation: a permutation of all rows.
    """
    labels = np.repeat(np.arange(2, dtype=np.int32), 100)
    parts = [subsets.with_random_classes(labels, 200, 80, seed=seed) for seed in range(4000)]
    assert all(len(set(part.tolist())) == 80 for part in parts[:100])
    counts = np.array([np.sum(labels[part]) for part in parts])
    assert abs(counts.mean() - 40) < 4 * np.sqrt(20 / 4000)
    assert abs(counts.var() / 20 - 1) < 4 * np.sqrt(2 / 4000)


def test_a_class_that_runs_out_gives_way_to_others():
    """9 of 10 rows, of which one class has 1: all different. All of them in their own order where that is asked for."""
    labels = np.array([0] * 9 + [1], np.int32)
    for seed in range(50):
        assert len({*subsets.with_random_classes(labels, 10, 9, seed=seed).tolist()}) == 9
    assert subsets.with_random_classes(labels, 10, 10).tolist() == [*range(10)]


def test_a_part_is_a_set():
    """Pixels stay with their labels; a set that has no more is the same object; a part of nothing is refused."""
    whole = pictures(SORTED)
    part = data.part(whole, 37)
    assert len(part) == 37 and (classes_of(part.x) == part.labels).all() and part.classes == whole.classes
    assert data.part(whole, 400) is whole and data.part(whole, 10_000) is whole
    with pytest.raises(ValueError, match="at least 1, got most=0"):
        data.part(whole, 0)


def test_labels_like_a_set_are_those_of_its_parts():
    """As many of each class as `part` has; beyond the set once more from the beginning. Mutation: the labels in their order."""
    few, many = subsets.labels_like(UNEQUAL, 40), subsets.labels_like(UNEQUAL, 600)
    assert (few == UNEQUAL[subsets.order(UNEQUAL, 400)[:40]]).all()
    assert abs(np.bincount(many, minlength=3) - [450, 135, 15]).max() <= 2


def asked_by_ot_loss(train, test, monkeypatch):
    where = space(train, test)
    draw = lambda params, key, n, *, steps, churn, cond: cond[:, None].astype(float) / 10  # noqa: E731
    model, recipe = SimpleNamespace(draw=draw), SimpleNamespace(classes=3)
    fake = ot_loss.drawn(ot_loss.Config(), recipe, model, where, None, None, 4)
    return np.asarray(10 * fake.x_0[:, 0]), classes_of(where.train)


def asked_by_guidance(train, test, monkeypatch):
    monkeypatch.setattr(guidances, "drawn", lambda trained, how, labels: labels)
    stops(monkeypatch, guidances, "judged")
    asked = SimpleNamespace(weights=(1.0,), nfe=(1,), interval=(0.2, 0.8), samples=100)
    with pytest.raises(Seen) as seen:
        guidances.judged_ways(None, asked, None, train, test)
    return seen.value.args[1], data.part(train, 100).labels


def asked_by_compare(train, test, monkeypatch):
    draw = lambda key, labels, n, *, steps, churn, chunk: labels[:, None].astype(float) / 10  # noqa: E731
    model = SimpleNamespace(draw=draw, recipe=SimpleNamespace(classes=3))
    return np.asarray(10 * trained.drawn(model, train, 4, 100, seed=0)[:, 0]), data.part(train, 100).labels


@pytest.mark.parametrize("asked", [asked_by_ot_loss, asked_by_guidance, asked_by_compare])
def test_samples_have_the_classes_of_the_images_that_they_are_compared_with(asked, monkeypatch):
    """As many of each of three unequal classes as the training images in their place. Mutation: classes in turns."""
    labels, beside = asked(pictures(UNEQUAL), pictures(UNEQUAL, "test"), monkeypatch)
    assert np.bincount(np.round(labels).astype(int)).tolist() == np.bincount(beside).tolist()
    assert len(labels) == 100 and np.bincount(beside)[0] > 70
