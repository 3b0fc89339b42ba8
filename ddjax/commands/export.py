"""Export a trained model: weights as safetensors, settings as JSON, and samplers that run without flax or the run."""

import json
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from ddjax import cli, runs
from ddjax.cli import documents
from ddjax.cli.settings import MAY_BE_EMPTY, FolderToRead, FolderToWrite, Fraction, Steps
from ddjax.commands import sample
from ddjax.files import new_folder
from ddjax.runs import exported

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class Config:
    """Export a model that an experiment trained: weights.safetensors, export.json, one sampler for each number of steps and
    SHA256SUMS. Samplers take any batch, on CPU, NVIDIA GPU or TPU; `ddjax sample --exported` runs them. Of a
    model with classes, sample i has class i modulo their number, and guidance is the run's (the first of several).

    Example: ddjax export runs/short --out exported
    """

    run: FolderToRead
    """Folder of the run, with its config.yaml and checkpoints."""
    out: FolderToWrite | None = None
    """Folder to write, new (default: export/MODEL in the run)."""
    steps: Annotated[tuple[Steps, ...], MAY_BE_EMPTY] = (1, 4)
    """Numbers of sampling steps, a sampler for each; none leaves weights and settings alone, from which this package draws in any
    number of steps, beyond the window in which JAX reads a sampler."""
    churn: Fraction | None = None
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM (default: 1); flows have none."""
    model: str | None = None
    """Which trained model of the run, for instance ddm-beta1-seed0 (default: the first)."""


def run(config: Config) -> None:
    """Load, lower, write all or nothing."""
    from ddjax.runs import saved

    trained = saved.load(config.run, config.model)
    config = replace(config, churn=sample.churn_of(trained, config.churn))
    out = config.out or config.run / "export" / trained.job
    if os.path.lexists(out):
        raise cli.UserError(f"{out} already exists: take another --out, or remove it")
    with new_folder(out) as draft:
        write(draft, config, trained)
        exported.seal(draft)
    size = sum(path.stat().st_size for path in out.iterdir())
    in_steps = f" in {', '.join(map(str, config.steps))} steps for {', '.join(PLATFORMS)}" if config.steps else ""
    print(cli.shown(f"{trained.job}{in_steps}: {out} ({size:,} bytes)"))


def write(folder: Path, config: Config, trained: Any) -> None:
    """Every file but the checksums."""
    import jax
    from jax import export

    from ddjax.networks import weights

    newest = export.maximum_supported_calling_convention_version
    weights.save(folder / exported.WEIGHTS, trained.params)
    programs = [lowered(trained, steps, config.churn, folder) for steps in config.steps]
    for steps, program in zip(config.steps, programs, strict=True):
        (folder / exported.sampler_file(steps)).write_bytes(program.serialize())
    about = {
        "model": trained.job,
        "shape": list(trained.recipe.event_shape),
        "classes": list(trained.classes),
        "steps": list(config.steps),
        "churn": config.churn,
        "platforms": list(PLATFORMS),
        "key": str(jax.random.key_impl(jax.random.key(0))),
        "jax": jax.__version__,
        "call": exported.CALL,
        "calling_convention": programs[0].calling_convention_version if programs else newest,
        "run": runs.read_settings(config.run),
        **measured(config.run, trained.recipe.name),
    }
    (folder / exported.ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def measured(run: Path, name: str) -> dict[str, Any]:
    """Numbers of a model and their provenance, of a run that was judged; its name may go on with the target."""
    file = run / "summary.json"
    if not file.is_file():
        return {}
    summary = documents.json_settings(file)
    rows = [row for row in summary.get("numbers", []) if name == row["model"] or name.startswith(f"{row['model']} on ")]
    return {"numbers": rows, "provenance": summary.get("provenance", {})}


def lowered(trained: Any, steps: int, churn: float, folder: Path) -> Any:
    """sampler(weights by name, uint32 data of a key, int32[b]) -> [b, *event], for any b >= 1, as a `jax.export.Exported`.

    The integers are the numbers i of the samples, each with the key and class of draw i of `samplers.in_chunks`.
    """
    import jax
    import jax.numpy as jnp
    from jax import export

    from ddjax.networks import weights

    arrays = weights.read(folder / exported.WEIGHTS)
    draw = partial(trained.sample, steps=steps, churn=churn)

    def sampler(arrays: dict[str, jax.Array], data: jax.Array, index: jax.Array) -> jax.Array:
        params, key = weights.restored(arrays, trained.params), jax.random.wrap_key_data(data)

        def one(i: jax.Array) -> jax.Array:
            label = (i[None] % trained.recipe.classes,) if trained.recipe.classes else ()
            return draw(params, jax.random.fold_in(key, i), 1, *label)[0]

        return jax.vmap(one)(index)

    data = jax.random.key_data(jax.random.key(0))
    wanted = [jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree) for tree in (arrays, data)]
    index = jax.ShapeDtypeStruct(export.symbolic_shape("b"), jnp.int32)
    with jax.debug_key_reuse(False):  # where it is on, it takes the keys split in a symbolic batch for one
        return export.export(jax.jit(sampler), platforms=PLATFORMS)(*wanted, index)
