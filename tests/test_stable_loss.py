"""Scores against several references: the same loss in expectation with less variance, and its formula by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import denoisers, objectives, paths, schedules, scoring, times

S = schedules.Rectified()
X_0 = np.array([[1.0, 0.5], [-1.0, 0.0], [0.3, -0.7], [0.9, 1.1]])
RULE = scoring.Energy(1.0, 1.0)


def denoiser(params, key, x_t, t, cond=None):
    """Draws around a shrunken x_t, too narrow and off."""
    return params * x_t * (1 - t)[:, None] + 0.3 * jax.random.normal(key, x_t.shape)


def loss(references, rule=RULE, law=times.uniform, schedule=S):
    return objectives.distributional(denoiser, schedule, times=law, score=rule, size=3, references=references)


def squares(draws, x_0, t):
    """A rule that tells no parts."""
    return jnp.mean((draws - x_0[None]) ** 2)


@pytest.mark.parametrize("rule", [RULE, scoring.KernelRule(scoring.imq(1.0), 1.0), squares])
@pytest.mark.parametrize("references", [2, 4])
def test_it_is_equation_4(rule, references):
    """Written out in loops from the very draws. Mutations: p over the wrong axis; alpha or sigma left out; 2 sigma^2 as sigma^2;
    groups across one another.
    """
    schedule, key = schedules.Cosine(), jax.random.key(0)
    x_0 = jnp.asarray(X_0, float)
    value, metrics = loss(references, rule, schedule=schedule)(1.2, key, x_0)
    key_time, key_noise, key_xi = jax.random.split(jax.random.clone(key), 3)
    t = times.drawn(times.uniform, key_time, x_0)
    x_t = jax.vmap(partial(paths.interpolate, schedule))(x_0, jax.random.normal(key_noise, x_0.shape), t)
    draws = denoisers.population(denoiser, 1.2, key_xi, x_t, t, None, size=3)
    each = []
    for i in range(len(X_0)):
        alpha, sigma = map(float, schedule(t[i]))
        group = [k for k in range(len(X_0)) if k // references == i // references]
        off = [np.sum((np.asarray(x_t[i]) - alpha * X_0[k]) ** 2) / (2 * sigma**2) for k in group]
        scored = [rule(draws[i], x_0[k], t[i]) for k in group]
        p = np.exp(-np.array(off))
        each.append(p @ [float(getattr(one, "score", one)) for one in scored] / p.sum())
    assert value == pytest.approx(np.mean(each), rel=1e-5)
    assert set(metrics) == {"loss", *([] if rule is squares else ["confinement", "interaction"])}


def test_it_is_the_same_loss_with_less_variance():
    """Over 4,000 keys: means of value and gradient agree within 4 standard errors, and both variances fall: that of the value by
    more than a quarter, as the targets are most of it.

    Mutations: p with the noise of another example; a sharper or a flatter p.
    """
    keys, found = jax.random.split(jax.random.key(1), (2, 4000)), []
    for references, of in zip((1, 4), keys, strict=True):
        gradient = jax.value_and_grad(lambda a, key, r=references: loss(r)(a, key, jnp.asarray(X_0, float))[0])
        found.append(np.stack(jax.jit(jax.vmap(gradient, (None, 0)))(1.2, of), -1))
    own, shared = found
    error = np.sqrt((own.var(0) + shared.var(0)) / 4000)
    assert (np.abs(own.mean(0) - shared.mean(0)) < 4 * error).all()
    assert (shared.var(0) < np.array([0.75, 0.95]) * own.var(0)).all()


def test_where_no_other_example_may_have_made_x_t_it_is_the_plain_loss():
    """At t = .01 points a unit apart are 100 deviations off: the same number to rounding."""
    law = lambda key, n: jnp.full(n, 0.01)  # noqa: E731
    key = jax.random.key(2)
    plain, shared = (loss(n, law=law)(1.2, jax.random.clone(key), jnp.asarray(X_0, float))[0] for n in (1, 4))
    assert float(plain) == pytest.approx(float(shared), rel=1e-5)


def test_what_has_no_groups_is_refused():
    """With a condition beside it an example is no longer one of many that may have made x_t; and a group is whole."""
    x_0 = jnp.asarray(X_0, float)
    for references, batch, told in (
        (2, (x_0, jnp.zeros((4, 1))), "leave references at 1"),
        (3, x_0, "cannot be divided into groups of references=3"),
    ):
        with pytest.raises(ValueError, match=told):
            loss(references)(1.2, jax.random.key(3), batch)
    with pytest.raises(ValueError, match="at least 1, got references=0"):
        loss(0)
