"""Recipes: plain values that become exactly the model they say, also in the flat form in which older versions stored them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import (
    couplings,
    denoisers,
    flows,
    inflation,
    networks,
    objectives,
    recipes,
    schedules,
    scoring,
    times,
    weights,
)
from ddjax.data import toys
from ddjax.networks import classifier
from ddjax.recipes import old
from ddjax.recipes.inflation import written
from ddjax.runs import classifiers, pretrained
from ddjax.types import Network

SMALL = {"name": "a", "event_shape": (2,), "width": 8, "depth": 2, "inject": 1, "population": 2, "steps": 40}
NET = recipes.Mlp(width=8, depth=2)


def key(i=3):
    return jax.random.key(i)


def reference(recipe):
    """Network and loss of flat entries, composed here by hand from the library's parts."""
    inject = recipe.inject if recipe.kind == "distributional" else None
    time = networks.raw_time if recipe.time == "raw" else networks.time_features
    net = networks.mlp(
        2, width=recipe.width, depth=recipe.depth, inject=inject, time=time, residual=recipe.residual, gate=recipe.gate,
        cond_size=recipe.classes + recipe.cond_size + (recipe.kind == "mean_flow"),
    )  # fmt: skip
    if recipe.classes:
        net = networks.labelled(net, recipe.classes)
    S = schedules.DDPM(1000, 1e-4, 0.02) if recipe.schedule == "ddpm" else schedules.Rectified()
    weight = {"uniform": lambda t: 1.0, "sigmoid": weights.sigmoid(S, bias=recipe.bias), "snr": weights.snr(S)}[
        recipe.weight
    ]
    law = lambda key, n: times.stratified(key, n) ** recipe.time_exponent  # noqa: E731
    if recipe.schedule == "ddpm":
        law = times.steps_of(1000)
    if recipe.kind == "flow":
        plan = couplings.sinkhorn
        if recipe.cond_size:
            plan = lambda k, a, b, c: couplings.sinkhorn(k, a, b, c, cost=couplings.near_condition(recipe.share))  # noqa: E731
        pairs = {"independent": couplings.independent, "blind": couplings.blind(plan), "aware": plan}[recipe.coupling]
        start = jax.random.normal
        if recipe.prior == "eight_gaussians":
            start = lambda key, shape: toys.eight_gaussians(key, shape[0]).x_0  # noqa: E731
        velocity = flows.network_velocity(net, S, predicts=recipe.predicts)
        loss_fn = objectives.flow_matching(velocity, S, weight=weight, coupling=pairs, prior=start)
    elif recipe.kind == "inflation":
        loss_fn = inflated(recipe, net)
    elif recipe.kind == "consistency":
        denoiser, huber = denoisers.mean(net, S, predicts=recipe.predicts), recipe.huber
        loss_fn = objectives.consistency(denoiser, S, times=law, gap=recipe.stride, weight=weight, huber=huber)
    elif recipe.kind == "mean_flow":
        share = recipe.equal if recipe.equal is not None else 0.5 if recipe.improved else 0.75
        start = jax.random.normal
        if recipe.prior == "eight_gaussians":
            start = lambda key, shape: toys.eight_gaussians(key, shape[0]).x_0  # noqa: E731
        u, power, improved = flows.average_velocity(net), recipe.power, recipe.improved
        loss_fn = objectives.mean_flow(u, S, equal=share, power=power, improved=improved, prior=start)
    elif recipe.kind == "regression":
        denoiser = denoisers.mean(net, S, predicts=recipe.predicts)
        loss_fn = objectives.denoising(denoiser, S, times=law, weight=weight)
    else:
        denoiser = denoisers.distributional(net, S, predicts=recipe.predicts)
        rule, size = rule_of(recipe), recipe.population
        drawn = {"size": size, "references": recipe.references}
        loss_fn = objectives.distributional(denoiser, S, times=law, weight=weight, score=rule, **drawn)
    if recipe.transport is not None:
        net, w = objectives.with_ratio(net), recipe.transport
        denoiser = denoisers.mean(net, S, predicts=recipe.predicts)
        classes = recipe.classes if recipe.within_classes else 0
        of_kind = objectives.denoising(denoiser, S, times=law, weight=weight)
        early = lambda key, n: recipe.transport_until * law(key, n)  # noqa: E731
        beside = objectives.sinkhorn_term(
            denoiser, S, blur=recipe.blur, relative=recipe.relative_blur, classes=classes, times=early
        )
        loss_fn = objectives.balanced(of_kind, beside, lam=w) if w else of_kind
    if recipe.label_dropout:
        loss_fn = objectives.condition_dropout(loss_fn, probability=recipe.label_dropout, null=recipe.classes)
    return net, loss_fn


