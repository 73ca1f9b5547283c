"""The Docker daemon as the SDK shows it: where it is, a client of it, and the records it streams.

Owns how the SDK's errors become ours. Refuses to import the SDK before a daemon is named, and to pass on
what the SDK says of a request: its URL holds the values of build arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from executor.engines.interrupts import Task
from executor.engines.logs import Log
from executor.errors import BuildFailed, EngineUnavailable, ExecutorError

if TYPE_CHECKING:
    import requests
    from docker import APIClient

__all__ = [
    "ANSWER_SECONDS",
    "Stream",
    "absent",
    "configuration_directory",
    "fix",
    "follow",
    "inspected",
    "local_socket",
    "newest",
    "newest_instruction",
    "stoppable",
]

_SOCKET: Final = Path("/var/run/docker.sock")
ANSWER_SECONDS: Final = 60


def absent() -> str | None:
    """Why there is no daemon, as far as that shows without the SDK; None when it does not show."""
    if os.environ.get("DOCKER_CONTEXT"):
        return None
    host = os.environ.get("DOCKER_HOST")
    if host:
        return _refusal(host)
    if _names_context():
        return None
    if not os.path.exists(_SOCKET):  # noqa: PTH110  # Path.exists raises where it may not look
        return f"there is no {_SOCKET}, and neither DOCKER_HOST nor a docker context names a daemon"
    return _refusal(f"unix://{_SOCKET}")


def local_socket() -> str | None:
    """The socket of the daemon, where it is one of this machine that neither TLS nor a context is about."""
    if os.environ.get("DOCKER_CONTEXT"):
        return None
    host = os.environ.get("DOCKER_HOST")
    if host:
        kind, _, path = host.partition("unix://")
        return path or None if not kind else None
    return None if _names_context() else str(_SOCKET)


def configuration_directory() -> Path | None:
    """Where Docker's command line keeps what is this user's; None for a user who has no home."""
    if named := os.environ.get("DOCKER_CONFIG"):
        return Path(named)
    try:
        return Path.home() / ".docker"
    except RuntimeError:
        return None


def _names_context() -> bool:
    """Whether `docker context use` chose a daemon."""
    directory = configuration_directory()
    try:
        config = json.loads((directory / "config.json").read_text()) if directory else {}
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("currentContext", "default") != "default"


def _refusal(host: str) -> str | None:
    """Why nobody answers on a socket of this machine. The SDK would say so at length, and leave it open."""
    kind, _, path = host.partition("unix://")
    if kind not in ("", "http+") or not path:  # the SDK writes contexts of its own in the second way
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
    return None


class Daemon:
    """The daemon that the docker command line would speak to, and which version of its API both know."""

    def __init__(self) -> None:
        self._version: str | None = None

    @contextlib.contextmanager
    def client(self, timeout: int | None = ANSWER_SECONDS) -> Iterator[APIClient]:
        """A client, whose errors become ours. The first one asks the daemon for its version.

        Only what the daemon says is passed on: the SDK's own text of an error has the URL in it, which
        holds the build arguments.
        """
        if reason := absent():
            raise _away(reason)
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415
        from docker.errors import APIError, DockerException  # noqa: PLC0415

        try:
            api = _connect(self._version)
        except (DockerException, requests.RequestException, OSError) as error:
            raise _away(str(error)) from None
        except Exception as error:  # the SDK raises whatever a broken configuration makes it raise
            found = f"the docker SDK cannot use this configuration ({type(error).__name__})"
            raise EngineUnavailable.of(
                _configuration(), found, "correct config.json, or move it away"
            ) from None
        self._version = api.api_version
        api.timeout = timeout  # type: ignore[assignment]  # None: as long as it takes
        try:
            yield api
        except APIError as error:
            raise BuildFailed.of(
                "docker", str(error.explanation or error.status_code), "see the lines above"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _away(f"the connection broke ({type(error).__name__})") from None
        except DockerException as error:
            raise BuildFailed.of("docker", str(error), "see the lines above") from None
        finally:
            api.close()


def _configuration() -> str:
    return str(configuration_directory() or "docker")


def _connect(version: str | None) -> APIClient:
    import docker  # noqa: PLC0415

    name = os.environ.get("DOCKER_CONTEXT")
    if name or not os.environ.get("DOCKER_HOST"):
        from docker.context import ContextAPI  # noqa: PLC0415
        from docker.context.config import get_current_context_name  # noqa: PLC0415

        name = name or get_current_context_name()
        context = ContextAPI.get_context(name)
        if context is None:
            raise docker.errors.DockerException(f"there is no docker context {name!r}")
        if context.Name != "default":
            if refused := _refusal(context.Host or ""):
                raise docker.errors.DockerException(refused)
            return docker.APIClient(
                context.Host,
                version=version,
                tls=context.TLSConfig or False,
                timeout=ANSWER_SECONDS,
                use_ssh_client=True,
            )
    return docker.from_env(version=version, timeout=ANSWER_SECONDS, use_ssh_client=True).api


def fix() -> str:
    """What to do about a daemon that does not answer, by what names it."""
    for name in ("DOCKER_CONTEXT", "DOCKER_HOST"):
        if os.environ.get(name):
            return f"see that the daemon runs that {name} names ({os.environ[name]}), or unset it"
    if _names_context():
        return "see that the daemon runs that the current context names, or choose one: docker context use"
    return "install Docker and start its daemon (docs.docker.com/engine/install), or set DOCKER_HOST"


def _away(found: str) -> ExecutorError:
    return EngineUnavailable.of("docker", found, fix())


def inspected(api: APIClient, image: str) -> Mapping[str, Any]:
    """What the daemon knows of an image. The SDK's NotFound if it has none."""
    found: Mapping[str, Any] = api.inspect_image(image)  # type: ignore[no-untyped-call]  # as published
    return found


