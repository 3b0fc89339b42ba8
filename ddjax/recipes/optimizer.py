"""How a model is optimised, as plain values."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Decay, NonNegative, Positive, Range


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW for so many steps, and the exponential moving average of the parameters that are sampled from."""

    steps: Count = 3000
    """Training steps."""
    learning_rate: Positive = 1e-3
    """Peak rate of AdamW."""
    warmup: Annotated[int, Range(0)] | None = None
    """Steps of warm-up, a tenth of all at the most, before a cosine decay to 1 percent; without a number the rate is constant."""
    clip: Positive | None = None
    """Largest norm of the gradient."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from, in [0, 1)."""

    def make(self):
        """The `optax.GradientTransformation`."""
        import optax

        rate = self.learning_rate
        if self.warmup is not None:
            warmup = min(self.warmup, self.steps // 10)
            rate = optax.warmup_cosine_decay_schedule(0.0, rate, warmup, self.steps, rate / 100)
        adam = optax.adamw(rate, weight_decay=self.weight_decay)
        return adam if self.clip is None else optax.chain(optax.clip_by_global_norm(self.clip), adam)
