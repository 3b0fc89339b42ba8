"""Distances and scores by the libraries that a user would take instead: geomloss, POT, scoringrules, and plain torch."""

from functools import partial
from typing import Any

import numpy as np
import torch

from experiments.benchmark import distances, torch_side
from experiments.benchmark.side import Side, Work
from experiments.benchmark.torch_side import DEVICE


def make(method: str, sizes: dict[str, list[int]]) -> Side:
    """`method` at every size, {label: [n, d] or [n, m, d]}."""
    values, equal = distances.remembered(
        {label: partial(METHODS[method], *given(size)) for label, size in sizes.items()}
    )
    work = {label: Work(torch_side.synchronised(value)) for label, value in values.items()}
    return Side(work, equal, torch_side.device(), torch_side.memory_mb, torch_side.matmul)


def given(size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The arrays of a size."""
    made = distances.samples(*size) if len(size) == 2 else distances.forecasts(*size)
    return torch.from_numpy(made[0]).to(DEVICE), torch.from_numpy(made[1]).to(DEVICE)


def geomloss_sinkhorn(x: torch.Tensor, y: torch.Tensor) -> Any:
    """geomloss at scaling .99: its default of .5 is some percent off."""
    import geomloss

    backend = {"backend": "tensorized"}
    return geomloss.SamplesLoss("sinkhorn", p=2, blur=distances.BLUR, scaling=0.99, **backend)(x, y)


def geomloss_gradient(x: torch.Tensor, y: torch.Tensor) -> Any:
    """geomloss at scaling .99, once the gradient in x is there."""
    import geomloss

    x = x.clone().requires_grad_()
    options = {"blur": distances.WIDE_BLUR, "scaling": 0.99, "backend": "tensorized"}
    value = geomloss.SamplesLoss("sinkhorn", p=2, **options)(x, y)
    value.backward()
    return value.detach()


def pot_sinkhorn(x: torch.Tensor, y: torch.Tensor) -> Any:
    """POT's divergence with cost ||x - y||^2, halved to the convention of geomloss.

    POT takes plan costs without entropy in the place of dual values, which is another number: so the three plans' dual values
    are put together here, with POT's own log-domain solver.
    """
    import ot

    def value(a: torch.Tensor, b: torch.Tensor) -> float:
        cost = (torch.cdist(a.double(), b.double()) ** 2 / 2).cpu().numpy()
        masses = np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b))
        options = {"method": "sinkhorn_log", "numItermax": 20_000, "stopThr": 1e-6, "log": True}
        _, log = ot.sinkhorn(*masses, cost, distances.BLUR**2, **options)
        f, g = (distances.BLUR**2 * (log[name] - np.log(1 / len(a))) for name in ("log_u", "log_v"))
        return float(f @ masses[0] + g @ masses[1])

    return value(x, y) - value(x, x) / 2 - value(y, y) / 2


def pot_exact(x: torch.Tensor, y: torch.Tensor) -> Any:
    """W_2 by POT's network simplex."""
    import ot

    cost = (torch.cdist(x, y) ** 2).cpu().numpy().astype(np.float64)
    return ot.emd2([], [], cost, numItermax=10_000_000) ** 0.5


def torch_mmd(x: torch.Tensor, y: torch.Tensor) -> Any:
    """The U-statistic with whole matrices, as the public reimplementation has it."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / 2)

    n = len(x)
    within = sum((kernel(a, a).sum() - n) / (n * (n - 1)) for a in (x, y))
    return within - 2 * kernel(x, y).mean()


def scoringrules_energy(draws: torch.Tensor, observed: torch.Tensor) -> Any:
    """Mean fair energy score by scoringrules, its NumPy (Numba where installed) backend."""
    import scoringrules

    return scoringrules.es_ensemble(observed.cpu().numpy(), draws.cpu().numpy(), estimator="fair").mean()  # pyright: ignore[reportAttributeAccessIssue]


def scoringrules_crps(draws: torch.Tensor, observed: torch.Tensor) -> Any:
    """Mean fair CRPS by scoringrules."""
    import scoringrules

    return scoringrules.crps_ensemble(observed.cpu().numpy(), draws.cpu().numpy(), m_axis=1, estimator="fair").mean()  # pyright: ignore[reportAttributeAccessIssue]


METHODS = {
    "geomloss": geomloss_sinkhorn,
    "geomloss gradient": geomloss_gradient,
    "POT sinkhorn": pot_sinkhorn,
    "POT exact": pot_exact,
    "mmd": torch_mmd,
    "energy": scoringrules_energy,
    "crps": scoringrules_crps,
}
