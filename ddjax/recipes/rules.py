"""Scoring rules of a distributional model as plain values; `make` gives the `scoring.Rule` of the whole event."""

from dataclasses import dataclass
from typing import ClassVar

from ddjax.cli.settings import Exponent, NonNegative, Positive


@dataclass(frozen=True, kw_only=True)
class Energy:
    """The energy score, DDM eq. (14)."""

    beta: Exponent = 1.0
    """Exponent, in (0, 2]."""
    lam: NonNegative = 1.0
    """Weight of the interaction: 1 is the proper rule, below 1 the spread shrinks."""

    def make(self):
        """`scoring.Energy`."""
        from ddjax import scoring

        return scoring.Energy(self.beta, self.lam)


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """A kernel score."""

    bandwidth: Positive = 1.0
    """Of the kernel, in units of the data; the constant c of imq."""
    lam: NonNegative = 1.0
    """Weight of the interaction."""


class Imq(_Kernel):
    """The score of the inverse multiquadric kernel."""

    def make(self):
        """`scoring.KernelRule` of `scoring.imq`."""
        from ddjax import scoring

        return scoring.KernelRule(scoring.imq(self.bandwidth), self.lam)


class Rbf(_Kernel):
    """The score of the Gaussian kernel."""

    def make(self):
        """`scoring.KernelRule` of `scoring.rbf`."""
        from ddjax import scoring

        return scoring.KernelRule(scoring.rbf(self.bandwidth), self.lam)


class Exponential(_Kernel):
    """The score of the exponential kernel."""

    def make(self):
        """`scoring.KernelRule` of `scoring.exponential`."""
        from ddjax import scoring

        return scoring.KernelRule(scoring.exponential(self.bandwidth), self.lam)


@dataclass(frozen=True, kw_only=True)
class Iddm:
    """The energy score with exponent 2 - (2 - beta) t, interaction lam t and norms by position (iDDM, arXiv 2609.37147)."""

    beta: Exponent = 1.0
    """Exponent at t = 1, in (0, 2]; it is 2 at t = 0."""
    lam: NonNegative = 1.0
    """Weight of the interaction at t = 1; it is 0 at t = 0."""

    def make(self):
        """`scoring.Energy` with an exponent and an interaction of t."""
        from ddjax import scoring

        beta, lam = self.beta, self.lam
        return scoring.by_position(scoring.Energy(lambda t: 2 - (2 - beta) * t, lambda t: lam * t))


@dataclass(frozen=True, kw_only=True)
class Sddm:
    """t CRPS + (1 - t) squared error, by element (SDDM)."""

    lam: ClassVar[float] = 1.0  # of the CRPS

    def make(self):
        """A function (samples [m, *event], x_0 [*event], t) -> `scoring.Terms`."""
        import jax

        from ddjax import scoring

        crps, squared_error = (scoring.by_element(scoring.Energy(*rule)) for rule in ((1.0, 1.0), (2.0, 0.0)))

        def rule(samples, x_0, t):
            terms = crps(samples, x_0), squared_error(samples, x_0)
            return jax.tree.map(lambda a, b: t * a + (1 - t) * b, *terms)

        return rule


Rule = Energy | Imq | Rbf | Exponential | Iddm | Sddm
