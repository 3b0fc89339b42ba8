"""What lambda does: the spread that the loss implies, trained against the closed form.

For Gaussian data whose posterior has standard deviation S in every coordinate, the energy score with exponent beta and
interaction weight lam is least at a predicted standard deviation s with s^2 / S^2 = q / (2 - q), q = lam^(2 / (2 - beta)).
Only lam = 1 gives s = S.
"""

from dataclasses import dataclass

from experiments import cli


@dataclass(frozen=True)
class Config:
    """Train a two-parameter denoiser (shrinkage and spread) with the library's own loss for each (lam, beta), and print
    its relative spread beside the closed form. Exits 1 if any is off by more than 3 percent."""

    lam: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Interaction weights, above 0."""
    beta: tuple[float, ...] = (0.5, 1.0)
    """Exponents, in (0, 2)."""
    steps: int = 2000
    """Training steps for each pair."""
    batch: int = 2048
    """Examples for each step."""


def run(config: Config) -> None:
    """Train each pair, print the table."""
    if bad := [lam for lam in config.lam if not 0 < lam <= 1]:
        raise cli.UserError(f"--lam must lie in (0, 1], got {bad[0]}")
    if bad := [beta for beta in config.beta if not 0 < beta < 2]:
        raise cli.UserError(f"--beta must lie in (0, 2), got {bad[0]}")
    if config.steps < 1 or config.batch < 1:
        raise cli.UserError("--steps and --batch must be at least 1")
    from experiments.dispersion_law import exact, trained

    worst = 0.0
    print("| lam | beta | trained s/S | exact s/S | off by |\n|---|---|---|---|---|")
    for beta in config.beta:
        for lam in config.lam:
            found, law = trained(lam, beta, steps=config.steps, batch=config.batch), exact(lam, beta)
            worst = max(worst, abs(found / law - 1))
            print(f"| {lam:g} | {beta:g} | {found:.3f} | {law:.3f} | {100 * (found / law - 1):+.1f} % |", flush=True)
    raise SystemExit(int(worst > 0.03))


if __name__ == "__main__":
    cli.main(Config, run)