def rule_of(recipe):
    """The scoring rule of a recipe, by hand."""
    b, lam, width = recipe.beta, recipe.lam, recipe.bandwidth
    if recipe.rule == "sddm":

        def weather(samples, x_0, t):
            squares = jnp.mean((samples - x_0[None]) ** 2)
            return t * scoring.crps(samples, x_0) + (1 - t) * squares

        return weather
    if recipe.rule == "iddm":
        return scoring.by_position(scoring.Energy(lambda t: 2 * (1 - t) + b * t, lambda t: lam * t))
    kernels = {"imq": scoring.imq, "rbf": scoring.rbf, "exponential": scoring.exponential}
    return scoring.KernelRule(kernels[recipe.rule](width), lam) if recipe.rule in kernels else scoring.Energy(b, lam)


def inflated(recipe, net):
    """The loss of an inflation, composed here by hand."""
    growth, ends = inflation.constant_gap(recipe.gap), 15.01 if recipe.time_law == "normal" else None
    if recipe.keep:
        S = inflation.reducing(EIGEN.variances, keep=recipe.keep, growth=growth, gamma=recipe.gamma, horizon=ends)
    else:
        S = inflation.preserving(EIGEN.variances, gamma=recipe.gamma, horizon=ends)
    kinds = {"anisotropic": inflation.Anisotropic, "edm": inflation.EDM, "eigen_edm": inflation.EigenEDM}
    conditioned = kinds[recipe.preconditioning](S, EIGEN.variances)
    rooted = Network(net.init, lambda params, y, t, cond, xi: net.apply(params, y, jnp.sqrt(t), cond, xi))
    rooted = inflation.in_data_space(rooted, EIGEN) if recipe.space == "data" else rooted
    law = lambda key, n: times.stratified(key, n) ** (2 if recipe.time_law == "quadratic" else 1)  # noqa: E731
    law = inflation.normal(12.0, 1.2, horizon=15.01) if recipe.time_law == "normal" else law
    loss_fn = objectives.distributional(
        inflation.preconditioned(rooted, conditioned), S, times=law, score=inflation.Standardised(conditioned), size=1
    )
    return inflation.on_data(loss_fn, EIGEN)


EIGEN = inflation.eigenbasis_of(np.array([0.2, -0.1]), np.array([[1.0, 0.6], [0.6, 0.9]]))
TEXT = written(EIGEN)

CHANGES = [
    {"kind": "regression"},
    {"kind": "flow"},
    {"predicts": "x0"},
    {"predicts": "v"},
    {"references": 2},
    {"kind": "regression", "schedule": "ddpm", "predicts": "noise", "weight": "snr"},
    {"width": 16},
    {"depth": 3},
    {"inject": 0},
    {"gate": True},
    {"residual": True},
    {"time": "raw"},
    {"beta": 0.5},
    {"lam": 0.5},
    {"rule": "iddm", "beta": 0.1},
    {"rule": "sddm", "population": 3},
    {"rule": "rbf", "bandwidth": 0.5},
    {"rule": "imq", "bandwidth": 0.5},
    {"rule": "exponential", "bandwidth": 2.0, "lam": 0.5},
    {"population": 3},
    {"weight": "sigmoid"},
    {"weight": "sigmoid", "bias": 1.0},
    {"time_exponent": 0.5},
    {"classes": 3},
    {"classes": 3, "label_dropout": 0.5},
    {"cond_size": 1},
    {"kind": "regression", "transport": 0.5},
    {"kind": "regression", "transport": 0.0},
    {"kind": "regression", "transport": 0.5, "blur": 0.5},
    {"kind": "regression", "transport": 0.5, "relative_blur": False},
    {"kind": "regression", "transport": 0.5, "transport_until": 0.25},
    {"kind": "regression", "transport": 0.5, "classes": 3, "within_classes": True},
    {"kind": "flow", "weight": "sigmoid"},
    {"kind": "flow", "coupling": "blind", "classes": 3},
    {"kind": "flow", "coupling": "aware", "classes": 3},
    {"kind": "flow", "coupling": "aware", "cond_size": 1},
    {"kind": "flow", "coupling": "aware", "cond_size": 1, "share": 0.5},
    {"kind": "flow", "prior": "eight_gaussians"},
    {"kind": "consistency"},
    {"kind": "consistency", "stride": 0.2},
    {"kind": "consistency", "huber": 0.3},
    {"kind": "mean_flow", "time": "raw"},
    {"kind": "mean_flow", "time": "raw", "improved": True},
    {"kind": "mean_flow", "time": "raw", "equal": 0.1},
    {"kind": "mean_flow", "time": "raw", "power": 0.0},
    {"kind": "mean_flow", "time": "raw", "cond_size": 1},
    {"kind": "mean_flow", "time": "raw", "prior": "eight_gaussians"},
    {"kind": "inflation", "eigen": TEXT},
    {"kind": "inflation", "eigen": TEXT, "gamma": 0.01},
    {"kind": "inflation", "eigen": TEXT, "keep": 1},
    {"kind": "inflation", "eigen": TEXT, "keep": 1, "gap": 0.5},
    {"kind": "inflation", "eigen": TEXT, "preconditioning": "edm"},
    {"kind": "inflation", "eigen": TEXT, "preconditioning": "eigen_edm"},
    {"kind": "inflation", "eigen": TEXT, "space": "data"},
    {"kind": "inflation", "eigen": TEXT, "time_law": "uniform"},
    {"kind": "inflation", "eigen": TEXT, "time_law": "normal"},
]


