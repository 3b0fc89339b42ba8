"""Flow matching on the paths of inflationary flows."""

import time
from typing import Any

import jax

from ddjax import couplings
from experiments.anisotropic_flow import evaluate as velocity_judges
from experiments.anisotropic_flow import report as velocity_pages
from experiments.anisotropic_flow.settings import Config
from experiments.common import exact_flows, study

TARGET = 0.1
INDEPENDENT = "independent"


def run(config: Config) -> None:
    """Train, compare, write."""
    began = time.monotonic()
    folder = study.folder(config, "anisotropic_flow")
    law = exact_flows.moons(noise=config.noise)
    made = {"preserving": exact_flows.preserving(law), "reducing": exact_flows.reducing(law, keep=1)}
    found = {}
    for name, key in zip(made, jax.random.split(jax.random.key(config.seed), len(made)), strict=True):
        found[name] = compared(config, made[name], key)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    worst = max(of[INDEPENDENT]["overall"] for of in found.values())
    study.write(folder, "anisotropic_flow", config, velocity_pages.findings(found, INDEPENDENT, TARGET), began)
    if not worst < TARGET:
        raise SystemExit(f"error: the relative error of independent pairs is {worst:.3f}, not below {TARGET:g}")


def compared(config: Config, flow: Any, key: Any) -> dict[str, dict[str, Any]]:
    """By coupling: errors by time and overall, the spread of the path, and the distance of generated points with its floor."""
    pairs = {
        INDEPENDENT: couplings.independent,
        config.coupling: velocity_judges.transported(flow, getattr(couplings, config.coupling)),
    }
    how = {"width": config.width, "learning_rate": config.learning_rate}
    _, velocity = velocity_judges.learned(flow, config.width)
    found = {}
    for (name, coupling), key_of_one in zip(pairs.items(), jax.random.split(key, len(pairs)), strict=True):
        key_train, key_errors, key_overall, key_spread, key_distance = jax.random.split(key_of_one, 5)
        alone = name == INDEPENDENT
        batch, steps = (config.batch, config.steps) if alone else (config.coupled, config.coupled_steps)
        params = velocity_judges.trained(flow, coupling, key_train, batch=batch, steps=steps, **how)
        by_time = velocity_judges.errors(flow, velocity, params, key_errors, n=config.n)
        distance, floor = velocity_judges.distance(
            flow, velocity, params, key_distance, n=config.n, steps=config.flow_steps
        )
        found[name] = {
            "by_time": by_time.relative().tolist(),
            "size": by_time.size.tolist(),
            "overall": velocity_judges.overall(flow, velocity, params, key_overall, n=config.n),
            "spread": velocity_judges.spread(flow, coupling, key_spread, batch=batch).tolist(),
            "mmd2": distance,
            "floor": [float(floor.mean), float(floor.std)],
        }
    return found
