"""Instructions → the text of a Dockerfile, and the files that text refers to.

Owns the encoding of every value for the language it enters: Dockerfile words (docs.docker.com,
"Dockerfile reference", environment replacement), shell words, JSON. User text is never pasted. Refuses
to know an engine: one text builds on all of them, so it uses no heredocs, and a mount only where a cache or
a secret is asked for.

Two builds of one text should come to the same bytes. So directories are copied and not made by WORKDIR
(which would give them the time of the build), every copy names its owner, and each RUN sets the times of
all that it changed to one time and empties the logs it wrote to. What cannot be the same: the times of
deletions, where an installer replaces what the parent has; and the times of directories of root, where a
command runs as another user.

Commands run as the parent's user, since nobody can know it without the parent. Where `user` is set the
image has a user of its own in the end, so there they run as root; and so they do on a custom Dockerfile that
says its user, who is the image's user in the end. Files belong to `user`, else to root. A directory of the
code that the parent has already is given to `user`, or to whoever may write to it, and else stays as it is.
It has to be a directory, and no link to one.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from planner.custom import last_user, pinned_lines
from planner.image.instructions import (
    BOOTSTRAP,
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import ImagePlan
from planner.image.spec import ExternalImage, ImageSpec
from planner.render.installers import (
    IMAGE_REQUIREMENTS,
    cache_flag,
    install_commands,
    login_flag,
    project_commands,
    requirement_files,
    secret_flags,
)
from planner.settings.cache_mount import CacheMount
from planner.settings.docker import USER
from planner.settings.secrets import CERTIFICATES_ID, SECRET_DIRECTORY
from planner.values import PROXIES, EnvTemplate, Literal, ParentRef, VariableRef, build_argument

__all__ = [
    "CONTEXT_BOOTSTRAP",
    "CONTEXT_TREES",
    "MARKER",
    "TIMESTAMP",
    "context_directories",
    "context_files",
    "dockerfile",
    "instruction_at",
    "label_text",
    "layer_text",
    "planned_dockerfile",
]

# 1980-01-01 00:00:00 UTC, the earliest time a zip archive can hold: wheels and zip applications are
# made from copied files, and an earlier time is an error there.
TIMESTAMP: Final = 315_532_800

# Trees and generated files have directories of their own in the build context, so that neither can
# overwrite the other and no ignore file reaches either.
CONTEXT_TREES: Final = "trees"
# A file below the directories that it has in the image, so that none of those has the time of a build.
CONTEXT_BOOTSTRAP: Final = f"bootstrap{BOOTSTRAP}"
# Directories without files, to make directories of an image from.
_CONTEXT_DIRECTORIES: Final = "directories"
_DIRECTORY_MODE: Final = 0o755
_CONTEXT_REQUIREMENTS: Final = "requirements"

# Users that there are in each image: numbers, and root.
_SURE_USER: Final = re.compile(r"(?:[0-9]+|root)(?::(?:[0-9]+|root))?")


def dockerfile(
    spec: ImageSpec, base: str | None = None, cache: CacheMount | None = None, *, trusting: bool = False
) -> str:
    """The Dockerfile of an image that is built. The same spec gives the same text, byte for byte.

    `base` is the reference to build on where the parent is another image of the plan: its working tag.
    `cache` is what its installer keeps between builds. `trusting` has commands trust the certificates of the
    machine that builds, where it has some for them.
    """
    if spec.dockerfile is not None:
        return "\n".join([*pinned_lines(spec), *_tail(spec)]) + "\n"
    layers = filter(None, (layer_text(item, cache, trusting=trusting) for item in spec.instructions))
    return "\n".join([*_head(spec, base), *layers, *_tail(spec)]) + "\n"


def planned_dockerfile(image: ImagePlan) -> str:
    """The Dockerfile of a planned image, on the parent that it is built on."""
    return dockerfile(image.built, image.base, image.cache_mount, trusting=image.machine_network)


def _head(spec: ImageSpec, base: str | None) -> Iterator[str]:
    """The lines before those of the instructions."""
    parent = spec.parent
    if isinstance(parent, ExternalImage):
        yield f"# Parent image: {parent.reference}"
        yield f"FROM {parent.base}"
    else:
        yield "# Parent image: built from the Dockerfile of the settings"
        yield f"FROM {base or f'stowplan-spec:{parent.hash.hex}'}"
    yield from (f"ARG {name}" for name in spec.build_args if name not in PROXIES)
    if _sets_user(spec) or _user_below(spec):
        yield "USER 0"


def _sets_user(spec: ImageSpec) -> bool:
    return any(isinstance(item, SetUser) for item in spec.instructions)


def _user_below(spec: ImageSpec) -> str | None:
    """The user that the custom Dockerfile of the parent ends with, where it says one."""
    return last_user(spec.parent) if isinstance(spec.parent, ImageSpec) else None


def _tail(spec: ImageSpec) -> Iterator[str]:
    """The lines after those of the instructions."""
    if (user := _user_below(spec)) and not _sets_user(spec):
        yield f"USER {user if re.fullmatch(USER, user) else _word(user)}"
    if spec.labels:
        yield label_text(spec.labels)


def label_text(labels: Mapping[str, str]) -> str:
    """The instruction that sets labels."""
    words = (f"{_word(name)}={_word(value)}" for name, value in sorted(labels.items()))
    return "LABEL " + " \\\n    ".join(words)


def instruction_at(spec: ImageSpec, line: int) -> Instruction | None:
    """The instruction that a line of the Dockerfile belongs to, counted from 1; None for any other line.

    None, too, for a custom Dockerfile, whose lines are instructions of their own.
    """
    if spec.dockerfile is not None:
        return None
    end = sum(1 for _ in _head(spec, None))
    for item in spec.instructions:
        text = layer_text(item)
        begin, end = end, end + (text.count("\n") + 1 if text else 0)
        if begin < line <= end:
            return item
    return None


def layer_text(item: Instruction, cache: CacheMount | None = None, *, trusting: bool = False) -> str:
    """The lines of a Dockerfile that one instruction becomes, without the last line end.

    As many with a cache, or with certificates, as without. Empty for a source whose packages are all in
    layers before it.
    """
    return "\n".join(_lines(item, cache, trusting=trusting))


def context_directories(spec: ImageSpec) -> Mapping[str, int]:
    """The generated directories of the build context that are copied as such: their modes, by their paths."""
    found = {}
    for item in spec.instructions:
        if isinstance(item, CopyFiles | MakeDirectory) and (source := _directory_source(item)):
            found[f"{source}/{item.destination.rpartition('/')[2]}"] = item.mode(_DIRECTORY_MODE)
    return found


def _directory_source(item: CopyFiles | MakeDirectory) -> str:
    """The directory of the context that has the one that is made for files; empty if that may be anybody's.

    Copied from within another one, a directory has this owner and this mode in the image, also if the parent
    has it already, or declares it a volume. What files are copied to is only made where there is none.
    """
    if isinstance(item, CopyFiles) and not item.owner and not item.group_writes:
        return ""
    name = f"{item.mode(_DIRECTORY_MODE):o}{item.destination.replace('/', '+')}"
    return f"{_CONTEXT_DIRECTORIES}/{name}"


def context_files(spec: ImageSpec) -> Mapping[str, bytes]:
    """The generated files of the build context, by their paths in it."""
    files: dict[str, bytes] = {}
    for item in spec.instructions:
        if isinstance(item, InstallRequirements):
            for name, lines in requirement_files(item).items():
                text = "".join(f"{line}\n" for line in lines)
                files[f"{_CONTEXT_REQUIREMENTS}/{item.source}/{name}"] = text.encode()
    return files


def _lines(item: Instruction, cache: CacheMount | None, *, trusting: bool) -> Iterator[str]:
    trust, begin = (_TRUST_FLAG, f"{_TRUST} && {_BEGIN}") if trusting else ("", _BEGIN)
    match item:
        case SetEnvironment():
            for name in _variables(item):
                yield f"ARG {build_argument(name)}"
            words = [f"{name}={_template(name, value)}" for name, value in item.variables.items()]
            yield "ENV " + " \\\n    ".join(words)
        case InstallApt():
            apt = f"apt-get {_TRUST_OF_APT}" if trusting else "apt-get"
            yield _run(
                f"{apt} update",
                f"DEBIAN_FRONTEND=noninteractive {apt} install --yes --no-install-recommends "
                + shlex.join(item.packages),
                "apt-get clean",
                "rm -rf /var/lib/apt/lists/*",
                _EMPTY_LOGS,
                mount=trust,
                begin=begin,
            )
        case InstallRequirements() if item.closure is not None and not item.closure.packages:
            return
        case InstallRequirements():
            yield f"COPY --chown=0:0 {_CONTEXT_REQUIREMENTS}/{item.source}/ {IMAGE_REQUIREMENTS}/"
            mounts = (cache_flag(cache) if cache else "") + login_flag(item.secrets) + trust
            commands = (*install_commands(item, cache), *_settle_mounts(item.secrets))
            yield _run(*commands, mount=mounts, begin=begin)
        case CopyFiles():
            if source := _directory_source(item):
                yield _copied_directory(item, source)
            yield f"COPY --chown={_owner(item)} {CONTEXT_TREES}/{item.tree}/ {item.destination}/"
            yield f"WORKDIR {item.destination}"
        case MakeDirectory():
            yield _copied_directory(item, _directory_source(item))
            yield f"WORKDIR {item.destination}"
        case CopyBootstrap():
            yield f"COPY --chown=0:0 {CONTEXT_BOOTSTRAP.partition('/')[0]}/ /"
        case InstallProject():
            owner = _owner(item) if item.owner else None
            commands = (*project_commands(item, owner, MARKER), *_settle_mounts(item.secrets))
            script = " && ".join((begin, *commands, _SETTLE))
            argv = json.dumps(["/bin/sh", "-c", script, item.command], ensure_ascii=False)
            yield f"RUN {secret_flags(item.secrets)}{trust}{argv}"
        case SetUser():
            if not _SURE_USER.fullmatch(item.user):
                # BuildKit gives the files of an unknown user to root, and the container does not start.
                yield _run(f": > {MARKER}", f"chown {shlex.quote(item.user)} {MARKER}", begin=begin)
            yield f"USER {item.user}"
        case BuildDockerfile():
            yield from item.lines
        case _:
            assert_never(item)


def _copied_directory(item: CopyFiles | MakeDirectory, source: str) -> str:
    """The line that makes a directory of an image from a directory of the context that holds it alone."""
    return f"COPY --chown={_owner(item)} {source}/ {item.destination.rpartition('/')[0]}/"


def _owner(item: CopyFiles | MakeDirectory | InstallProject) -> str:
    """The owner of files, always with a group: root's, unless another is given.

    Without an owner builders disagree where the parent has a user, and without a group the classic builder
    wants one with the user's name, which `nobody` does not have.
    """
    owner = item.owner or "0"
    return owner if ":" in owner else f"{owner}:0"


def _variables(item: SetEnvironment) -> tuple[str, ...]:
    return tuple(sorted({name for value in item.variables.values() for name in value.variables}))


def _template(name: str, value: EnvTemplate) -> str:
    """The value of a variable as a Dockerfile word, with references to build arguments and to itself.

    A variable of an ENV has in it the value that it had before (Dockerfile reference, "ENV").
    """
    words = []
    for part in value.parts:
        match part:
            case Literal(text):
                words.append(_escaped(text))
            case VariableRef(variable):
                words.append(f"${{{build_argument(variable)}}}")
            case ParentRef("", ""):
                words.append(f"${{{name}}}")
            case ParentRef(before, after):
                words.append(f"${{{name}:+{before}${{{name}}}{after}}}")
            case _:
                assert_never(part)
    return f'"{"".join(words)}"'


def _word(text: str) -> str:
    """Text as a Dockerfile word."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Text for between double quotes, where only these three characters mean something."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