@pytest.mark.parametrize("changed", CHANGES, ids=lambda changed: "-".join(map(str, changed.values())))
def test_what_a_recipe_says_is_what_is_trained(changed):
    """Loss and gradient of a flat recipe are those of the parts composed by hand. Mutations: any entry ignored or exchanged."""
    recipe = old._Flat(**SMALL | changed)
    model = recipes.build(recipes.read(SMALL | changed))
    net, loss_fn = reference(recipe)
    params = net.init(jax.random.key(1))
    x_0 = jax.random.normal(jax.random.key(2), (32, 2)) + 1.0
    cond = jnp.arange(32) % 3 if recipe.classes else jnp.sin(jnp.arange(32.0))[:, None] if recipe.cond_size else None
    batch = x_0 if cond is None else (x_0, cond)
    chex_like = jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, model.network.init(jax.random.key(1)))
    assert chex_like
    got = jax.value_and_grad(lambda p: model.loss_fn(p, jax.random.key(4), batch)[0])(params)
    want = jax.value_and_grad(lambda p: loss_fn(p, jax.random.key(4), batch)[0])(params)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_a_flow_is_drawn_from_the_prior_it_is_trained_from():
    """A network of zeros leaves x_1 where it is. Mutation: N(0, I) for every flow."""
    recipe = recipes.Flow(name="a", event_shape=(2,), network=NET, prior="eight_gaussians")
    model = recipes.build(recipe)
    still = jax.tree.map(jnp.zeros_like, model.network.init(key()))
    key_prior, _ = jax.random.split(key(5))
    drawn = model.draw(still, key(5), 20, steps=2)
    np.testing.assert_allclose(drawn, toys.eight_gaussians(key_prior, 20).x_0, rtol=1e-5, atol=1e-6)


def updates(recipe, at, grad=1.0):
    """The sizes of the optimiser's updates at some of its steps, for a constant gradient on a parameter of 2."""
    optimizer, params = recipes.build(recipe).optimizer, jnp.asarray(2.0)
    state, sizes = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(max(at) + 1):
            update, state = optimizer.update(jnp.asarray(grad), state, params)
            sizes.append(float(-update))
    return [sizes[i] for i in at]


def test_the_optimiser_is_the_one_that_is_told():
    """Adam's step on a constant gradient is the rate itself. Mutations: rate, warm-up, decay, weight decay or clip lost."""
    plain = recipes.Regression(name="a", event_shape=(2,), optimizer=recipes.Optimizer(learning_rate=0.1, steps=40))
    change = lambda **changed: recipes.changed(plain, **changed)  # noqa: E731
    assert updates(plain, (0, 30)) == pytest.approx([0.1, 0.1], rel=1e-5)
    assert updates(change(weight_decay=0.5), (0,)) == pytest.approx([0.1 * (1 + 0.5 * 2)], rel=1e-5)
    cosine = updates(change(warmup=100), (0, 2, 4, 39, 40))
    assert cosine[:3] == pytest.approx([0.0, 0.05, 0.1], abs=1e-6)  # a tenth of 40 steps, not 100
    assert cosine[4] == pytest.approx(1e-3, rel=1e-4) and cosine[3] > cosine[4]
    assert updates(change(warmup=2), (1, 2))[1] == pytest.approx(0.1, rel=1e-4)
    # clipping shows where Adam's epsilon does: a gradient of 1 clipped to 1e-8 meets epsilon 1e-8
    assert updates(change(clip=1e-8), (0,)) == pytest.approx([0.05], rel=1e-3)


