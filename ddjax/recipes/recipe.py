"""What every kind of model has: a name, events, a network and an optimiser, and methods for what is made of them.

A kind of model is a class in a file of its own, `recipes.flow` for instance: fields for what it has, methods for its network, its
denoiser or velocity, its loss and its sampler. A class refuses fields that do not go together when it is made. Fields need no jax,
so that command lines answer without it; methods import it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ddjax.cli.settings import MAY_BE_EMPTY, MAY_REPEAT, Count, Decay, Positive
from ddjax.recipes.conditions import Condition, Labels, Numbers
from ddjax.recipes.networks import Kernel, Mlp, Network
from ddjax.recipes.optimizer import Optimizer
from ddjax.recipes.transport import Transport


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """A model of any kind as plain values."""

    name: str
    event_shape: Annotated[tuple[Count, ...], MAY_REPEAT]
    """[d] for vectors, [height, width, channels] for images."""
    network: Network = Mlp()
    optimizer: Optimizer = Optimizer()
    other_decays: Annotated[tuple[Decay, ...], MAY_BE_EMPTY] = ()
    """Decays of further averages, kept in the same training: each is judged, and can be sampled, as a model of its own."""

    condition: ClassVar[Condition | None] = None  # a field of the kinds that have one
    churns: ClassVar[bool] = False  # whether its sampler takes a churn, the noise of the bridge

    @property
    def labels(self) -> Labels | None:
        """The labels that it is conditioned on, None for none."""
        return self.condition if isinstance(self.condition, Labels) else None

    @property
    def classes(self) -> int:
        """How many labels it has, 0 for none."""
        return self.labels.classes if self.labels else 0

    @property
    def guidance(self) -> float:
        """Weight at which a saved model is sampled by default, 1 without labels."""
        return self.labels.guidance if self.labels else 1.0

    @property
    def cond_size(self) -> int:
        """Length of the vector that it is conditioned on, 0 for none."""
        return self.condition.cond_size if isinstance(self.condition, Numbers) else 0

    @abstractmethod
    def noise_schedule(self) -> Any:
        """The `types.Schedule` that it is trained and sampled on."""

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, with dropout for training alone; `kernel` is that of `networks.dit`."""
        sizes = {"classes": self.classes, "cond_size": self.cond_size}
        return self.network.make(self.event_shape, dropout=dropout, kernel=kernel, **sizes)

    @abstractmethod
    def predictor(self, network=None, *, kernel: Kernel = "auto") -> Any:
        """What it predicts with: a `types.Denoiser`, `types.Velocity` or `flows.AverageVelocity`.

        Args:
            network: its `types.Network`, `net(kernel=kernel)` where there is none.
        """

    @abstractmethod
    def loss(self, network) -> Any:
        """Its `types.LossFn`, of the network that is trained, `net(dropout=True)`."""

    @abstractmethod
    def sampler(self, *, path: bool = False, kernel: Kernel = "auto") -> Any:
        """Its `sampling.Sampler`; with `path` of every state, [steps + 1, n, *event] from x_1 to x_0."""

    def optimiser(self):
        """Its `optax.GradientTransformation`."""
        return self.optimizer.make()


@dataclass(frozen=True, kw_only=True)
class OnSchedule(Recipe):
    """A kind whose network predicts on a schedule, with or without a condition, and whose loss has a weight w(t)."""

    condition: Condition | None = None
    schedule: Literal["rectified", "ddpm"] = "rectified"
    """Straight lines, or the chain of 1,000 steps of DDPM."""
    predicts: Literal["x0", "velocity", "v", "noise"] = "velocity"
    """What the network outputs."""
    weight: Literal["uniform", "sigmoid", "snr"] = "uniform"
    """w(t) of the loss: sigmoid is sigmoid(logsnr - bias); under snr regression on x_0 is regression on the noise."""
    bias: float = 0.0
    """Shift of the sigmoid weight."""

    def __post_init__(self):
        if self.bias and self.weight != "sigmoid":
            raise ValueError(f"bias shifts the sigmoid weight alone, got bias={self.bias} with weight={self.weight}")

    def noise_schedule(self):
        """`schedules.Rectified` or `schedules.DDPM`."""
        return noise_schedule(self.schedule)

    def weighting(self):
        """w(t) of the loss."""
        from ddjax import weights

        if self.weight == "sigmoid":
            return weights.sigmoid(noise_schedule(self.schedule), bias=self.bias)
        return weights.snr(noise_schedule(self.schedule)) if self.weight == "snr" else weights.uniform

    def sampled_by(self, make, predictor, *, path: bool, **settings):
        """A sampler of `recipes.sampling`, with the label that stands for none."""
        null = self.classes or None
        return make(predictor, self.noise_schedule(), self.event_shape, null=null, path=path, **settings)


@dataclass(frozen=True, kw_only=True)
class Denoising(OnSchedule):
    """What distributional and regression models share: a denoiser trained on noisy examples, perhaps with transport beside
    its loss, and sampled by the bridge."""

    time_exponent: Positive = 1.0
    """Training times of the rectified schedule are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    transport: Transport | None = None

    churns: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        require_no_exponent(self.schedule, self.time_exponent)
        if self.transport and self.transport.within_classes and not self.labels:
            raise ValueError("transport within classes needs labels")

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, with a ratio beside the parameters where there is transport, whose features are convolutions."""
        return self.with_ratio(super().net(dropout=dropout, kernel=kernel))

    def with_ratio(self, network):
        """The network as transport trains it, unchanged without."""
        if self.transport is None:
            return network
        from ddjax import objectives

        convolutional = network.convolutional or bool(self.transport.features and self.transport.weight)
        return objectives.with_ratio(network._replace(convolutional=convolutional))

    def times(self):
        """The time distribution of the loss."""
        return training_times(self.schedule, self.time_exponent)

    def with_transport(self, loss_fn, denoiser):
        """The loss, with transport beside it where there is some."""
        if self.transport is None:
            return loss_fn
        schedule, times = self.noise_schedule(), self.times()
        return self.transport.beside(loss_fn, denoiser, schedule, times, classes=self.classes)

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """DDM Algorithm 2: the bridge of its denoiser."""
        from ddjax.recipes import sampling

        return self.sampled_by(sampling.by_bridge, self.predictor(kernel=kernel), path=path)

    def optimiser(self):
        """Its `optax.GradientTransformation`, which descends the ratio of transport too."""
        if self.transport is None:
            return super().optimiser()
        from ddjax import objectives

        return objectives.descend_ratio(super().optimiser())


def noise_schedule(name: Literal["rectified", "ddpm"]):
    """A schedule by its name."""
    from ddjax import schedules

    return {"rectified": schedules.Rectified, "ddpm": schedules.DDPM}[name]()


def training_times(schedule: Literal["rectified", "ddpm"], exponent: float):
    """The time distribution of a loss: u^exponent with stratified u, or the steps of the chain of DDPM."""
    from ddjax import schedules, times

    if schedule == "ddpm":
        return times.steps_of(schedules.DDPM().n)
    return times.power(exponent, base=times.stratified)


def require_no_exponent(schedule: Literal["rectified", "ddpm"], exponent: float) -> None:
    """Raises: ValueError for an exponent of the steps of a chain."""
    if schedule == "ddpm" and exponent != 1:
        raise ValueError(f"DDPM is trained on the steps of its chain, got time_exponent={exponent}")
