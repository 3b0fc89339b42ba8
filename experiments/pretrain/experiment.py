"""The models that come with the package."""

import tempfile
from pathlib import Path
from typing import Any

from ddjax import cli, judging, runs
from ddjax.data import digits
from ddjax.recipes import Distributional, Energy
from ddjax.runs import pretrained
from experiments.pretrain.settings import Config

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pretrained.md"
LARGEST = 2_000_000  # bytes of a model
SHOWN = {
    "w1 moons": "W₁ in units of spread, blocks of 1,000 points",
    "mmd2": "MMD², Gaussian kernel of bandwidth 1, U-statistic",
    "frechet features": "Fréchet distance in features of a small classifier",
    "recall features": "recall in the same features",
    "class accuracy": "class accuracy: share of samples that the classifier assigns to their class",
}
HEAD = """# Models that come with the package

Small trained models, which an installed package samples at once in any number of steps, by `ddjax sample` or
`pretrained.load`: weights as safetensors, the recipe of their network, and the numbers of their training run. No file is
unpickled.

```bash
ddjax sample --pretrained digits --n 100 --steps 4 --out digits.npz
```

```python
import jax
from ddjax.runs import pretrained

model = pretrained.load("two_gaussians")
x_0 = model.sample(model.params, jax.random.key(0), 1000, steps=4, churn=1.0)
print(x_0.shape)
```

`SHA256SUMS` is checked when the weights are loaded; `export.json` has all numbers and settings of the run.
`python -m experiments.pretrain` adds the model of a run to the package, and writes this page.
"""


def put(run: Path, name: str, model: str | None = None) -> None:
    """Export over what was there. Raises: UserError for a run without numbers, or a model that is too large."""
    from ddjax.commands import export

    if not (run / "summary.json").is_file():
        raise cli.UserError(f"{run} has no summary.json: a model comes with its numbers")
    out = pretrained.FOLDER / name
    with tempfile.TemporaryDirectory(dir=pretrained.FOLDER) as scratch:
        fresh = Path(scratch, name)
        export.run(export.Config(run, fresh, steps=(), model=model))
        size = sum(path.stat().st_size for path in fresh.iterdir())
        if size > LARGEST:
            raise cli.UserError(f"the model of {run} has {size:,} bytes, of {LARGEST:,} at most: train a smaller net")
        if out.exists():
            out.rename(Path(scratch, "before"))
        fresh.rename(out)


def page() -> str:
    """docs/pretrained.md."""
    return "\n".join([HEAD, *(section(name) for name in pretrained.names())])


def section(name: str) -> str:
    """Of one model: what it is, the command behind it, the first of its sums, and its numbers."""
    about: dict[str, Any] = pretrained.about(name)
    recipe, folder = pretrained.load(name).recipe, pretrained.folder(name)
    if not (isinstance(recipe, Distributional) and isinstance(recipe.rule, Energy)):
        raise ValueError(f"{name} is no distributional model of the energy score, which the page is about")
    network, rule = (type(value).__name__.lower() for value in (recipe.network, recipe.rule))
    size = sum(path.stat().st_size for path in folder.iterdir())
    digest = next(
        line
        for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
        if line.endswith("safetensors")
    )
    facts = [
        ["network", f"{network}, {recipe.network.depth} layers of {recipe.network.width}, predicts {recipe.predicts}"],
        [
            "objective",
            f"distributional, {rule}, beta {recipe.rule.beta:g}, m = {recipe.population}, {recipe.optimizer.steps:,} steps",
        ],
        ["data", digits.ATTRIBUTION if recipe.classes else "drawn from a formula"],
        ["trained by", f"`{about['provenance']['command']}` (commit {about['provenance']['commit']})"],
        ["size", f"{size:,} bytes; SHA-256 of the weights {digest[:16]}…"],
    ]
    numbers = [judging.Number(**row) for row in about["numbers"]]
    tables = [
        f"{SHOWN[n]}\n\n{judging.table(numbers, n)}" for n in SHOWN if any(number.metric == n for number in numbers)
    ]
    return "\n\n".join([f"\n## {name}", judging.markdown(["property", "value"], facts), *tables])


def run(config: Config) -> None:
    """Put, tell."""
    if config.run is not None and config.name is not None:
        put(config.run, config.name, config.model)
    runs.write_atomically(PAGE, page())
    print(f"{PAGE} made")