def test_dropout_acts_in_training_alone():
    """The trained network has the recipe's dropout, the sampled one none. Mutations: exchanged; dropout everywhere or nowhere."""
    net = recipes.Dit(width=8, depth=1, patch=2, dropout=0.5)
    recipe = recipes.Distributional(name="a", event_shape=(4, 4, 1), network=net, inject=0, population=2)
    wet, dry = (recipes.build(recipes.changed(recipe, dropout=rate)) for rate in (0.5, 0.0))
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), wet.network.init(key(0))
    )
    np.testing.assert_array_equal(wet.draw(params, key(5), 2, steps=1), dry.draw(params, key(5), 2, steps=1))
    losses = [jax.jit(model.loss_fn)(params, key(6), jnp.ones((2, 4, 4, 1)))[0] for model in (wet, dry)]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_tokens_are_as_large_and_overlap_as_told():
    """By the first layer's input. Mutations: either lost, one for the other."""
    net = recipes.Dit(width=8, depth=1, patch=4, overlap=1)
    recipe = recipes.Distributional(name="a", event_shape=(8, 8, 3), network=net, inject=0)
    params = jax.eval_shape(recipes.build(recipe).network.init, key(0))
    assert params["params"]["patches"]["kernel"].shape == ((4 + 2) ** 2 * 3, 8)


@pytest.mark.parametrize(
    "recipe",
    [
        recipes.Distributional(
            name="b", event_shape=(8, 8, 1), network=recipes.Unet(attention=(4,)), score_scales=(2,)
        ),
        recipes.Regression(name="b", event_shape=(2,), transport=recipes.Transport(weight=0.5)),
        recipes.Flow(name="b", event_shape=(2,), condition=recipes.Numbers(cond_size=1), coupling="aware", share=0.5),
        recipes.Consistency(name="b", event_shape=(2,), optimizer=recipes.Optimizer(warmup=0, clip=1.0)),
        recipes.MeanFlow(name="b", event_shape=(2,), other_decays=(0.5, 0.9)),
        recipes.Inflation(name="b", event_shape=(2,), eigen=TEXT, keep=1, gap=0.5),
    ],
    ids=lambda recipe: type(recipe).__name__,
)
def test_a_recipe_survives_its_file(recipe):
    """Stored as JSON and read again it is equal; what is not a recipe is refused by the name of the entry."""
    stored = json.loads(json.dumps(recipes.stored(recipe)))
    assert recipes.read(stored) == recipe and stored["kind"] == type(recipe).__name__
    for wrong, told in (
        ({"colour": 1}, "no entry 'colour'"),
        ({"network": {"kind": "Cnn"}}, "network is one of"),
        ({"network": stored["network"] | {"colour": 1}}, "has no entry 'colour'"),
        ({"optimizer": None}, "optimizer is one of Optimizer"),
        ({"kind": "Magic"}, "recipe is one of"),
    ):
        with pytest.raises(ValueError, match=f"the recipe 'b': .*{told}"):
            recipes.read(stored | wrong)
    with pytest.raises(ValueError, match="event_shape"):
        recipes.read({name: value for name, value in stored.items() if name != "event_shape"})


