"""What a Dockerfile reaches: stages, images, files of the build context, secrets, what only BuildKit can do.

All of it is that of one target, with build arguments, for one platform. Owns the walk through the stages;
refuses to look at the context and at images.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field

from planner.dockerfiles.checks import HEREDOC
from planner.dockerfiles.context import ContextSource, faults
from planner.dockerfiles.model import Dockerfile, Stage, Statement
from planner.dockerfiles.mounts import Mount, fields
from planner.dockerfiles.origins import NamedImage, Origin, Origins
from planner.dockerfiles.remote import Remote
from planner.dockerfiles.scope import PREDEFINED, Globals, Scope, platform_arguments
from planner.dockerfiles.source import Source, Token
from planner.dockerfiles.words import Unknown
from planner.errors import PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.logins import holds_login
from planner.values import PROXIES, FrozenMapping

__all__ = ["Reach", "SecretMount", "reached"]

_MOUNT: Final = "dockerfile-mount"
_SOURCE: Final = "dockerfile-source"
_STAGE: Final = "dockerfile-stage"
_UNSUPPORTED: Final = "dockerfile-unsupported"
_VARIABLE: Final = "dockerfile-variable"
# What BuildKit alone can do, as flags of these instructions.
_FLAGS: Final = (
    ("COPY", ("link", "chmod", "parents", "exclude")),
    ("ADD", ("link", "chmod", "exclude", "checksum", "keep-git-dir", "unpack")),
    ("RUN", ("network",)),
)
# Build arguments that mean something without an ARG.
_KNOWN: Final = PROXIES | {"SOURCE_DATE_EPOCH"}


@frozen
class SecretMount:
    """A secret that a RUN mounts; without `required`, the build goes on where it is not given."""

    name: str
    required: bool
    placed: bool = field(default=True, eq=False)
    """Whether it is said where it is mounted: as a file, or as a variable."""
    line: int = field(default=0, eq=False)
    offsets: tuple[int, ...] = field(default=(), eq=False, repr=False)
    """Where in the text each character of its name stands; empty where its path names it."""
    end: int = field(default=0, eq=False)
    """Where in the text the last character of its mount stands."""


@frozen
class Reach:
    """What the target of a Dockerfile needs, and nothing else."""

    target: Stage
    stages: tuple[Stage, ...]
    """In their order; the target is the last."""
    arguments: tuple[Statement, ...]
    """The ARGs before the first FROM that come to anything."""
    origins: tuple[Origin, ...]
    sources: tuple[ContextSource, ...]
    secrets: tuple[SecretMount, ...]
    remotes: tuple[Remote, ...]
    buildkit: Mapping[str, int]
    """What only BuildKit can do, in words, each with the line where it stands first."""
    triggers: tuple[Statement, ...]
    """What the target leaves to those who build on it (ONBUILD)."""
    base: NamedImage | None
    """The image that the target stands on in the end; None for the empty one."""
    user: str | Unknown | None
    """The user at the end; None where the Dockerfile says nothing of it."""
    undeclared: tuple[str, ...]
    """Build arguments that no ARG declares."""

    @property
    def images(self) -> tuple[NamedImage, ...]:
        """The images that are named, each once."""
        return tuple(dict.fromkeys(origin.image for origin in self.origins if origin.image))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What counts of the text, in its order."""
        inner = (each for stage in self.stages for each in (stage.start, *stage.statements))
        return (*self.arguments, *inner)


def reached(
    dockerfile: Dockerfile,
    platform: str,
    build_platform: str,
    build_args: Mapping[str, str] = FrozenMapping(),
    target: str | None = None,
) -> Reach:
    """What the target needs, for a platform, on a machine of another: both as `linux/amd64`.

    Without a target it is the last stage. PlannerError with every problem of what the target needs.
    """
    return _Walk(dockerfile, platform, build_platform, build_args, target).reach()


