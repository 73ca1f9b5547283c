"""A file behind an HTTP or HTTPS URL, in several tries that end.

A try goes on where the one before it stopped, if the server can and the file is still the same, and begins
anew if not. A login goes in a header to the host that it is for, and to no other. Errors have neither the
login nor the query of a URL, in which signatures are.
"""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO, Mapping, NamedTuple
from urllib.parse import urlsplit

from . import limits
from .errors import TRY_AGAIN, Refused, reason

__all__ = ["Patience", "download", "shown"]

_AGENT = "stowplan"
# What a server says that may be otherwise the next time.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Patience(NamedTuple):
    """How long a download may take, how often it is tried, and how large a file may be."""

    seconds: float = limits.DOWNLOAD_SECONDS
    silence: float = limits.SILENCE_SECONDS
    tries: int = limits.TRIES
    pause: float = limits.PAUSE_SECONDS
    longest_pause: float = limits.LONGEST_PAUSE_SECONDS
    most_bytes: int = limits.PACKED_BYTES


class _Failed(Exception):
    """One try failed. `wait` is what the server asks for, in seconds; None if another try cannot help."""

    def __init__(self, found: str, wait: float | None = 0.0) -> None:
        self.found = found
        self.wait = wait
        super().__init__(found)


def download(
    url: str, path: Path, headers: Mapping[str, str] | None = None, patience: Patience | None = None
) -> None:
    """Write what is behind a URL to a file, which is new.

    Refused says which download failed and why; whether trying again later may help is in its exit code.
    """
    _Download(url, dict(headers or {}), patience or Patience()).to(path)