def test_a_flat_recipe_of_an_older_version_is_read():
    """What had an effect is where it belongs, and the rest is left out; the pretrained models are read the same way.

    Mutations: the rate of every recipe on a cosine; an entry lost; labels' entries kept without labels.
    """
    flat = {
        "name": "b",
        "kind": "flow",
        "event_shape": [2],
        "classes": 3,
        "label_dropout": 0.1,
        "guidance": 2.0,
        "width": 8,
    }
    assert recipes.read(
        flat | {"coupling": "blind", "beta": 0.5, "transport": None, "warmup": 7, "patch": 2}
    ) == recipes.Flow(
        name="b",
        event_shape=(2,),
        network=recipes.Mlp(width=8),
        condition=recipes.Labels(classes=3, label_dropout=0.1, guidance=2.0),
        coupling="blind",
    )
    plain = {"name": "b", "event_shape": [8, 8, 1], "guidance": 2.0, "label_dropout": 0.5, "gate": True, "bias": 1.0}
    assert recipes.read(plain | {"net": "dit", "cosine": True, "other_decays": [0.5]}) == recipes.Distributional(
        name="b",
        event_shape=(8, 8, 1),
        network=recipes.Dit(),
        optimizer=recipes.Optimizer(warmup=100),
        other_decays=(0.5,),
    )
    digits = pretrained.load("digits").recipe
    assert digits == recipes.Distributional(
        name="DDM beta 0.1",
        event_shape=(8, 8, 1),
        network=recipes.Mlp(width=256, depth=5, residual=True),
        condition=recipes.Labels(classes=10, label_dropout=0.1),
        predicts="x0",
        rule=recipes.Energy(beta=0.1),
        score_patch=3,
        population=4,
        time_exponent=0.5,
        optimizer=recipes.Optimizer(steps=6000, learning_rate=3e-3, warmup=200, clip=1.0, weight_decay=0.01),
    )
    with pytest.raises(ValueError, match="no entry 'colour'"):
        recipes.read(flat | {"colour": 1})
    with pytest.raises(ValueError, match="'b': width must be at least 1"):
        recipes.read(flat | {"width": 0})
    with pytest.raises(ValueError, match="event_shape"):
        recipes.read({"name": "b"})


def test_transport_is_in_the_features_of_a_saved_classifier(tmp_path):
    """The term by hand, of its 128 features of what is denoised, clipped to the range of images.

    Fails for pixels, or for a net that trains inside a scan on a CPU.
    """
    net = classifier.classifier((8, 8, 1), 2)
    frozen = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), net.init(key(1))
    )
    classifiers.save(tmp_path, frozen, {"event_shape": [8, 8, 1], "classes": 2})
    moved = recipes.Transport(weight=2.0, features=str(tmp_path))
    recipe = recipes.Regression(name="a", event_shape=(8, 8, 1), network=NET, transport=moved)
    model = recipes.build(recipe)
    assert model.network.convolutional
    params, x_0 = model.network.init(key(2)), jnp.sin(jnp.arange(6 * 64.0)).reshape(6, 8, 8, 1)
    _, metrics = model.loss_fn(params, key(4), x_0)
    law = lambda k, n: times.stratified(k, n)  # noqa: E731
    phi = lambda x: net.features(frozen, jnp.clip(x, -1, 1))  # noqa: E731
    term = objectives.sinkhorn_term(
        recipe.predictor(), schedules.Rectified(), blur=0.1, relative=True, features=phi, times=law
    )
    _, key_term = jax.random.split(key(4))
    np.testing.assert_allclose(metrics["transport"], term(params, key_term, x_0)[0], rtol=1e-4)


def test_few_step_models_are_drawn_by_their_own_samplers():
    """Consistency renoises: a network of zeros answers x_t, which two steps bring to .5 x_1 + .5 z. A mean flow jumps, and
    stays where it is. Mutations: the bridge for either; noise kept between the steps."""
    n = 20_000
    consistency = recipes.build(recipes.Consistency(name="a", event_shape=(2,), network=NET))
    still = jax.tree.map(jnp.zeros_like, consistency.network.init(key()))
    drawn = np.asarray(consistency.draw(still, key(5), n, steps=2))
    np.testing.assert_allclose(drawn.std(0), np.sqrt(0.5), rtol=0.03)
    jumping = recipes.MeanFlow(name="a", event_shape=(2,), network=dataclasses.replace(NET, time="raw"))
    model = recipes.build(jumping)
    still = jax.tree.map(jnp.zeros_like, model.network.init(key()))
    path = jumping.sampler(path=True)(still, key(6), 3, times.grid(4))
    np.testing.assert_array_equal(path, jnp.broadcast_to(path[:1], path.shape))
    for of in (consistency, model):
        with pytest.raises(ValueError, match="leave churn out"):
            of.draw(still, key(5), 2, steps=2, churn=0.5)
    with pytest.raises(ValueError, match="no guidance"):
        model.draw(still, key(5), 2, steps=2, guidance=2.0)


