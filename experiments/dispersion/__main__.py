"""What lambda does: the spread that the loss implies, trained against the closed form.

For Gaussian data whose posterior has standard deviation S in every coordinate, the energy score with exponent beta and
interaction weight lam is least at a predicted standard deviation s with s^2 / S^2 = q / (2 - q), q = lam^(2 / (2 - beta)).
Only lam = 1 gives s = S.
"""

from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Count, Range


@dataclass(frozen=True)
class Config:
    """Train a two-parameter denoiser (shrinkage and spread) with the library's own loss for each (lam, beta), and print
    its relative spread beside the closed form. Exits 1 if any is off by more than 3 percent.

    Example: python -m experiments.dispersion --lam 0.5 1 --beta 1
    """

    lam: tuple[Annotated[float, Range(0, 1, "(]")], ...] = (0.25, 0.5, 1.0)
    """Interaction weights."""
    beta: tuple[Annotated[float, Range(0, 2, "()")], ...] = (0.5, 1.0)
    """Exponents of the energy score."""
    steps: Count = 2000
    """Training steps for each pair."""
    batch: Count = 2048
    """Examples for each step."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return {("batch",): 2 * self.batch}


def run(config: Config) -> None:
    """Train each pair, print the table."""
    from ddjax import judging
    from experiments.common.dispersion_law import exact, trained

    worst, lines = 0.0, []
    for beta in config.beta:
        for lam in config.lam:
            found, law = trained(lam, beta, steps=config.steps, batch=config.batch), exact(lam, beta)
            worst = max(worst, abs(found / law - 1))
            lines.append([f"{lam:g}", f"{beta:g}", f"{found:.3f}", f"{law:.3f}", f"{100 * (found / law - 1):+.1f} %"])
    print(judging.markdown(["lam", "beta", "trained s/S", "exact s/S", "off by"], lines))
    if worst > 0.03:
        raise SystemExit(f"error: a trained spread is off by {100 * worst:.1f} %, more than 3 %")


if __name__ == "__main__":
    cli.main(Config, run)
