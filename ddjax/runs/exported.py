"""What `ddjax export` writes, and drawing from it with jax alone.

    export.json           model, event shape, names of the classes, steps, churn, versions, and the settings of the run
    weights.safetensors   the averaged parameters by name: the archive, which any version of anything can read
    sampler-N.bin         N steps compiled for any batch on cpu, cuda and tpu (jax.export), where any were asked for
    SHA256SUMS            of the three kinds above; `sha256sum -c` reads it too

Samplers are deployment artefacts, with a window of versions: JAX keeps exported programs readable by later versions for six
months, and promises nothing to earlier ones. Beyond the window, export again from the run. A sampler is a program: checksums
show damage, not who wrote it; run those of people you trust.
"""

import hashlib
from pathlib import Path
from typing import Any

from ddjax.cli import UserError, documents

SUMS, ABOUT, WEIGHTS = "SHA256SUMS", "export.json", "weights.safetensors"
CALL = "weights, key, numbers of the samples"  # the arguments of a sampler


def sampler_file(steps: int) -> str:
    """The name of the sampler of so many steps."""
    return f"sampler-{steps}.bin"


def seal(folder: Path) -> None:
    """Write the checksums of all files."""
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def verify(folder: Path) -> None:
    """Raises: UserError for a folder that is not an export, or whose files are not those that were written."""
    try:
        lines = documents.text(folder / SUMS, 2**16).splitlines()
    except ValueError:
        raise UserError(f"{folder} is not an export: it has no readable {SUMS}") from None
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SUMS}
    for name in sorted(wanted.keys() | found.keys() | {ABOUT, WEIGHTS}):
        if name not in wanted or wanted[name] != found.get(name):
            raise UserError(f"{folder / name} is not what was exported (missing, truncated or altered): export again")


def about(folder: Path) -> dict[str, Any]:
    """What export.json says. Raises: UserError where it does not say what `draw` needs to know."""
    try:
        told = documents.json_settings(folder / ABOUT)
    except ValueError as error:
        raise UserError(f"cannot read {error}") from None
    kinds = {"steps": int, "shape": int, "churn": float, "calling_convention": int, "jax": str}
    for name, kind in kinds.items():
        values = told.get(name) if name in ("steps", "shape") else [told.get(name)]
        allowed = (int, float) if kind is float else (kind,)
        if not isinstance(values, list) or not all(type(value) in allowed for value in values):
            raise UserError(f"{folder / ABOUT} says no {name} that an export has: export again")
    if not isinstance(told.setdefault("key", "threefry2x32"), str):  # what exports that do not say were made with
        raise UserError(f"{folder / ABOUT} says no kind of random key: export again")
    names = told.setdefault("classes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{folder / ABOUT} says no names of classes: export again")
    return told


def classes(folder: Path) -> tuple[str, ...]:
    """The names of the classes that samples take in turns."""
    return tuple(about(folder)["classes"])


def has_samplers(folder: Path) -> bool:
    """Whether anything can be drawn without the network. Raises: as `verify` and `about`."""
    verify(folder)
    return bool(about(folder)["steps"])


def draw(
    folder: Path, n: int, *, steps: int, seed: int = 0, churn: float | None = None, chunk: int = 65_536
) -> tuple[float, Any]:
    """The churn that was exported, and n samples, as the live model draws them.

    Raises: UserError for a damaged export, steps or churn that it does not have, or one that this JAX cannot read or run.
    """
    verify(folder)
    told = about(folder)
    if steps not in told["steps"]:
        raise UserError(f"{folder} was exported for --steps {', '.join(map(str, told['steps']))}, got {steps}")
    if churn not in (None, told["churn"]):
        raise UserError(f"{folder} was exported for --churn {told['churn']:g}, got {churn:g}")
    if told.get("call") != CALL:
        raise UserError(
            f"{folder} was exported by a version whose samples depend on --chunk: export again with this one"
        )
    import jax
    import numpy as np

    sampler, arrays = read(folder, told, steps), jax.device_put(weights(folder))
    try:
        key = jax.random.key_data(jax.random.key(seed, impl=told["key"]))
    except ValueError:
        raise UserError(
            f"{folder} was exported with random keys of {told['key'][:40]!r}, which this JAX does not have"
        ) from None
    chunk = min(chunk, n)
    chunks = np.arange(-(-n // chunk) * chunk, dtype=np.int32).reshape(-1, chunk)
    program = _compiled(sampler, (arrays, key, chunks[0]), tuple(told["shape"]), folder / sampler_file(steps))
    return told["churn"], np.concatenate([np.asarray(program(arrays, key, numbers)) for numbers in chunks])[:n]


def weights(folder: Path) -> dict[str, Any]:
    """The exported parameters. Raises: UserError for a file that is none of finite numbers."""
    import numpy as np
    import safetensors.numpy

    try:
        arrays = safetensors.numpy.load_file(folder / WEIGHTS)
    except Exception as error:  # its own class, and what numpy says to dtypes that it does not have
        raise UserError(f"cannot read {folder / WEIGHTS}: {_told(error)}") from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"{folder / WEIGHTS} holds numbers that are not finite in {name!r}")
    return arrays


def read(folder: Path, told: dict[str, Any], steps: int) -> Any:
    """The sampler of so many steps, a `jax.export.Exported`.

    Raises: UserError for a program of another JAX that this one cannot read, naming both.
    """
    import jax
    from jax import export

    versions = f"it was exported by JAX {told['jax'][:20]}, this is JAX {jax.__version__}"
    oldest, newest = (
        export.minimum_supported_calling_convention_version,
        export.maximum_supported_calling_convention_version,
    )
    if not oldest <= told["calling_convention"] <= newest:
        raise UserError(f"cannot read {folder}: {versions}. Install that JAX, or export again with this one")
    try:
        return export.deserialize(bytearray((folder / sampler_file(steps)).read_bytes()))
    except Exception as error:  # whatever another version's bytes do to this one's reader
        raise UserError(
            f"cannot read {folder}: {versions} ({_told(error)}). Install that JAX, or export again"
        ) from None


def _compiled(sampler: Any, arguments: Any, shape: tuple[int, ...], file: Path) -> Any:
    """The sampler for arguments like these. Raises: UserError for one that does not take them or give such samples."""
    import jax

    try:
        lowered = jax.jit(sampler.call).lower(*arguments)
        program = lowered.compile()
    except Exception as error:  # of shapes, of names, of platforms, of bytes that are no program
        raise UserError(f"{file} cannot be run: {_told(error)}. Export again") from None
    if getattr(lowered.out_info, "shape", None) != (len(arguments[-1]), *shape):
        raise UserError(f"{file} does not give samples of the shape {list(shape)} that {ABOUT} tells: export again")
    return program


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