def newest_instruction(api: APIClient, image: str) -> str:
    """The last entry of an image's history: the instruction that made it."""
    return newest(api.history(image))  # type: ignore[no-untyped-call]  # as published


def newest(history: Sequence[Mapping[str, Any]]) -> str:
    """The newest instruction of a history, as the daemon gives it."""
    return history[0].get("CreatedBy") or "" if history else ""


@contextlib.contextmanager
def stoppable(api: APIClient, task: Task) -> Iterator[None]:
    """Let the task be stopped: its connection is shut down, upon which the daemon gives up too."""
    responses: list[requests.Response] = []

    def begun(response: requests.Response, **_: Any) -> None:
        responses.append(response)
        task.stoppable(lambda: _shut(response))

    api.hooks["response"].append(begun)
    try:
        yield
    except Exception:
        if not task.interrupted:
            raise
    finally:
        for response in responses:
            _shut(response)
            response.close()


def _shut(response: requests.Response) -> None:
    """End a response that another thread may be waiting for: closing it alone would not wake that up."""
    with (
        contextlib.suppress(OSError, ValueError, AttributeError),  # it may have ended by itself
        socket.socket(fileno=os.dup(response.raw.fileno())) as connection,
    ):
        connection.shutdown(socket.SHUT_RDWR)


class Stream(NamedTuple):
    """What the records of a build or a push came to."""

    aux: Mapping[str, Any] = {}  # never written to
    error: str = ""


def follow(records: Iterable[Mapping[str, Any]], log: Log) -> Stream:
    """Log a build or a push as it goes on. An error in the records is a failure, whatever follows it."""
    aux: dict[str, Any] = {}
    error = rest = ""
    for record in records:
        *lines, rest = (rest + record.get("stream", "")).split("\n")
        if "status" in record and not record.get("progressDetail"):
            lines.append(f"{record['id']}: {record['status']}" if "id" in record else record["status"])
        for line in lines:
            log(line.rstrip("\r").rpartition("\r")[2])
        detail = record.get("errorDetail") or {}
        error = error or detail.get("message") or record.get("error") or ""
        aux.update(record.get("aux") or {})
    if rest:
        log(rest)
    return Stream(aux, error)
