"""What a model is conditioned on, as plain values."""

from dataclasses import dataclass

from ddjax.cli.settings import Count, Fraction


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels 0 .. classes - 1, some of them hidden while training."""

    classes: Count
    """How many."""
    label_dropout: Fraction = 0.0
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Weight w at which a saved model is sampled by default: 1 is conditional, above it pulls towards the class."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A vector of real numbers."""

    cond_size: Count
    """Its length."""


Condition = Labels | Numbers