# What a RUN begins with: programs that know of this variable (reproducible-builds.org) write its time and
# not theirs, and Python keeps what it compiles to itself. The file tells, at the end, what is newer.
MARKER: Final = "/dev/shm/stowplan"  # noqa: S108  # in the container of one RUN, and in no layer
_BEGIN: Final = (
    f"export SOURCE_DATE_EPOCH={TIMESTAMP} PYTHONDONTWRITEBYTECODE=1 && "
    f"{{ {{ touch {MARKER} && sleep 0.01; }} 2>/dev/null || :; }}"
)
# And what it ends with. /etc has the time at which the builder put its hosts file there. A parent that has
# no `find`, or a user who may not, makes an image that is right, and differs in times.
_SETTLE: Final = (
    r"{ { find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o "
    rf"-newer {MARKER} -exec touch -h -d @{TIMESTAMP} {{}} + ; touch -d @{TIMESTAMP} /etc; }} "
    "2>/dev/null || :; }"
)


def _settle_mounts(secrets: Mapping[str, int] | None) -> Iterator[str]:
    """The command that settles the directory above secrets, which a builder changed to mount them.

    What BuildKit made in it to mount on is gone in the end, and the time of the directory is left as it is.
    """
    if secrets:
        above = SECRET_DIRECTORY.rpartition("/")[0]
        yield f"{{ touch -d @{TIMESTAMP} {above} 2>/dev/null || :; }}"