class _Walk:
    """The stages that a target needs, gone through in their order."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        platform: str,
        build_platform: str,
        build_args: Mapping[str, str],
        target: str | None,
    ) -> None:
        self._dockerfile = dockerfile
        self._problems: list[Problem] = []
        self._given = build_args
        self._target = self._find(target)
        predefined = platform_arguments(platform, build_platform, self._target.name if target else None)
        self._globals = Globals(dockerfile.arguments, build_args, predefined, dockerfile.escape)
        self._origins = Origins(dockerfile, self._globals, platform)
        self._source = Source(dockerfile.text, dockerfile.escape)
        self._scopes: dict[int, Scope] = {}
        self._users: dict[int, str | Unknown | None] = {}
        self._bases: dict[int, NamedImage | None] = {}
        self._sources: list[ContextSource] = []
        self._secrets: list[SecretMount] = []
        self._remotes: list[Remote] = []
        self._buildkit: dict[str, int] = {}

    def reach(self) -> Reach:
        """All of it."""
        needed = self._origins.needed(self._target)
        if syntax := self._origins.syntax:
            self._buildkit["# syntax="] = syntax.line
        for stage in needed:
            self._go_through(stage)
        if "BUILDKIT_SYNTAX" in self._given:
            found, fix = (
                "the build argument BUILDKIT_SYNTAX",
                "write `# syntax=IMAGE` on the first line instead",
            )
            self._problems.append(Problem.in_file(self._dockerfile.path, None, found, fix, code=_UNSUPPORTED))
        problems = dict.fromkeys((*self._origins.problems, *self._problems))
        if problems:
            raise PlannerError(sorted(problems, key=lambda problem: problem.where.line or 0))
        index = self._target.index
        return Reach(
            target=self._target,
            stages=tuple(needed),
            arguments=tuple(self._arguments()),
            origins=self._origins.found,
            sources=tuple(self._sources),
            secrets=tuple(self._secrets),
            remotes=tuple(self._remotes),
            buildkit=FrozenMapping(self._buildkit),
            triggers=tuple(each for each in self._target.statements if each.keyword == "ONBUILD"),
            base=self._bases[index],
            user=self._users[index],
            undeclared=tuple(self._undeclared()),
        )

    def _find(self, target: str | None) -> Stage:
        stages = self._dockerfile.stages
        if target is None:
            return stages[-1]
        found = next((stage for stage in stages if stage.name == target.lower()), None)
        if found is None:
            names = [stage.name for stage in stages if stage.name]
            fix = did_you_mean(target, names) if names else "none of its stages has a name: remove `target`"
            raise PlannerError([
                Problem.in_file(self._dockerfile.path, None, f"no stage {target}", fix, code=_STAGE)
            ])  # fmt: skip
        return found

    def _arguments(self) -> Iterator[Statement]:
        """The ARGs at the top that are looked up."""
        used = {id(each) for name in self._globals.used for each in self._globals.declared.get(name, ())}
        yield from (each for each in self._dockerfile.arguments if id(each) in used)

    def _undeclared(self) -> Iterator[str]:
        declared = set(self._globals.declared).union(*(scope.declared for scope in self._scopes.values()))
        yield from (name for name in self._given if name not in declared | PREDEFINED | _KNOWN)

    def _problem(self, statement: Statement, found: str, fix: str, code: str) -> None:
        self._problems.append(Problem.in_file(self._dockerfile.path, statement.line, found, fix, code=code))

    def _go_through(self, stage: Stage) -> None:
        base = self._origins.base(stage)
        image = base.image if base else None
        below = -1 if base is None or base.stage is None else base.stage
        # What is built on nothing that can be told may have any variable.
        named = image.reference.familiar if image else stage.base if base is None else None
        scope = Scope(self._globals, self._scopes.get(below), named)
        self._scopes[stage.index] = scope
        self._bases[stage.index] = self._bases.get(below, image)
        self._users[stage.index] = self._users.get(below)
        self._note_platform(stage.start)
        for statement in self._origins.statements(stage):
            self._carry_out(stage, statement, scope)
            scope.carry_out(statement)
            self._note_platform(statement)

    def _note_platform(self, statement: Statement) -> None:
        if not PREDEFINED.isdisjoint(self._globals.used):
            self._buildkit.setdefault("variables of the platform", statement.line)

    def _carry_out(self, stage: Stage, statement: Statement, scope: Scope) -> None:
        keyword = statement.keyword
        for name, flags in _FLAGS:
            for flag in flags if keyword == name else ():
                if statement.flag(flag) is not None:
                    self._buildkit.setdefault(f"{keyword} --{flag}", statement.line)
        if statement.heredocs and keyword != "ONBUILD":
            self._buildkit.setdefault("heredocs", statement.line)
        if keyword in ("ADD", "COPY"):
            if statement.flag("from") is None:
                self._copy(statement, scope)
        elif keyword == "RUN":
            if statement.flag("mount") is not None:
                for mount in self._source.flags(statement.line, statement.column, "--mount="):
                    self._mount(statement, mount, scope)
        elif keyword == "USER":
            self._users[stage.index] = scope.expand(statement.words[0])

    def _copy(self, statement: Statement, scope: Scope) -> None:
        """What COPY or ADD takes from the build context."""
        for word in statement.words[:-1]:
            if not statement.json and HEREDOC.fullmatch(word):
                continue
            path = scope.expand(word)
            if isinstance(path, Unknown):
                self._problem(statement, f"{statement.keyword} of {path.found}", path.fix, _VARIABLE)
            elif not path:
                found = f"{statement.keyword} of {word!r}, which is empty"
                self._problem(statement, found, "give its variables a value", _VARIABLE)
            elif remote := Remote.of(path, statement.flag("checksum"), statement.line):
                self._fetch(statement, remote)
            else:
                self._take(statement, path)

    def _fetch(self, statement: Statement, remote: Remote) -> None:
        """What ADD takes from elsewhere."""
        if statement.keyword == "COPY":
            self._problem(statement, "COPY of a URL", "write ADD instead", _SOURCE)
        elif holds_login(remote.url):
            fix = "fetch it in a RUN that mounts a secret"
            self._problem(statement, "ADD of a URL with a login", fix, _UNSUPPORTED)
        elif remote.ssh:
            fix = (
                "keys of ssh are not supported: use its https URL, or fetch it in a RUN that mounts a secret"
            )
            self._problem(statement, "ADD of a git repository over ssh", fix, _UNSUPPORTED)
        else:
            if remote.git:
                self._buildkit.setdefault("ADD of a git repository", statement.line)
            self._remotes.append(remote)

    def _take(self, statement: Statement, written: str) -> None:
        """A path of the build context."""
        path, below = written, None
        if statement.switched_on("parents"):
            start, pivot, end = written.partition("/./")
            path, below = (start, end) if pivot else ("", written)
            below = posixpath.normpath("/" + below).lstrip("/") or None
        cleaned = _cleaned(path)
        if cleaned is None or _cleaned(written) is None:
            found = f"{statement.keyword} {written}, which is outside of the build context"
            fix = "copy what it needs below `build_context_root`, or set that to a directory above"
            self._problem(statement, found, fix, _SOURCE)
            return
        excluded = statement.flag_values("exclude")
        source = ContextSource(
            cleaned,
            below=below,
            excluded=excluded,
            keyword=statement.keyword,
            written=written,
            line=statement.line,
        )
        wrong = list(faults(source))
        for fault in wrong:
            self._problem(statement, f"{statement.keyword}: {fault.found}", fault.fix, _SOURCE)
        if not wrong:
            self._sources.append(source)

    def _mount(self, statement: Statement, flag: Token, scope: Scope) -> None:
        mount = Mount.of(flag.text, scope.lookup, self._dockerfile.escape)
        if isinstance(mount, Unknown):
            self._problem(statement, mount.found, mount.fix, _MOUNT)
            return
        self._buildkit.setdefault(f"RUN --mount=type={mount.kind}", statement.line)
        if mount.kind == "ssh":
            fix = "keys of ssh are not supported: mount a secret (--mount=type=secret,id=NAME)"
            self._problem(statement, "RUN --mount=type=ssh", fix, _UNSUPPORTED)
        elif mount.kind == "secret":
            name, required = mount.secret, mount.required
            if isinstance(name, Unknown):
                self._problem(statement, f"a secret of {name.found}", name.fix, _VARIABLE)
            elif isinstance(required, Unknown):
                self._problem(statement, f"a secret of {required.found}", required.fix, _VARIABLE)
            elif not name:
                self._problem(
                    statement, "a secret without a name", "write --mount=type=secret,id=NAME", _MOUNT
                )
            else:
                self._secrets.append(_secret(mount, name, required, flag, statement.line))
                if "env" in mount.values:
                    # Since version 1.10 of the frontend; buildah has it since 2026 (its pull request 6285).
                    self._buildkit.setdefault("a secret as a variable", statement.line)
        elif mount.kind == "bind" and not mount.origin:
            self._bind(statement, mount)

    def _bind(self, statement: Statement, mount: Mount) -> None:
        """What a RUN sees of the build context."""
        path = mount.source
        if isinstance(path, Unknown):
            self._problem(statement, f"RUN --mount of {path.found}", path.fix, _VARIABLE)
            return
        cleaned = posixpath.normpath("/" + path).lstrip("/")
        self._sources.append(
            ContextSource(cleaned, wildcards=False, keyword="RUN --mount", written=path, line=statement.line)
        )


def _secret(mount: Mount, name: str, required: bool, flag: Token, line: int) -> SecretMount:
    named = {each.key: each.value for each in fields(flag.text)}
    value = named.get("source") or named.get("id")
    offsets = tuple(flag.places[place] for place in value.places) if value else ()
    placed = bool(mount.values.get("target")) or "env" in mount.values
    return SecretMount(name, required, placed, line, offsets, flag.places[-1])


def _cleaned(path: str) -> str | None:
    """A path of the build context from its root; None if it leads out of it."""
    cleaned = posixpath.normpath(path.lstrip("/") or ".")
    if cleaned == ".." or cleaned.startswith("../"):
        return None
    return "" if cleaned == "." else cleaned