def test_an_inflation_is_drawn_from_the_law_of_its_data():
    """A network of zeros is exact for a Gaussian: mean and covariance of the basis within 4 standard errors, in either space.

    Mutations: sigma(1) alone for the prior; samples left in the eigenbasis; a grid whose steps are equal in t.
    """
    n = 20_000
    for changed in ({}, {"keep": 1}, {"space": "data"}):
        recipe = recipes.Inflation(name="a", event_shape=(2,), network=NET, eigen=TEXT, **changed)
        model = recipes.build(recipe)
        still = jax.tree.map(jnp.zeros_like, model.network.init(key()))
        drawn = np.asarray(model.draw(still, key(5), n, steps=64))
        np.testing.assert_allclose(drawn.mean(0), [0.2, -0.1], atol=4 / n**0.5)
        np.testing.assert_allclose(np.cov(drawn.T), [[1.0, 0.6], [0.6, 0.9]], atol=4 * 2**0.5 / n**0.5)
        path = recipe.sampler(path=True)(still, key(6), 3, times.grid(4))
        assert path.shape == (5, 3, 2)
    with pytest.raises(ValueError, match="leave churn out"):
        model.draw(still, key(5), 2, steps=2, churn=0.5)


def test_an_eigenbasis_survives_its_text_and_others_are_refused():
    """Written and read again it is equal in float32; text that is none, or one of other data, is refused by the recipe's name."""
    recipe = recipes.Inflation(name="a", event_shape=(2,), eigen=TEXT)
    for got, want in zip(recipe.eigenbasis(), EIGEN, strict=True):
        np.testing.assert_array_equal(got, want)
    for text in ("", "no base64!", TEXT[:40]):
        with pytest.raises(ValueError, match="'a' holds no eigenbasis"):
            dataclasses.replace(recipe, eigen=text).eigenbasis()
    with pytest.raises(ValueError, match=r"an eigenbasis of events \(3,\) was wanted"):
        recipes.build(dataclasses.replace(recipe, event_shape=(3,)))


def test_patches_scales_and_differences_join_the_score_and_must_fit():
    """score_patch = 2 adds the mean score of patches, scales that of block means times their side, differences their CRPS.

    Mutations: any of them ignored; scales of equal weight; differences along one axis alone.
    """
    whole = recipes.Distributional(name="a", event_shape=(4, 4, 1), network=NET, population=2)
    batch = jax.random.normal(jax.random.key(0), (8, 4, 4, 1))
    pooled = [(float(k), scoring.Energy(), scoring.pooling(k)) for k in (2, 4)]
    sloped = [(3.0, scoring.by_element(scoring.Energy()), scoring.finite_differences(i)) for i in (0, 1)]
    added = {
        "score_patch": (2, scoring.Patched(scoring.Energy(), 2)),
        "score_scales": ((2, 4), scoring.Sum(((1.0, scoring.Energy(), None), *pooled))),
        "score_differences": (3.0, scoring.Sum(((1.0, scoring.Energy(), None), *sloped))),
    }
    net = networks.flattened(networks.mlp(16, width=8, depth=2, inject=1), (4, 4, 1))
    of_whole = recipes.build(whole).loss_fn(net.init(jax.random.key(1)), jax.random.key(2), batch)[0]
    for name, (value, rule) in added.items():
        model = recipes.build(dataclasses.replace(whole, **{name: value}))
        loss = model.loss_fn(model.network.init(jax.random.key(1)), jax.random.key(2), batch)[0]
        denoiser = denoisers.distributional(net, schedules.Rectified(), predicts="velocity")
        right = objectives.distributional(denoiser, schedules.Rectified(), times=times.stratified, score=rule, size=2)
        np.testing.assert_allclose(loss, right(net.init(jax.random.key(1)), jax.random.key(2), batch)[0], rtol=1e-5)
        assert loss > of_whole
    with pytest.raises(ValueError, match="larger than the images"):
        dataclasses.replace(whole, score_patch=5)


def test_names_of_jobs_are_folders():
    assert recipes.job("3 OT coupling", 0) == "3-ot-coupling-seed0"
    assert recipes.job("4 blind OT, w = 1", 2) == "4-blind-ot-w-1-seed2"
    assert recipes.job("DDM beta 0.1", 1) == "ddm-beta-0.1-seed1"
    network = Network(lambda key: {"w": jnp.zeros((3, 4))}, None)
    assert recipes.parameters(recipes.Model("a", network, None, optax.sgd(1), None)) == 12
