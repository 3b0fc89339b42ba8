"""Downloads against a server on this machine that behaves, knows no Range, hangs up half way, or lies."""

import errno
import functools
import hashlib
import http.server
import io
import os
import threading

import numpy as np
import pytest

from ddjax import cli
from ddjax.commands import fetch
from ddjax.downloads import Remote, download, files

CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8))
FILE = Remote("set.bin", len(CONTENT), "sha256", hashlib.sha256(CONTENT).hexdigest())


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` under any name; hangs up after `cut` bytes of an answer; remembers the ranges asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.cut, self.knows_range, self.tells_length = {}, [], None, True, True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        content = server.content.get(self.path.lstrip("/"))
        if content is None:
            return self.send_error(404)
        start = int(asked[len("bytes=") : -1]) if asked and server.knows_range else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    server.content[FILE.name] = CONTENT
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Download FILE into the test's folder, where an earlier attempt may have left something."""
    return functools.partial(download, FILE, server.url, tmp_path, lambda present: None)


def test_a_file_arrives_whole_and_once(server, get, tmp_path):
    """Fails when the .part file stays, or a file that is right is fetched again."""
    seen = []
    path = download(FILE, server.url, tmp_path, seen.append)
    assert path.read_bytes() == CONTENT and os.listdir(tmp_path) == [FILE.name]
    assert seen == sorted(seen) and seen[-1] == FILE.size and len(seen) > 1
    assert get() == path and server.ranges == [None]


def test_a_cut_connection_is_taken_up_where_it_broke(server, get):
    """Fails when an attempt starts from zero, or the end of a short answer passes for the end of the file."""
    server.cut = 300_000
    assert get().read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_call_goes_on_from_the_part(server, get, tmp_path):
    """Fails when the .part file is not used; a complete one costs no request at all."""
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:123_456])
    assert get().read_bytes() == CONTENT and server.ranges == ["bytes=123456-"]
    (tmp_path / "set.bin").rename(tmp_path / "set.bin.part")
    assert get().read_bytes() == CONTENT and len(server.ranges) == 1


def test_a_server_without_range_starts_over(server, get, tmp_path):
    """Fails when its whole answer is appended to the part that is there already."""
    server.knows_range = False
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:123_456])
    assert get().read_bytes() == CONTENT


def test_a_server_without_range_that_hangs_up_is_given_up_and_the_part_is_kept(server, get, tmp_path):
    """Fails by running for ever when progress is not asked for."""
    server.knows_range, server.cut = False, 300_000
    with pytest.raises(cli.UserError, match=r"ends after 300,000 of 700,000 bytes.*run again"):
        get()
    assert (tmp_path / "set.bin.part").stat().st_size == 300_000


@pytest.mark.parametrize("tells_length", [True, False], ids=["length", "no length"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "has not the sha256"),
        (CONTENT + b"more", "another file|larger than"),
        (b"<html>please log in</html>", "another file|ends after 26"),
    ],
    ids=["one bit", "longer", "another page"],
)
def test_another_file_never_gets_the_name(server, get, tmp_path, content, message, tells_length):
    """Fails when the checksum, or one of the sizes, is not looked at."""
    server.content[FILE.name], server.tells_length = content, tells_length
    with pytest.raises(cli.UserError, match=message):
        get()
    assert not (tmp_path / FILE.name).exists()
    if len(content) == len(CONTENT):
        assert not (tmp_path / "set.bin.part").exists()  # or the next attempt would end in the same way


def test_a_wrong_file_in_place_is_replaced(get, tmp_path):
    (tmp_path / FILE.name).write_bytes(CONTENT[::-1])
    assert get().read_bytes() == CONTENT


def test_a_full_disk_is_told_and_costs_nothing(server, get, tmp_path, monkeypatch):
    """After the first piece. Mutation: the part is removed."""

    class Full(io.FileIO):
        def write(self, piece):
            if self.tell():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(piece)

    with monkeypatch.context() as patch, pytest.raises(cli.UserError) as refused:
        patch.setattr(files, "open", Full, raising=False)
        get()
    part = tmp_path / "set.bin.part"
    assert (
        str(refused.value) == f"cannot write {part}: No space left on device; what has come is kept, run again to go on"
    )
    assert CONTENT.startswith(part.read_bytes()) and part.stat().st_size
    assert get().read_bytes() == CONTENT


def test_no_network_and_no_file_are_told(server, tmp_path):
    with pytest.raises(cli.UserError, match=r"other.bin answered 404"):
        download(FILE._replace(name="other.bin"), server.url, tmp_path, lambda present: None)
    with pytest.raises(cli.UserError, match=r"cannot reach http://127.0.0.1:9/set.bin: Connection refused"):
        download(FILE, "http://127.0.0.1:9", tmp_path, lambda present: None)
    assert os.listdir(tmp_path) == []


def idx_files(n):
    rng = np.random.default_rng(0)
    for stem in ("train", "t10k"):
        yield f"{stem}-images-idx3-ubyte", b"".join(v.to_bytes(4, "big") for v in (0x803, n, 5, 4)) + rng.bytes(20 * n)
        yield (
            f"{stem}-labels-idx1-ubyte",
            b"".join(v.to_bytes(4, "big") for v in (0x801, n)) + bytes(range(10)) * (n // 10),
        )


def test_the_command_fetches_and_says_what_it_found(server, tmp_path, monkeypatch, capsys):
    """From the server to `load` by name, in the cache folder."""
    files = dict(idx_files(20))
    server.content |= files
    remotes = tuple(Remote(k, len(v), "md5", hashlib.md5(v).hexdigest()) for k, v in files.items())
    monkeypatch.setitem(fetch.SETS, "mnist", fetch.Set(server.url, remotes))
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path))
    fetch.run(cli.parse(fetch.Config, ["mnist"]))
    printed = capsys.readouterr()
    assert "mnist train: 20 images 5 x 4 x 1, 10 classes" in printed.out and "--data mnist" in printed.out
    assert "train-images-idx3-ubyte" in printed.err
    assert sorted(os.listdir(tmp_path / "mnist")) == sorted(files)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cifar100"], "invalid choice 'cifar100'"),
        (["mnist", "--base-url", "file:///etc"], "must start with http"),
        (["mnist", "--to", "/dev/null/x"], "cannot write to --to /dev/null/x"),
    ],
)
def test_mistakes_are_one_line(words, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fetch", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main(fetch.Config, fetch.run)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and message in error and error.count("\n") == 1


def test_every_published_file_has_a_size_and_a_checksum():
    for published in fetch.SETS.values():
        for file in published.files:
            assert len(file.checksum) == 2 * hashlib.new(file.algorithm).digest_size
    assert len(CONTENT) > files._CHUNK  # or the tests above would see one piece only
