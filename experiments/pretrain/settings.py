"""Settings."""

from dataclasses import dataclass

from ddjax import cli
from ddjax.cli.settings import FolderToRead


@dataclass(frozen=True)
class Config:
    """Put a trained model into the package, or, without --run, write docs/pretrained.md of those that are there.

    Example: python -m experiments.pretrain --run runs/two_gaussians/demo --name two_gaussians
    """

    run: FolderToRead | None = None
    """Folder of the run, judged."""
    name: str | None = None
    """What the model is called."""
    model: str | None = None
    """Which trained model of the run (default: the first)."""

    def check(self) -> None:
        """Raises: UserError for a run without a name, or a name without a run."""
        if (self.run is None) != (self.name is None):
            raise cli.UserError("--run and --name go together")
