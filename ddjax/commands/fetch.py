"""Download a public set of images, once and completely."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import tyro

from ddjax import cli
from ddjax.cli.settings import FolderToWrite
from ddjax.downloads import Remote, download


class Set(NamedTuple):
    """Where a set is published, and the files it has there."""

    base_url: str
    files: tuple[Remote, ...]


SETS = {
    "mnist": Set(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            Remote("train-images-idx3-ubyte.gz", 9_912_422, "md5", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            Remote("train-labels-idx1-ubyte.gz", 28_881, "md5", "d53e105ee54ea40749a09fcbcd1e9432"),
            Remote("t10k-images-idx3-ubyte.gz", 1_648_877, "md5", "9fb629c4189551a2d022fa330f9573f3"),
            Remote("t10k-labels-idx1-ubyte.gz", 4_542, "md5", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    "fashion_mnist": Set(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        (
            Remote("train-images-idx3-ubyte.gz", 26_421_880, "md5", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            Remote("train-labels-idx1-ubyte.gz", 29_515, "md5", "25c81989df183df01b3e8a0aad5dffbe"),
            Remote("t10k-images-idx3-ubyte.gz", 4_422_102, "md5", "bef4ecab320f06d8554ea6380940ec79"),
            Remote("t10k-labels-idx1-ubyte.gz", 5_148, "md5", "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    "cifar10": Set(
        "https://www.cs.toronto.edu/~kriz",
        (
            Remote(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "sha256",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Config:
    """Download MNIST, Fashion-MNIST or CIFAR-10 (binary version), with resume and checksums.

    Example: ddjax fetch mnist
    """

    name: tyro.conf.Positional[Literal["mnist", "fashion_mnist", "cifar10"]]
    """The set."""
    to: FolderToWrite | None = None
    """Folder to write (default: where its name is looked up, $DDJAX_CACHE/NAME or ~/.cache/ddjax/NAME)."""
    base_url: str | None = None
    """A mirror: the address of the folder that holds the same files."""

    def check(self) -> None:
        """Raises: UserError for an address of another kind."""
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise cli.UserError(f"--base-url must start with http:// or https://, got {self.base_url!r}")


def run(config: Config) -> None:
    """Download each file, then open the set and say what it is."""
    base_url = config.base_url or SETS[config.name].base_url

    from ddjax.data import cache, load

    folder = config.to or cache.folder() / config.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cli.UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    with _progress() as begin:
        paths = [download(file, base_url, folder, begin(file)) for file in SETS[config.name].files]
    for split in ("train", "test"):
        print(cli.message(load(folder, split).describe()))
    give = config.name if config.to is None else folder
    print(cli.shown(f"{len(paths)} files in {folder}: give it as --data {give}"))


@contextmanager
def _progress() -> Iterator[Callable[[Remote], Callable[[int], None]]]:
    """Yield `begin(file) -> update(bytes)`: a bar for each file, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def begin(file: Remote) -> Callable[[int], None]:
            task = bars.add_task(file.name, total=file.size)
            return lambda present: bars.update(task, completed=present)

        yield begin
