"""Downloads from servers that break off, dawdle, lie or send elsewhere: they end, they keep what came, they say what was wrong.

Every server is a thread on 127.0.0.1 that answers the n-th connection with the bytes of a script.
"""

import gzip
import hashlib
import itertools
import os
import socket
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from ddjax import cli
from ddjax.downloads import Remote, connections, download, files

CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8))
FILE = Remote("set.bin", len(CONTENT), "sha256", hashlib.sha256(CONTENT).hexdigest())
HEAD = b"HTTP/1.1 200 OK\r\n"


def whole(body, *headers, status="200 OK"):
    """An answer, its length told unless the headers do."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def rest(start, told=None):
    """The file from `start` on, as a part of it."""
    return whole(
        CONTENT[start:], f"Content-Range: {told or f'bytes {start}-699999/700000'}", status="206 Partial Content"
    )


def drip(head, piece, pause=0.02):
    """Bytes one by one, for ever."""
    yield head
    while True:
        yield piece
        time.sleep(pause)


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """serve(script) -> get(): `script(n, start)` gives bytes, or an iterator of them, for the n-th connection."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(connections, "WINDOW", 0.5)
    monkeypatch.setattr(connections, "TIMEOUT", 2.0)
    closing, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def answer(connection, content, stays):
        try:
            for piece in [content] if isinstance(content, bytes) else content:
                if closing.is_set():
                    break
                connection.sendall(piece)
            if stays:
                closing.wait()
        except OSError:
            pass
        connection.close()

    def run(script, stays):
        for n in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            asked = b""
            while b"\r\n\r\n" not in asked and (more := connection.recv(4096)):
                asked += more
            start = int(asked.partition(b"Range: bytes=")[2].partition(b"-")[0] or 0)
            threading.Thread(target=answer, args=(connection, script(n, start), stays), daemon=True).start()

    def start(script, stays=False):
        threading.Thread(target=run, args=(script, stays), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return lambda: download(FILE, url, tmp_path, lambda present: None)

    began = time.monotonic()
    yield start
    closing.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    assert time.monotonic() - began < 15


def refused(get, message):
    with pytest.raises(cli.UserError, match=message) as caught:
        get()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("stays", [True, False], ids=["silent", "closed"])
def test_every_byte_that_arrived_is_kept(serve, tmp_path, stays):
    """200,000 bytes, then nothing: the next connection asks for the rest. Fails for blocks of a fixed size, as read(2^18)."""
    asked = []

    def script(n, start):
        asked.append(start)
        return whole(CONTENT[:200_000], "Content-Length: 700000") if n == 0 else rest(start)

    assert serve(script, stays)().read_bytes() == CONTENT and asked == [0, 200_000]


def test_what_came_before_a_server_fell_silent_is_there_for_the_next_call(serve, tmp_path):
    refused(
        serve(lambda n, start: whole(CONTENT[:200_000], "Content-Length: 700000")), "ends after 200,000 .* run again"
    )
    assert (tmp_path / "set.bin.part").read_bytes() == CONTENT[:200_000]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: drip(HEAD + b"Content-Length: 700000\r\n\r\n", b"x"),
        lambda: drip(HEAD + b"X: ", b"x"),
        lambda: drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x"),
        lambda: drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        lambda: drip(b"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n", b"x"),
        lambda: drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "header", "size of a chunk", "trailer", "page of a redirect", "continue"],
)
def test_a_server_that_dawdles_is_given_up_wherever_it_does(serve, monkeypatch, answer):
    """Fifty pieces a second are always in time for a socket's timeout. Fails where only the body is watched."""
    monkeypatch.setattr(connections, "SLOWEST", 10_000)
    refused(serve(lambda n, start: answer()), r"fewer than 10,000 bytes a second: given up after .* run again")


def test_a_server_has_a_total_time(serve, monkeypatch, tmp_path):
    """At 100 kB a second, which is fast enough. Fails where only the rate is bounded."""
    monkeypatch.setattr(files, "_PATIENCE", 1.0)
    monkeypatch.setattr(files, "_EXPECTED", 1e9)
    refused(
        serve(lambda n, start: drip(HEAD + b"Content-Length: 700000\r\n\r\n", bytes(2000))),
        "has not sent it all in 1 s",
    )
    assert (tmp_path / "set.bin.part").stat().st_size > 10_000


def test_a_server_that_never_ends_is_given_up(serve):
    """Endless interim answers at full speed. Fails where only too few bytes are too few."""
    refused(serve(lambda n, start: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)), "far more than the file")


