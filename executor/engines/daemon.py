"""The Docker daemon as the SDK shows it: a client of it, and the records it streams.

Owns how the SDK's errors become ours, and that a silent daemon is asked once. Refuses to import the SDK
before a daemon is named, and to pass on what the SDK says of a request: its URL holds the values of build
arguments.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from executor import limits
from executor.engines import host
from executor.engines.host import local_socket
from executor.engines.interrupts import Task
from executor.engines.logs import Log
from executor.engines.protocol import Unusable
from executor.engines.references import readable
from executor.errors import (
    BuildFailed,
    EngineSilent,
    EngineUnavailable,
    ExecutorError,
    Failure,
)
from executor.home import docker_directory
from planner.errors import Place, Problem

if TYPE_CHECKING:
    import requests
    from docker import APIClient

    from executor.engines.socket_api import SocketApi
    from executor.registry.credentials import Login

__all__ = [
    "FOREVER",
    "Daemon",
    "Stream",
    "follow",
    "inspected",
    "newest",
    "newest_instruction",
    "stoppable",
    "understood",
    "use_only",
]

FOREVER: Final = math.inf
"""The timeout of what takes as long as it takes."""


class Daemon:
    """The daemon that the docker command line would speak to, and which version of its API both know.

    One that was silent for too long is not asked again: each further question would cost as much time.
    """

    def __init__(self) -> None:
        self._version: str | None = None
        self._silent: EngineSilent | None = None

    def greet(self, seconds: float | None = None) -> None:
        """See whether the daemon answers in a time, by default that of a greeting. ExecutorError if not."""
        seconds = limits.GREETING_SECONDS if seconds is None else seconds
        path = local_socket()
        if path is not None:
            with self.local(path, seconds) as api:
                api.ping()
            return
        with self._remembered():
            self._connected(seconds).close()

    @contextlib.contextmanager
    def local(self, path: str, timeout: float | None = None) -> Iterator[SocketApi]:
        """What asks the daemon at a socket of this machine. ExecutorError for answers that are none."""
        from executor.engines.socket_api import SocketApi  # noqa: PLC0415  # only a daemon needs it

        with self._remembered(), understood():
            yield SocketApi(path, limits.ANSWER_SECONDS if timeout is None else timeout)

    @contextlib.contextmanager
    def client(self, timeout: float | None = None) -> Iterator[APIClient]:
        """A client, whose errors become ours. The first one asks the daemon for its version.

        `timeout` is in seconds, by default that of an answer, and FOREVER for what takes its time. Only
        what the daemon says is passed on: the SDK's own text of an error has the URL in it, which holds
        the build arguments.
        """
        with self._remembered():
            api = self._connected(limits.GREETING_SECONDS)
            import requests  # noqa: PLC0415
            import urllib3  # noqa: PLC0415
            from docker.errors import APIError, DockerException  # noqa: PLC0415

            seconds = limits.ANSWER_SECONDS if timeout is None else timeout
            # The SDK's own annotation knows whole seconds only.
            api.timeout = None if seconds == FOREVER else seconds  # type: ignore[assignment]
            try:
                yield api
            except APIError as error:
                found = str(error.explanation or error.status_code)
                raise BuildFailed.of("docker", found, "see the lines above") from None
            except (requests.Timeout, urllib3.exceptions.TimeoutError):
                raise _silent(seconds) from None
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _away(f"the connection broke ({type(error).__name__})") from None
            except DockerException as error:
                raise BuildFailed.of("docker", str(error), "see the lines above") from None
            finally:
                api.close()

    def _connected(self, seconds: float) -> APIClient:
        """A client of a daemon that answers, the first time, within so many seconds."""
        if unusable := host.unusable():
            raise _error(unusable)
        import requests  # noqa: PLC0415
        from docker.errors import DockerException  # noqa: PLC0415

        try:
            api = _connect(self._version, seconds)
        except ExecutorError:
            raise
        # It raises whatever a configuration or an answer that is none makes it raise.
        except Exception as error:
            causes = (error, error.__cause__, error.__context__)
            if any(isinstance(cause, requests.Timeout) for cause in causes):
                raise _silent(seconds) from None
            if isinstance(error, DockerException | requests.RequestException | OSError):
                raise _away(str(error)) from None
            found = f"the docker SDK cannot use this configuration ({type(error).__name__})"
            where = Place(file=str(docker_directory(os.environ) or "docker"))
            problem = Problem(where, found, "correct config.json, or move it away")
            raise EngineUnavailable([problem], Failure.ENGINE_REFUSED) from None
        self._version = api.api_version
        return api

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        if self._silent is not None:
            raise self._silent
        try:
            yield
        except EngineSilent as error:
            self._silent = error
            raise


def understood() -> contextlib.AbstractContextManager[None]:
    """Read what a daemon says."""
    return readable("docker", "what answers does not answer like a Docker daemon", host.fix)


def _connect(version: str | None, seconds: float) -> APIClient:
    import docker  # noqa: PLC0415

    name = os.environ.get("DOCKER_CONTEXT")
    if name or not os.environ.get("DOCKER_HOST"):
        from docker.context import ContextAPI  # noqa: PLC0415
        from docker.context.config import get_current_context_name  # noqa: PLC0415

        name = name or get_current_context_name()
        context = ContextAPI.get_context(name)
        if not context:  # the SDK's annotation knows of no such case
            found = f"there is no docker context {name!r}"
            raise _error(
                Unusable(found, "see `docker context ls`, or unset DOCKER_CONTEXT", Failure.ENGINE_REFUSED)
            )
        if context.Name != "default":
            address = context.Host or ""
            if unusable := host.wrong_address(f"the context {name!r}", address) or host.refusal(address):
                raise _error(unusable)
            return docker.APIClient(
                context.Host,
                version=version,
                tls=context.TLSConfig or False,
                timeout=seconds,  # type: ignore[arg-type]  # as above
            )
    return docker.from_env(version=version, timeout=seconds).api  # type: ignore[arg-type]  # as above


def _away(found: str) -> ExecutorError:
    return _error(host.away(found))


def _silent(seconds: float) -> ExecutorError:
    return EngineSilent.of("docker", f"the daemon does not answer within {seconds:g} s", host.fix())


def _error(unusable: Unusable) -> ExecutorError:
    problem = Problem(Place(file="docker"), unusable.reason, unusable.fix)
    return EngineUnavailable([problem], unusable.failure)


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


def use_only(api: APIClient, logins: Mapping[str, Login]) -> None:
    """Let a build have these logins: those for the registries of the images that it takes from.

    By itself the SDK asks the user's credential helper for every login there is, and waits without limit.
    """
    from docker import auth  # noqa: PLC0415

    known = {
        auth.INDEX_URL if registry == "docker.io" else registry: login.for_engine
        for registry, login in logins.items()
    }
    # What it finds here it does not look up, and there is no public way to tell it.
    api._auth_configs = auth.AuthConfig({"auths": known})  # type: ignore[attr-defined]  # noqa: SLF001


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
