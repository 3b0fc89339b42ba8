"""What users type: names, order and kinds of the contract's arguments, docstrings, and their examples."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import ddjax
from ddjax import denoisers, mixtures, objectives, samplers, schedules, score_matching, training
from ddjax.types import Network

CONTRACT = """\
schedules.VariancePreserving(beta_min=0.1, beta_max=20.0)
schedules.VarianceExploding(sigma_min, sigma_max)
schedules.OrnsteinUhlenbeck(g)
schedules.with_rates(schedule, t)
schedules.logsnr(schedule, t)
times.uniform(key, n)
times.stratified(key, n)
times.logit_normal(mean, std)
times.power(exponent, *, base)
times.grid(n, kind)
times.drawn(law, key, x_0)
predictions.convert(schedule, x_t, t, value, *, source, target)
paths.interpolate(schedule, x_0, noise, t)
paths.prior(schedule, key, shape)
paths.bridge(schedule, x_0, x_t, t, s, *, churn=1.0)
weights.sigmoid(schedule, *, bias=0.0)
weights.snr(schedule)
weights.edm(schedule, *, data_std=0.5)
weights.variance(schedule)
weights.likelihood(schedule)
weights.on_scores(schedule, weight)
scoring.score(rho, samples, observation, lam=1.0)
scoring.energy_score(samples, observation, *, beta=1.0, lam=1.0)
scoring.kernel_score(samples, observation, *, kernel, lam=1.0)
scoring.crps(samples, observation, *, estimator=None, area=None)
scoring.imq(c)
scoring.rbf(bandwidth)
scoring.exponential(bandwidth)
scoring.Energy(beta=1.0, lam=1.0, *, estimator=None, scope="event", area=None)
scoring.KernelRule(kernel, lam=1.0, estimator=None, over=None, scope="event", area=None)
scoring.by_position(rule, area=None)
scoring.by_element(rule, area=None)
scoring.by_groups(rule, groups)
scoring.estimated(rule, estimator)
scoring.Patched(rule, size=3, wrap=())
scoring.Windows(size=3, wrap=())
scoring.Sum(parts)
scoring.scaled(weights)
scoring.pooling(size)
scoring.finite_differences(axis, *, wrap=False)
scoring.spectrum(image)
scoring.almost_fair(fairness=0.95)
transport.assignment(cost)
transport.wasserstein(x, y, *, p)
transport.sinkhorn_divergence(x, y, *, blur, solver, convention)
mixtures.GaussianMixture(weights, means, covs)
mixtures.GaussianMixture.sample(self, key, n)
mixtures.GaussianMixture.log_prob(self, x)
mixtures.GaussianMixture.diffuse(self, schedule, t)
mixtures.GaussianMixture.posterior(self, schedule, x_t, t)
mixtures.GaussianMixture.score(self, schedule, x_t, t)
mixtures.GaussianMixture.mean(self)
mixtures.GaussianMixture.given_class(self, classes, label)
mixtures.GaussianMixture.given_linear(self, matrix, y, noise)
mixtures.GaussianMixture.linear_log_prob(self, matrix, y, noise)
mixtures.oracle(mixture, schedule)
mixtures.mean_oracle(mixture, schedule)
denoisers.mean(network, schedule, *, predicts)
denoisers.distributional(network, schedule, *, predicts="x0")
denoisers.population(denoiser, params, key, x_t, t, cond, *, size)
denoisers.folded_population(denoiser, params, key, x_t, t, cond, *, size)
denoisers.guided(denoiser, weight, *, null, interval, shared_xi)
denoisers.bind(denoiser, params, cond)
denoisers.posterior(denoiser, params, x_t, t, cond=None)
denoisers.Posterior.sample(self, key, n)
denoisers.Posterior.mean(self, key, n)
denoisers.Posterior.cov(self, key, n)
objectives.distributional(denoiser, schedule, *, times, weight, score, size, population, references)
objectives.denoising(denoiser, schedule, *, times, weight)
objectives.flow_matching(velocity, schedule, *, times, weight, coupling, prior)
objectives.consistency(denoiser, schedule, *, times, gap=0.05, weight, huber=0.0)
objectives.mean_flow(average, schedule, *, times, equal, power=1.0, improved=False, prior)
objectives.condition_dropout(loss_fn, *, probability, null)
score_matching.explicit(score, truth, x)
score_matching.implicit(score, x, *, key=None, divergence)
score_matching.sliced(score, key, x, *, probes=1, reduced=False)
score_matching.denoising(score, schedule, key, x_0, t, *, weight)
score_matching.data_loss(objective, score)
score_matching.denoising_loss(score, schedule, *, times, weight=None)
score_matching.explicit_loss(score, truth, schedule, *, times, weight=None)
score_matching.implicit_loss(score, schedule, *, divergence, times, weight=None)
score_matching.sliced_loss(score, schedule, *, probes=1, reduced=False, times, weight=None)
score_matching.network_score(network, schedule, *, predicts="noise")
score_matching.mixture_score(mixture, schedule)
score_matching.bayes(score, log_likelihood, *, weight=1.0)
score_matching.class_likelihood(mixture, schedule, classes, label)
score_matching.linear_likelihood(mixture, schedule, matrix, y, noise)
couplings.independent(key, x_0, x_1, cond=None)
couplings.assignment(key, x_0, x_1, cond=None, *, cost)
couplings.sinkhorn(key, x_0, x_1, cond=None, *, cost, planner)
flows.velocity(denoise, schedule)
flows.network_velocity(network, schedule, *, predicts="velocity")
flows.integrate(field, key, x, *, cond=None, start=1.0, end=0.0, tolerance, max_steps)
flows.log_density(field, schedule, key, x_0, *, cond=None, divergence, start=0.0, tolerance, max_steps)
flows.average_velocity(network)
flows.jump(average, params, cond)
flows.straightness(path, times)
flows.path_length(path)
samplers.bridge(denoise, schedule, *, churn=1.0)
samplers.renoise(denoise, schedule)
samplers.conditioned(denoise, log_likelihood, *, draws=64, least=1.0, most=4096, y=None)
samplers.effective_draws(denoise, log_likelihood, key, x_t, t, *cond, draws=64, y=None)
samplers.effective_size(log_w)
samplers.plugged_in(denoise, log_likelihood, schedule, *, scale=1.0, y=None)
samplers.pseudoinverse_guided(denoise, matrix, schedule, *, y, noise, variance=1.0, scale=1.0)
samplers.particles(denoise, log_likelihood, schedule, key, x_1, times, *, draws=16, churn=1.0)
samplers.euler(denoise, schedule)
samplers.midpoint(denoise, schedule)
samplers.heun(denoise, schedule)
samplers.rk4(denoise, schedule)
samplers.sample(step, key, x_1, times)
samplers.sample_path(step, key, x_1, times)
samplers.sample_until(step, key, x_1, times)
sde.SDE(drift, diffusion)
sde.of_schedule(schedule)
sde.ornstein_uhlenbeck(g=1.0)
sde.reverse(sde, score, horizon)
sde.probability_flow(sde, score)
sde.simulate(sde, key, x, times, *, method="euler_maruyama", substeps=1)
sde.integrate(sde, key, x, *, start=0.0, end=1.0, tolerance=1e-3, max_steps=4096)
sde.fokker_planck_residual(sde, log_density, x, t)
sde.prior_gap(schedule, x_0, t=1.0)
training.make_train_step(loss_fn, optimizer, *, ema_decay, accumulate=1, other_decays)
training.may_scan(network)
metrics.mmd(x, y, *, kernel, estimator)
metrics.energy_distance(x, y, *, beta, estimator)
metrics.wasserstein(x, y, *, p)
metrics.sinkhorn_divergence(x, y, *, blur, solver, convention)
metrics.prdc(real, fake, *, k)
metrics.kde_nll(real, fake, *, bandwidth)
metrics.per_class(metric, real, real_labels, fake, fake_labels, *, classes)
metrics.floor(metric, sample, key, *, n, repeats)
metrics.frechet_distance(x, y)
metrics.cached_statistics(folder, name, points)
metrics.kernel_distance(x, y, key, *, block=1000)
metrics.nearest(points, data)
metrics.memorisation(samples, train, held_out)
metrics.rank_histogram(samples, observations, key, *, prerank=None, bins=None)
metrics.pit(samples, observations, key, *, prerank=None)
metrics.tarp(samples, observations, references)
metrics.spread_skill(samples, observations)
metrics.variogram_score(samples, observation, *, p=0.5, weights=None)
networks.mlp(size, *, width, depth, inject=0, classes=0, cond_size=0, time, residual, gate, dtype)
networks.unet(event_shape, *, width, depth, attention, heads, classes=0, cond_size=0, cond_channels=0, inject=0, dropout=0.0, \
dtype, remat, kernel="auto")
networks.dit(event_shape, *, patch, overlap=0, \
width, depth, heads, ratio, classes=0, cond_size=0, cond_channels=0, inject=0, dropout=0.0, dtype, remat, kernel="auto")
networks.labelled(network, classes)
networks.flattened(network, event_shape)
networks.from_mean(params, mean)
networks.save(path, params)
networks.load(path, like)
networks.from_nnx(make)
inflation.eigenbasis(data, *, least=0.0)
inflation.eigenbasis_of(mean, cov, *, least=0.0)
inflation.participation_ratio(cov)
inflation.participation(schedule, variances, times)
inflation.preserving(variances, *, rho=1.0, horizon=None, gamma=0.0)
inflation.reducing(variances, *, keep, growth, rho=1.0, horizon=None, gamma=0.0)
inflation.one_scale(variances)
inflation.horizon(*, rho=1.0, growth=1.0, ratio=1e3, gamma=0.0)
inflation.original(d, keep)
inflation.constant_gap(gap=1.0)
inflation.linear(n, *, last=0.0)
inflation.variance_preserving(n, *, beta_min=0.1, beta_max=20.0, last=0.0)
inflation.normal(mean=12.0, std=1.2, *, horizon)
inflation.preconditioned(network, preconditioning)
inflation.Anisotropic(schedule, variances)
inflation.EDM(schedule, variances)
inflation.EigenEDM(schedule, variances)
inflation.in_data_space(network, eigen)
inflation.on_data(loss_fn, eigen)
inflation.gaussian_oracle(variances, schedule)
inflation.mixture_oracle(mixture, schedule)
inflation.inflate(field, key, x_0, times, *, method)
inflation.generate(field, key, x_1, times, *, method)
inflation.inflate_path(field, key, x_0, times, *, every=1, method)
inflation.round_trip(field, key, x_0, times, *, send, method)
inflation.truncated(keep, *, fill=None)
inflation.analytic_prior(schedule, variances)
inflation.coverage(latents, prior, *, radii)
inflation.chi_coverage(d, *, radii)
inflation.process_states(schedule, key, x_0, times)
inflation.fresh_states(schedule, key, x_0, times)
inflation.outputs(denoise, key, states, times)
inflation.residuals(outputs, x_0)
inflation.innovations(outputs, x_0)
inflation.autocorrelation(values)
inflation.credible(field, key, cloud, times, *, level=0.9, stir=None, method)
inflation.stirred(prior, std)
inflation.ball(key, centre, radius, n, *, fill="ball")
inflation.distorted(push, cloud)
judging.calibration(denoiser, params, truth, schedule, key, at, *, n=2000, size=15)
judging.energy_gap(samples, exact, observations, *, beta=1.0)
""".splitlines()


def wanted(parameters):
    return inspect.signature(eval(f"lambda {parameters}: None")).parameters.values()


def assert_takes(function, parameters):
    found = inspect.signature(function).parameters
    assert [(p.name, p.kind) for p in found.values()] == [(p.name, p.kind) for p in wanted(parameters)]
    for parameter in wanted(parameters):
        if parameter.default is not inspect.Parameter.empty:
            assert found[parameter.name].default == parameter.default


@pytest.mark.parametrize("line", CONTRACT)
def test_contract(line):
    """Fails when an argument is renamed, moved or made keyword-only, or a stated default changes."""
    name, _, parameters = line.removesuffix(")").partition("(")
    room, *path = name.split(".")
    found = importlib.import_module(f"ddjax.{room}")
    for attribute in path:
        found = getattr(found, attribute)
    assert_takes(found, parameters)


def test_what_the_factories_return(skewed):
    """One signature each for denoisers, steps and losses, so that they can be exchanged."""
    schedule, network = schedules.Rectified(), Network(lambda key: None, lambda params, x_t, t, cond, xi: x_t)
    for denoiser in (
        denoisers.mean(network, schedule),
        denoisers.distributional(network, schedule),
        mixtures.oracle(skewed, schedule),
        mixtures.mean_oracle(skewed, schedule),
        denoisers.guided(lambda *_: None, 2.0, null=None),
        score_matching.network_score(network, schedule),
    ):
        assert [*inspect.signature(denoiser).parameters] == ["params", "key", "x_t", "t", "cond"]
    for make in (samplers.bridge, samplers.euler, samplers.midpoint, samplers.heun, samplers.rk4):
        assert_takes(make(lambda key, x_t, t: x_t, schedule), "key, x_t, t, s")
    for make in (
        objectives.distributional, objectives.denoising, objectives.flow_matching, score_matching.denoising_loss,
        score_matching.implicit_loss, score_matching.sliced_loss,
    ):  # fmt: skip
        assert_takes(make(lambda *_: None, schedule), "params, key, batch")
    assert_takes(score_matching.explicit_loss(lambda *_: None, lambda *_: None, schedule), "params, key, batch")
    assert_takes(score_matching.data_loss(lambda *_: None, lambda *_: None), "params, key, batch")
    for score in (
        score_matching.mixture_score(skewed, schedule),
        score_matching.bayes(lambda *_: None, lambda *_: None),
        score_matching.class_likelihood(skewed, schedule, np.arange(3), 0),
        score_matching.linear_likelihood(skewed, schedule, np.eye(3), np.ones(3), np.eye(3)),
    ):
        assert_takes(score, "x_t, t")


def test_fields_of_the_bundles():
    assert schedules.Scales._fields == ("alpha", "sigma")
    assert Network._fields == ("init", "apply", "convolutional")
    assert training.TrainState._fields == ("step", "params", "ema", "opt_state", "key", "others")


ROOT = Path(ddjax.__file__).parent
FILES = {
    ".".join(("ddjax", *path.relative_to(ROOT).with_suffix("").parts)): path for path in sorted(ROOT.rglob("*.py"))
}


def public(tree):
    """The public functions and classes of a file, and the public methods of those classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@pytest.mark.parametrize("name", FILES)
