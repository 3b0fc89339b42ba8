"""ddjax: distributional diffusion models in JAX.

The rooms, from the ground up, each with what is most used of it; `help(ddjax.samplers)` tells the rest.

    schedules       t -> (alpha, sigma)                  Rectified Cosine VariancePreserving VarianceExploding logsnr
    times           laws of training times, grids        uniform logit_normal power grid
    scoring         scoring rules of draws               Energy KernelRule Sum energy_score kernel_score crps
    transport       optimal transport                    assignment wasserstein sinkhorn_divergence
    predictions     x0, noise, v, velocity, score        convert
    paths           the way to noise, the bridge back    interpolate bridge
    couplings       which noise meets which example      independent assignment sinkhorn
    weights         w(t) of a loss                       uniform snr sigmoid edm
    mixtures        exact Gaussian mixtures              GaussianMixture oracle mean_oracle
    metrics         distances with floors, calibration   mmd wasserstein frechet_distance prdc floor rank_histogram
    data            toy laws and sets of images          load batches toys
    denoisers       one draw of x_0 given x_t            mean distributional population posterior guided bind
    networks        pairs (init, apply)                  mlp unet dit from_nnx
    flows           velocities and their solutions       velocity integrate log_density
    objectives      loss_fn(params, key, batch)          distributional denoising flow_matching consistency mean_flow
    score_matching  losses of scores                     explicit implicit sliced denoising
    samplers        step(key, x_t, t, s), and the loop   bridge renoise euler heun sample conditioned
    sde             stochastic differential equations    SDE of_schedule reverse simulate
    training        state, step, loop                    TrainState make_train_step fit
    inflation       inflationary flows                   preserving reducing inflate generate participation_ratio
    recipes         models as plain values               Recipe build read
    judging         sweeps, numbers, tables              sweep calibration gap_closed
    targets         laws to train on                     two_gaussians skewed
    cli             command lines from dataclasses       main parse
    runs            folders of runs                      open_run read_metrics provenance

The paper (DDM: De Bortoli et al., arXiv 2502.02483) is in these files:

    the bridge, DDM eq. (4)                   ddjax/paths.py                     bridge
    the scores, DDM eq. (8)-(13)              ddjax/scoring/scores.py            score energy_score kernel_score
    the loss, DDM eq. (14), Algorithm 1       ddjax/objectives/scoring_rules.py  distributional
    a step of the sampler, Algorithm 2        ddjax/samplers/kernels.py          bridge
    the loop over steps, Algorithm 2          ddjax/samplers/walks.py            sample

Its relatives: flow matching in objectives/flows.py, consistency training and mean flows in objectives/few_steps.py, the Sinkhorn
divergence in transport/divergence.py. Each package is imported on first use, so that `import ddjax` costs nothing. Arrays are
[batch, *event], times [batch] in [0, 1] with data at 0 and noise at 1; arguments stand in the order (params, key, arrays, *,
settings).
"""

import importlib

__version__ = "0.4.0"
__all__ = [  # noqa: RUF022 (in the order of the rooms, not of the alphabet)
    "schedules", "times", "scoring", "transport",
    "predictions", "paths", "couplings", "weights", "mixtures", "metrics", "data",
    "denoisers", "networks", "flows",
    "objectives", "score_matching", "samplers", "sde", "training",
    "inflation",
    "recipes", "judging", "targets",
    "cli", "runs",
]  # fmt: skip


def __getattr__(name: str):
    """Import a room on first use, so that `import ddjax` costs nothing."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The rooms too, before they are imported."""
    return sorted({*globals(), *__all__})
