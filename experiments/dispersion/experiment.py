"""The spread that lam and beta imply."""

from experiments.dispersion.settings import Config


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