def test_a_byte_for_each_connection_is_not_enough(serve, monkeypatch):
    monkeypatch.setattr(files, "_ATTEMPTS", 20)
    monkeypatch.setattr(connections, "WINDOW", 60.0)
    refused(serve(lambda n, start: rest(start)[: -(len(CONTENT) - start) + 1] if n else whole(b"x", "Content-Length: 700000")),
            "ends after 20 of 700,000")  # fmt: skip


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("ftp://127.0.0.1/set.bin", "redirected to 'ftp://127.0.0.1/set.bin', which is not followed"),
        ("file:///etc/passwd", "which is not followed|not allowed"),
        ("data:,x", "which is not followed|not allowed"),
        ("http://[::1/x", "cannot reach"),
        ("/set.bin", "answered 302 .*infinite loop"),
        ("//127.0.0.1:1/x", "Connection refused"),
        (None, "answered 302"),
    ],
)
def test_redirects_stay_on_the_web_and_end(serve, location, message):
    """Fails for urllib's own opener: it follows to ftp, and tells of loops in three lines."""
    headers = [f"Location: {location}"] if location else []
    refused(serve(lambda n, start: whole(b"", *headers, status="302 Found")), message)


def test_redirects_are_followed_but_never_from_https_to_http(serve):
    get = serve(lambda n, start: whole(b"moved", "Location: /mirror", status="307 Moved") if n == 0 else whole(CONTENT))
    assert get().read_bytes() == CONTENT
    request = urllib.request.Request("https://a/b")
    with pytest.raises(urllib.error.URLError, match="not followed"):
        connections._Redirects().redirect_request(request, None, 302, "", {}, "http://a/b")


@pytest.mark.parametrize(
    "told",
    ["bytes 0-699999/700000", "bytes 100-200000/300000", "bytes 100-900000/700000", "bytes 200-100/700000",
     "bytes 100-", "", "pages 1-2/3", "bytes -1-2/3", f"bytes 100-699999/{'9' * 500}"],
)  # fmt: skip
def test_another_part_than_asked_for_is_refused(serve, tmp_path, told):
    """Fails where a Content-Range is taken by its beginning."""
    (tmp_path / "set.bin.part").write_bytes(CONTENT[:100])
    refused(serve(lambda n, start: rest(start, told or " ")), "another part of the file|another file")
    assert (tmp_path / "set.bin.part").read_bytes() == CONTENT[:100]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (whole(CONTENT[:5], "Content-Length: -5"), "ends after 5 of"),
        (whole(CONTENT[:5], "Content-Length: many"), "ends after 5 of"),
        (whole(CONTENT, "Content-Length: 99999999999999999999"), "another file"),
        (whole(gzip.compress(CONTENT), "Content-Encoding: gzip"), r"bytes \(packed by 'gzip'\) and not 700,000"),
        (whole(b"zz\r\nxx", "Transfer-Encoding: chunked"), "ends after 0 of"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ends after 0 of"),
        (b"\x00" * 100_000, "ends after 0 of"),
        (HEAD + b"X: y\r\n" * 200 + b"\r\n", "ends after 0 of"),
        (HEAD + b"X: " + b"y" * 100_000, "ends after 0 of"),
        (b"", "ends after 0 of"),
        (whole(b"", status="416 Range Not Satisfiable"), "answered 416"),
        (whole(b"", status="200\tOK"), "has 0 bytes"),
        (whole(b"", status="503 " + "no " * 1000), "answered 503"),
    ],
)
def test_answers_that_are_no_file_are_told(serve, answer, message):
    refused(serve(lambda n, start: answer), message)


def test_a_packed_file_that_is_told_as_packed_arrives_as_it_is(serve):
    """Servers call .gz files an encoding. Fails where a right file is refused for its header."""
    assert serve(lambda n, start: whole(CONTENT, "Content-Encoding: x-gzip"))().read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["set.bin", "set.bin.part"])
def test_what_stands_in_the_way_is_told_before_anything_is_fetched(tmp_path, name):
    """A folder or a pipe. Fails by waiting for a reader of the pipe, or after the download."""
    for make in (os.mkdir, os.mkfifo):
        make(tmp_path / name)
        with pytest.raises(cli.UserError, match=r"it is a (folder|pipe)"):
            download(FILE, "http://127.0.0.1:1", tmp_path, lambda present: None)
        (os.rmdir if make is os.mkdir else os.unlink)(tmp_path / name)