# Logs with times, and ldconfig's cache of inodes. Deleted ones would leave the time of their deletion.
_EMPTY_LOGS: Final = (
    "for log in /var/log/dpkg.log /var/log/alternatives.log /var/log/apt/history.log /var/log/apt/term.log "
    '/var/log/apt/eipp.log.xz /var/cache/ldconfig/aux-cache; do if [ -s "$log" ]; then : > "$log"; fi; done'
)


# The certificates of the machine that builds, where it has some for its builds: in no layer, as a cache.
_TRUSTED: Final = "/dev/shm/stowplan-certificates"  # noqa: S108  # in the container of one RUN alone
_TRUST_FLAG: Final = f"--mount=type=secret,id={CERTIFICATES_ID},target={_TRUSTED},mode=0444 "
# As uv and OpenSSL, pip, requests, curl and git call them; apt has an option.
_TRUST: Final = (
    f"{{ trusted= && if [ -s {_TRUSTED} ]; then trusted={_TRUSTED} && export SSL_CERT_FILE={_TRUSTED} "
    f"PIP_CERT={_TRUSTED} REQUESTS_CA_BUNDLE={_TRUSTED} CURL_CA_BUNDLE={_TRUSTED} "
    f"GIT_SSL_CAINFO={_TRUSTED}; fi; }}"
)
_TRUST_OF_APT: Final = '${trusted:+"-oAcquire::https::CAInfo=$trusted"}'


def _run(*commands: str, mount: str = "", begin: str = _BEGIN) -> str:
    return f"RUN {mount}" + " && \\\n    ".join((begin, *commands, _SETTLE))