def test_everything_public_is_documented(name):
    """Module, functions, classes and methods; pytree hooks and magic methods explain themselves."""
    tree = ast.parse(FILES[name].read_text())
    silent = [node.name for node in public(tree) if not ast.get_docstring(node)]
    assert ast.get_docstring(tree)
    assert set(silent) <= {"tree_flatten", "tree_unflatten"}


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if ">>>" in path.read_text()])
def test_examples_in_docstrings_are_true(name):
    """Each `>>>` is run; none may be missed because a decorator hides its function."""
    module = importlib.import_module(name.removesuffix(".__init__"))
    members = [inspect.unwrap(member) for member in vars(module).values() if callable(member)]
    own = [member for member in members if getattr(member, "__module__", None) == module.__name__]
    runner, finder = doctest.DocTestRunner(), doctest.DocTestFinder(recurse=False)
    for thing in [module, *own]:
        for test in finder.find(thing, getattr(thing, "__name__", "?"), module=False, globs=dict(vars(module))):
            runner.run(test)
    assert runner.summarize().failed == 0
    assert runner.tries == FILES[name].read_text().count(">>>")


def test_rooms_are_imported_on_first_use():
    for room in ddjax.__all__:
        assert getattr(ddjax, room) is importlib.import_module(f"ddjax.{room}")
    with pytest.raises(AttributeError, match="utils"):
        _ = ddjax.utils
