"""HTTP that ends: over http and https alone, at a pace that is watched from the first byte of the headers to the last.

Timeouts of sockets and urllib bound the wait for one byte. A server that sends five a second, in a header, a body or the
page of a redirect, would be waited for until the end of days: here every byte of an answer is counted as it arrives.
"""

import http.client
import io
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 30.0  # seconds without a byte
WINDOW, SLOWEST = 20.0, 1000  # seconds over which at least so many bytes a second arrive
REDIRECTS = 5


class GivenUp(Exception):
    """An answer that would take too long, or never end."""


class Pace:
    """Counts what arrives, over all connections of a download.

    Args:
        seconds: for all of it.
        size: bytes for all of it, with headers and what is sent again.
    """

    def __init__(self, seconds: float, size: int):
        self.seconds, self.ends = seconds, time.monotonic() + seconds
        self.left = size
        self.since, self.arrived = 0.0, 0

    def count(self, size: int) -> None:
        """More bytes arrived. Raises: GivenUp where they are too few or too many, or the time is up."""
        now = time.monotonic()
        self.since = self.since or now
        self.arrived += size
        self.left -= size
        if self.left < 0:
            raise GivenUp("sends far more than the file")
        if now > self.ends:
            raise GivenUp(f"has not sent it all in {self.seconds:,.0f} seconds")
        if now - self.since >= WINDOW:
            if self.arrived < SLOWEST * (now - self.since):
                raise GivenUp(f"sends fewer than {SLOWEST:,} bytes a second")
            self.since, self.arrived = now, 0


def opened(request: urllib.request.Request, pace: Pace) -> http.client.HTTPResponse:
    """The answer to a request, each of its bytes under the eyes of `pace`; proxies of the environment are used.

    Raises: what urllib does, GivenUp, and URLError for a redirect to another scheme, or too many of them.
    """

    class Response(http.client.HTTPResponse):
        def __init__(self, *arguments: Any, **options: Any):
            super().__init__(*arguments, **options)
            self.fp = io.BufferedReader(_Paced(self.fp, pace))

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(_answering(http.client.HTTPConnection, Response), request)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(_answering(http.client.HTTPSConnection, Response), request)

    director = urllib.request.OpenerDirector()  # no files, no ftp, no data:
    for handler in (
        urllib.request.ProxyHandler(), Plain(), Secure(), _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(), urllib.request.UnknownHandler(),
    ):  # fmt: skip
        director.add_handler(handler)
    return director.open(request, timeout=TIMEOUT)


def _answering(connection: type[http.client.HTTPConnection], response: type) -> type:
    return type("Connection", (connection,), {"response_class": response})


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = REDIRECTS

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """The next answer; where there is none, this one is closed."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, request: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request. urllib itself would follow to ftp."""
        schemes = [urlsplit(url).scheme for url in (request.full_url, newurl)]
        if schemes[1] not in ("http", "https") or schemes == ["https", "http"]:
            raise urllib.error.URLError(f"redirected to {newurl[:80]!r}, which is not followed")
        return super().redirect_request(request, fp, code, msg, headers, newurl)


class _Paced(io.RawIOBase):
    """What a socket brings, counted."""

    def __init__(self, source: io.BufferedReader, pace: Pace):
        self.source, self.pace = source, pace

    def readable(self) -> bool:
        """As io asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        size = self.source.readinto1(buffer)
        self.pace.count(size)
        return size

    def close(self) -> None:
        """With the socket."""
        self.source.close()
        super().close()
