"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import FolderToRead, Range, Steps
from experiments.common.settings import Study


@dataclass(frozen=True)
class Config(Study):
    """Sample a trained class-conditional image model under classifier-free guidance, and judge every way to guide.

    By weight w, with one xi for both branches or one for each, at all times or in an interval of them. The tables and
    the figure say what that buys and costs at each number of steps.

    Example: python -m experiments.guidance --run runs/images/glyphs
    """

    run: FolderToRead | None = None
    """Folder of a run of `experiments.images`; without one, the pretrained digits."""
    model: str | None = None
    """Which trained model of the run, for instance ddm-beta-1-seed0 (default: the first)."""
    weights: tuple[Annotated[float, Range(0, 100)], ...] = (1.0, 1.5, 2.0, 3.0, 5.0)
    """Weights w: 1 is the condition as it is."""
    nfe: tuple[Steps, ...] = (1, 2, 4)
    """Numbers of sampling steps."""
    interval: tuple[Annotated[float, Range(0, 1)], Annotated[float, Range(0, 1)]] = (0.2, 0.8)
    """Times (low, high) at which the guidance of the third kind of rows acts."""
    samples: Annotated[int, Range(100)] = 2000
    """Samples for each judged number, and held-out images."""

    def check(self) -> None:
        """Raises: UserError for an interval that is none, or a model of no run."""
        if self.interval[0] >= self.interval[1]:
            raise cli.UserError(f"--interval is low and high, got {self.interval[0]:g} {self.interval[1]:g}")
        if self.run is None and self.model is not None:
            raise cli.UserError("--model belongs to --run")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers in memory at once."""
        return {("samples",): 64 * self.samples}