def shown(url: str) -> str:
    """A URL as it may be shown: without login, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Download:
    """A download that goes on."""

    def __init__(self, url: str, headers: dict[str, str], patience: Patience) -> None:
        self._url = url
        self._headers = headers
        self._patience = patience
        self._end = time.monotonic() + patience.seconds
        # What the server calls the file that it sent the beginning of.
        self._tag: str | None = None
        self._opener = urllib.request.build_opener(_Redirects(frozenset(headers)))
        self._opener.addheaders = []

    def to(self, path: Path) -> None:
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise self._refused("it is neither an http nor an https URL", None)
        failures = 0
        with path.open("xb") as file:
            while True:
                before = file.tell()
                try:
                    self._try(file)
                except _Failed as failed:
                    # What brings something new goes on, for as long as there is time.
                    failures = 1 if file.tell() > before else failures + 1
                    self._wait(failed, failures)
                else:
                    return

    def _wait(self, failed: _Failed, failures: int) -> None:
        """Wait before the next try. Refused if there is none."""
        if failed.wait is None:
            raise self._refused(failed.found, None)
        pause = min(self._patience.pause * 2 ** (failures - 1), self._patience.longest_pause)
        pause = max(pause, min(failed.wait, self._patience.longest_pause))
        if failures >= self._patience.tries:
            raise self._refused(f"{failed.found}, in each of {failures} tries", TRY_AGAIN)
        if time.monotonic() + pause >= self._end:
            raise self._refused(f"{failed.found}, until there was no time left", TRY_AGAIN)
        time.sleep(pause)

    def _try(self, file: BinaryIO) -> None:
        """Read the rest of the file. _Failed if that did not come."""
        try:
            with self._opened(file.tell()) as answer:
                self._read(answer, file)
        except urllib.error.HTTPError as error:
            with error:
                raise self._said(error, file) from None
        except http.client.IncompleteRead:
            raise _Failed(f"the connection ended after {file.tell()} bytes") from None
        except (http.client.HTTPException, ValueError) as error:
            raise _Failed(f"the server does not speak HTTP ({type(error).__name__})") from None
        except OSError as error:
            # Who the server is will not change.
            untrusted = isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
            raise _Failed(_words(error), None if untrusted else 0.0) from None

    def _opened(self, at: int) -> Any:
        request = urllib.request.Request(self._url)  # noqa: S310  # only http and https come here
        request.add_header("User-Agent", _AGENT)
        # What a proxy or a server would compress has another length.
        request.add_header("Accept-Encoding", "identity")
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        if at and self._tag:
            request.add_header("Range", f"bytes={at}-")
            request.add_header("If-Range", self._tag)
        return self._opener.open(request, timeout=self._patience.silence)

    def _read(self, answer: Any, file: BinaryIO) -> None:
        at = file.tell()
        if answer.status == 206 and _starts(answer.headers.get("Content-Range", ""), at):
            pass
        elif answer.status == 200:
            file.seek(0)
            file.truncate()
            tag = answer.headers.get("ETag", "")
            self._tag = tag if tag.startswith('"') else None
        else:
            raise _Failed(f"the server answered with status {answer.status}")
        if answer.headers.get_content_type() == "text/html":
            raise _Failed("the server sent a web page instead of a file", None)
        expected = answer.length
        read = 0
        # A server may keep the connection open after all of it.
        while expected is None or read < expected:
            if time.monotonic() >= self._end:
                raise self._refused(f"it takes longer than {self._patience.seconds:g} s", TRY_AGAIN)
            # One that returns what has come, so that the time is looked at.
            data = answer.read1(limits.CHUNK_BYTES)
            if not data:
                break
            read += len(data)
            if file.tell() + len(data) > self._patience.most_bytes:
                raise self._refused(f"it is larger than {self._patience.most_bytes} bytes", None)
            try:
                file.write(data)
            except OSError as error:
                raise Refused(
                    "not-written",
                    f"what is downloaded cannot be written: {reason(error)}",
                    "free disk space for it",
                    TRY_AGAIN,
                ) from None
        if expected is not None and read < expected:
            raise _Failed(f"the connection ended after {file.tell()} bytes")
        file.flush()

    def _said(self, error: urllib.error.HTTPError, file: BinaryIO) -> _Failed:
        """What a server said instead of sending the file."""
        if error.code == 416:
            # What is there is not the beginning of what the server has.
            file.seek(0)
            file.truncate()
            self._tag = None
            return _Failed("the file changed on the server")
        found = f"the server answered with status {error.code}"
        if error.code in _PASSING:
            return _Failed(found, _asked_wait(error.headers.get("Retry-After", "")))
        if error.code in (401, 403, 404):
            found += ", which it also does for a login that is missing or wrong"
        return _Failed(found, None)

    def _refused(self, found: str, exit_code: int | None) -> Refused:
        fix = "try again later" if exit_code else "check the URL, and the login that the run has for it"
        text = f"downloading {shown(self._url)} failed: {found}"
        return (
            Refused("download-failed", text, fix, exit_code)
            if exit_code
            else Refused("download-failed", text, fix)
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirections to HTTP and HTTPS, and from HTTPS to nothing else. Logins stay with their host."""

    def __init__(self, private: frozenset[str]) -> None:
        self._private = private

    def redirect_request(  # noqa: PLR0917  # as the library calls it
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme != "https" and (new.scheme, old.scheme) != ("http", "http"):
            fp.close()
            raise _Failed(f"the server leads to {shown(newurl)}, which is not encrypted", None)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            for name, value in req.unredirected_hdrs.items():
                request.add_unredirected_header(name, value)
        return request


def _starts(content_range: str, at: int) -> bool:
    """Whether an answer is the rest of a file from a position on."""
    return content_range.startswith(f"bytes {at}-")


def _asked_wait(text: str) -> float:
    """The seconds of a Retry-After header, which are a number or a date; 0 if it is neither."""
    if text.isdigit():
        return float(text[:6])
    date = email.utils.parsedate_tz(text)
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0


def _words(error: OSError) -> str:
    cause: Any = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError) or "timed out" in str(cause):
        return "nothing more was heard from the server"
    return reason(cause) if isinstance(cause, OSError) else str(cause)
