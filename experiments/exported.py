"""What `experiments.export` writes, and drawing from it with jax alone.

    export.json           model, event shape, names of the classes, steps, churn, versions, and the settings of the run
    weights.safetensors   the averaged parameters by name: the archive, which any version of anything can read
    sampler-N.bin         N steps compiled for any batch on cpu, cuda and tpu (jax.export)
    SHA256SUMS            of the three kinds above; `sha256sum -c` reads it too

Samplers are deployment artefacts, with a window of versions: JAX keeps exported programs readable by later versions for six
months, and promises nothing to earlier ones. Beyond the window, export again from the run.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from experiments.cli import UserError

SUMS, ABOUT, WEIGHTS = "SHA256SUMS", "export.json", "weights.safetensors"


def sampler_file(steps: int) -> str:
    """The name of the sampler of so many steps."""
    return f"sampler-{steps}.bin"


def seal(folder: Path) -> None:
    """Write the checksums of all files."""
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))


def verify(folder: Path) -> None:
    """Raises: UserError for a folder that is not an export, or whose files are not those that were written."""
    try:
        lines = (folder / SUMS).read_bytes().decode(errors="replace").splitlines()
    except OSError:
        raise UserError(f"{folder} is not an export: it has no readable {SUMS}") from None
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SUMS}
    for name in sorted(wanted.keys() | found.keys() | {ABOUT, WEIGHTS}):
        if name not in wanted or wanted[name] != found.get(name):
            raise UserError(f"{folder / name} is not what was exported (missing, truncated or altered): export again")


def draw(config: Any) -> tuple[float, Any]:
    """The churn that was exported, and config.n samples, as the live model draws them.

    Raises: UserError for a damaged export, steps or churn that it does not have, or one that this JAX cannot read.
    """
    folder = config.exported
    verify(folder)
    about = json.loads((folder / ABOUT).read_text())
    if config.steps not in about["steps"]:
        raise UserError(f"{folder} was exported for --steps {', '.join(map(str, about['steps']))}, got {config.steps}")
    if config.churn not in (None, about["churn"]):
        raise UserError(f"{folder} was exported for --churn {about['churn']:g}, got {config.churn:g}")
    import jax
    import numpy as np
    import safetensors.numpy

    sampler = read(folder, about, config.steps)
    weights = jax.device_put(safetensors.numpy.load_file(folder / WEIGHTS))
    chunk = min(config.chunk, config.n)
    keys = jax.random.split(jax.random.key(config.seed), -(-config.n // chunk))
    index = np.arange(chunk, dtype=np.int32)
    parts = [np.asarray(sampler.call(weights, key, index)) for key in jax.random.key_data(keys)]
    return about["churn"], np.concatenate(parts)[: config.n]


def classes(folder: Path) -> tuple[str, ...]:
    """The names of the classes that samples take in turns."""
    return tuple(json.loads((folder / ABOUT).read_text()).get("classes", ()))


def read(folder: Path, about: dict[str, Any], steps: int) -> Any:
    """The sampler of so many steps, a `jax.export.Exported`.

    Raises: UserError for a program of another JAX that this one cannot read, naming both.
    """
    import jax
    from jax import export

    versions = f"it was exported by JAX {about['jax']}, this is JAX {jax.__version__}"
    oldest, newest = (
        export.minimum_supported_calling_convention_version,
        export.maximum_supported_calling_convention_version,
    )
    if not oldest <= about["calling_convention"] <= newest:
        raise UserError(f"cannot read {folder}: {versions}. Install that JAX, or export again with this one")
    try:
        return export.deserialize(bytearray((folder / sampler_file(steps)).read_bytes()))
    except Exception as error:  # whatever another version's bytes do to this one's reader
        told = " ".join(str(error).split())[:200]
        raise UserError(f"cannot read {folder}: {versions} ({told}). Install that JAX, or export again") from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
