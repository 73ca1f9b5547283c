"""Which Python packages a source asks for: requirements, constraints and options as canonical values.

Owns the meaning of pip's "Requirements File Format" and of requirements as PEP 508 writes them; equal
values mean the same, however they were spelled. Refuses what cannot be installed in an image (paths of
this machine), what must not be in one (credentials), and to resolve anything: that is the installer's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import Factory, define, evolve, field, frozen
from packaging import requirements as pep508
from packaging.specifiers import Specifier
from packaging.utils import InvalidName, canonicalize_name, canonicalize_version

from planner.errors import Place, PlannerError, Problem
from planner.identity import COUNTED
from planner.requirements.lines import (
    HOST_PORT,
    UNSUPPORTED,
    Line,
    Option,
    canonical_options,
    check_option,
    fault,
    installer_arguments,
    logical_lines,
    masked,
    parse_line,
    refuse_unreadable,
    unsupported,
)

__all__ = [
    "Option",
    "Requirement",
    "Requirements",
    "constraint_lines",
    "included_files",
    "installer_arguments",
    "parse_file",
    "parse_list",
    "to_lines",
]


@frozen(order=True)
class Requirement:
    """One requirement (PEP 508) in its only spelling: `requests[socks]<3,>=2; python_version < "3.12"`.

    Names are those of PEP 503, extras those of PEP 685, versions those of PEP 440, normalised but for
    zeros at the end. Hashes are `algorithm:hex`, sorted.
    """

    name: str = field(metadata=COUNTED)
    text: str = field(metadata=COUNTED)
    hashes: tuple[str, ...] = field(default=(), metadata=COUNTED)

    @property
    def line(self) -> str:
        """The requirement as a line of a requirements file, with its hashes."""
        return self.text + "".join(f" --hash={digest}" for digest in self.hashes)


@frozen
class Requirements:
    """What one source asks to install. Equal values mean the same, in whatever order they were written."""

    packages: tuple[Requirement, ...] = field(default=(), metadata=COUNTED)
    constraints: tuple[Requirement, ...] = field(default=(), metadata=COUNTED)
    options: tuple[Option, ...] = field(default=(), metadata=COUNTED)


_VCS = r"(?:git|hg|svn|bzr)\+"
_BARE_URL = re.compile(rf"{_VCS}|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LOCAL = re.compile(
    rf"(?:{_VCS})?file:|[a-z]:[/\\]|\.{{1,2}}(?:[\s;\[]|$)|[\w.~-]*[/\\]"
    r"|[\w.+~-]+\.(?:whl|zip|tgz|tbz|txz|tar|tar\.\w+)(?:[\s;\[]|$)",
    re.IGNORECASE,
)
_SCHEME = re.compile(rf"{_VCS}|[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_PACKAGE_URL = re.compile(
    rf"(?:(?:{_VCS})?https?://|{_VCS}ssh://(?:[\w.-]+@)?|{_VCS}(?:git|svn|sftp)://){HOST_PORT}(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_HASH = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_URL_HASH = re.compile(
    r".* @ .*[#&](?:sha256=[0-9a-f]{64}|sha384=[0-9a-f]{96}|sha512=[0-9a-f]{128})(?:[& ].*)?",
    re.IGNORECASE,
)
# A canonical text with a single exact version, and one with no marker besides.
_PINNED = re.compile(r"[a-z0-9.\[\],-]+===?[^,;*]+(?:;.*)?")
_ONLY_PINNED = re.compile(r"[a-z0-9.\[\],-]+==(?P<public>[^=+,;*]+)(?:\+(?P<local>[^,;*]+))?")
_NO_LOCAL_PACKAGE = (
    "it does not exist in the image; include its files and install them with "
    "`local_project_install_command`, or publish the package"
)


def parse_list(lines: Sequence[str]) -> Requirements:
    """Read the requirements that a setting lists, each a PEP 508 requirement and nothing else.

    PlannerError holds every problem, at path `(index,)`.
    """
    packages: list[tuple[Place, Requirement]] = []
    problems: list[Problem] = []
    for index, text in enumerate(lines):
        where = Place(path=(index,))
        try:
            packages.append((where, _parse_entry(text, where)))
        except PlannerError as error:
            problems += error.problems
    problems += _contradictions(packages)
    if problems:
        raise PlannerError(problems)
    return Requirements(_unique(packages))


def parse_file(file: str, texts: Mapping[str, str]) -> Requirements:
    """Read a requirements file and all it includes; `texts` maps each path to its text.

    Paths are relative to the root of the project, as `included_files` gives them. Follows pip's
    "Requirements File Format", except that everything a constraints file includes is a constraint.
    PlannerError holds every problem of every file, with file and line.
    """
    reading = _Reading({posixpath.normpath(path): text for path, text in texts.items()})
    reading.read(posixpath.normpath(file))
    if any(package.hashes for _, package in reading.packages):
        # pip implies it, uv has to be told.
        reading.options.append(Option("require-hashes"))
    if Option("require-hashes") in reading.options:
        reading.problems += _unhashed(reading.packages)
    reading.problems += _contradictions(reading.packages)
    if reading.problems:
        raise PlannerError(dict.fromkeys(reading.problems))
    options = canonical_options(reading.options)
    return Requirements(_unique(reading.packages), _unique(reading.constraints), options)


def included_files(text: str, *, file: str) -> tuple[str, ...]:
    """The files that the text of `file` includes with `-r` or `-c`, each once, in order.

    Paths are relative to the root of the project, and so is `file`. Passes over lines that `parse_file`
    would refuse.
    """
    paths: dict[str, None] = {}
    for number, raw in logical_lines(text):
        where = Place(file=file, line=number)
        try:
            line = parse_line(raw, where)
            for option in line.options if line else ():
                if option.name in {"requirement", "constraint"}:
                    paths[_included(option, where)] = None
        except PlannerError:
            continue
    return tuple(paths)


def to_lines(requirements: Requirements) -> tuple[str, ...]:
    """The packages as lines of a requirements file, with hashes and without options."""
    return tuple(package.line for package in requirements.packages)


def constraint_lines(requirements: Requirements) -> tuple[str, ...]:
    """The constraints as lines of a constraints file."""
    return tuple(constraint.line for constraint in requirements.constraints)


@define
class _Reading:
    """What has been read so far of a requirements file and the files it includes."""

    texts: Mapping[str, str]
    packages: list[tuple[Place, Requirement]] = Factory(list)
    constraints: list[tuple[Place, Requirement]] = Factory(list)
    options: list[Option] = Factory(list)
    problems: list[Problem] = Factory(list)

    def read(self, root: str) -> None:
        """Read `root`, and each file it includes at the place where it is included, once."""
        if root not in self.texts:
            raise fault(Place(file=root), "the requirements file is missing", "create it, or name another")
        seen = {(root, False)}
        open_files = [(root, False, logical_lines(self.texts[root]))]
        while open_files:
            file, constrains, lines = open_files[-1]
            number, raw = next(lines, (0, ""))
            if not number:
                open_files.pop()
                continue
            includes: list[tuple[str, bool]] = []
            try:
                where = Place(file=file, line=number)
                if line := parse_line(raw, where):
                    includes = self._line(line, where, constrains)
            except PlannerError as error:
                self.problems += error.problems
            for include in reversed(includes):
                if include not in seen:
                    seen.add(include)
                    open_files.append((*include, logical_lines(self.texts[include[0]])))

    def _line(self, line: Line, where: Place, constrains: bool) -> list[tuple[str, bool]]:
        """Take in one line; the files it includes, and whether as constraints."""
        if line.requirement:
            requirement = _parse_requirement(line.requirement, where, line.options)
            if constrains:
                # A constraint installs nothing, so extras mean nothing to it, and pip refuses them.
                bare = re.sub(r"^([a-z0-9-]+)\[.*?\]", r"\1", requirement.text)
                self.constraints.append((where, evolve(requirement, text=bare)))
            else:
                self.packages.append((where, requirement))
            return []
        includes: list[tuple[str, bool]] = []
        for option in line.options:
            try:
                if option.name in {"requirement", "constraint"}:
                    path = _included(option, where)
                    if path not in self.texts:
                        raise fault(
                            where, f"the included file {path!r} is missing", "create it, or fix the path"
                        )
                    includes.append((path, constrains or option.name == "constraint"))
                elif option.name == "editable":
                    raise _unnamed(option.value or "", where, editable=True)
                else:
                    check_option(option, where)
                    self.options.append(option)
            except PlannerError as error:
                self.problems += error.problems
        return includes


def _unique(found: Iterable[tuple[Place, Requirement]]) -> tuple[Requirement, ...]:
    return tuple(sorted({requirement for _, requirement in found}))


def _included(option: Option, where: Place) -> str:
    """The path, relative to the root of the project, that an `-r` or `-c` at `where` names."""
    path = option.value or ""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise fault(where, f"--{option.name} of a URL, {path!r}", "download the file into the project")
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(where.file or ""), path))
    if re.match(r"[/\\]|[A-Za-z]:", path) or resolved == ".." or resolved.startswith("../"):
        raise fault(where, f"--{option.name} of {path!r}, outside of the project", "move the file into it")
    return resolved


def _parse_entry(text: str, where: Place) -> Requirement:
    """Read one entry of a list, which is not a line of a file: it has no comment and no options."""
    refuse_unreadable(text, where)
    text = text.strip()
    if match := re.fullmatch(r"(?:-e|--editable\b)[\s=]*(.*)", text):
        raise _unnamed(match[1], where, editable=True)
    if match := re.search(r"(?:^|\s)(--?[A-Za-z][a-z-]*)", text):
        raise fault(where, f"the option {match[1]} in a list", "write a requirements file to use options")
    if match := re.search(r"(?:^|\s)([#-])", text):
        raise fault(where, f"{match[1]!r} before a word in {text!r}", "write a requirement and nothing else")
    return _parse_requirement(text, where)


def _parse_requirement(text: str, where: Place, options: tuple[Option, ...] = ()) -> Requirement:
    """Read a PEP 508 requirement and the options that follow it on its line."""
    requirement = None
    problems: list[Problem] = []
    try:
        requirement = _canonical(text, where)
    except PlannerError as error:
        problems += error.problems
    hashes = set()
    for option in options:
        digest = (option.value or "").lower()
        if option.name == "hash" and _HASH.fullmatch(digest):
            hashes.add(digest)
        elif option.name == "hash":
            fix = "write sha256:, sha384: or sha512: and all its hexadecimal digits"
            problems.append(Problem(where, f"{masked(str(option))} is no strong hash", fix))
        elif option.name in UNSUPPORTED:
            problems.append(unsupported(option, where))
        else:
            problems.append(
                Problem(where, f"--{option.name} after a requirement", "give it a line of its own")
            )
    if requirement is None or problems:
        raise PlannerError(problems)
    return evolve(requirement, hashes=tuple(sorted(hashes)))


def _canonical(text: str, where: Place) -> Requirement:
    """The requirement that `text` spells, as PEP 508 has it, in its canonical spelling."""
    if _LOCAL.match(text) or _BARE_URL.match(text):
        raise _unnamed(text, where)
    name = canonical = url = expected = ""
    try:
        parsed = pep508.Requirement(text)
        name, url = canonicalize_name(parsed.name, validate=True), parsed.url or ""
        extras = ",".join(sorted({canonicalize_name(extra, validate=True) for extra in parsed.extras}))
        specifiers = ",".join(sorted({_canonical_specifier(specifier) for specifier in parsed.specifier}))
        canonical = name + (f"[{extras}]" if extras else "") + (f" @ {url}" if url else specifiers)
        if parsed.marker:
            canonical += f"{' ' if url else ''}; {parsed.marker}"
    except (pep508.InvalidRequirement, InvalidName) as error:
        expected = str(error).partition("\n")[0]
    except (RecursionError, ValueError):
        expected = "Something shorter"  # thousands of parentheses, or of digits in one number
    if not expected and "\\" in canonical:
        expected = "No backslash"
    if expected:
        fix = f"{masked(expected[0].lower() + expected[1:])}; write it like `name[extra]>=1.0; marker`"
        raise fault(where, f"{text!r} is no requirement", fix)
    if url:
        _check_url(name, url, where)
    return Requirement(name, canonical)


def _canonical_specifier(specifier: Specifier) -> str:
    """One clause of PEP 440 with its version normalised. Zeros at the end stay: people look for `2.1.0`."""
    operator, version = specifier.operator, specifier.version
    if operator == "===":
        return f"==={version.lower()}"
    release = version.removesuffix(".*")
    plain = canonicalize_version(release, strip_trailing_zero=False)
    return f"{operator}{plain}{version[len(release) :]}"


def _unnamed(text: str, where: Place, *, editable: bool = False) -> PlannerError:
    """The error for a requirement that is a path, a URL without a name, or editable."""
    found = f"{'-e ' if editable else ''}{text}"
    if _LOCAL.match(text) or not _BARE_URL.match(text):
        return fault(where, f"the local package {found!r}", _NO_LOCAL_PACKAGE)
    egg = re.search(r"[#&]egg=([\w.-]+(?:\[[\w.,-]*\])?)", text)
    url = re.sub(r"([#&])egg=[^&\s]*&?", r"\1", text).rstrip("#&")
    named = masked(f"{egg[1] if egg else 'name'} @ {url}")
    kind = "editable package" if editable else "URL without a name"
    return fault(where, f"the {kind} {found!r}", f"write it as `{named}`")


def _check_url(name: str, url: str, where: Place) -> None:
    """PlannerError unless `url`, which `name` is to be installed from, can be reached from an image."""
    if _LOCAL.match(url) or not _SCHEME.match(url):
        raise fault(where, f"the local package '{name} @ {url}'", _NO_LOCAL_PACKAGE)
    if ";" in url:
        # PEP 508 ends a URL at a space: without one the marker is part of the URL.
        raise fault(where, f"the semicolon in '{name} @ {url}'", "put a space before it, or write it as %3B")
    if not _PACKAGE_URL.fullmatch(url):
        fix = "write https://host/path or git+https://host/path@revision"
        raise fault(where, f"'{name} @ {url}' is no URL to install from", fix)


def _unhashed(packages: Sequence[tuple[Place, Requirement]]) -> list[Problem]:
    """One problem for each package that hash checking would refuse: it is all or nothing."""
    problems = []
    for where, package in packages:
        lacks = "" if package.hashes or _URL_HASH.fullmatch(package.text) else "has no hash"
        fix = "add all its hashes to the line"
        if re.match(rf"[^ ]+ @ {_VCS}", package.text):
            lacks = "comes from version control, which has no hash"
            fix = "install a release archive with a hash"
        elif not (" @ " in package.text or _PINNED.fullmatch(package.text)):
            lacks = f"is not pinned{' and ' if lacks else ''}{lacks}"
            fix = "pin it with == and add all its hashes to the line"
        if lacks:
            fix = f"{fix}; hash checking is all or nothing"
            problems.append(Problem(where, f"{package.name} {lacks}", fix))
    return problems


def _contradictions(packages: Sequence[tuple[Place, Requirement]]) -> list[Problem]:
    """One problem for each package that is pinned to two versions, markers aside."""
    pins: dict[str, dict[tuple[str, str], Place]] = {}
    problems: dict[str, Problem] = {}
    for where, package in packages:
        if not (match := _ONLY_PINNED.fullmatch(package.text)):
            continue
        public, local = match["public"], match["local"] or ""
        earlier = pins.setdefault(package.name, {})
        for (other_public, other_local), place in earlier.items():
            # PEP 440: `==2.0` also matches 2.0+cu118.
            if canonicalize_version(public) != canonicalize_version(other_public) or (
                local and other_local and local != other_local
            ):
                other = other_public + (f"+{other_local}" if other_local else "")
                found = f"{package.text} contradicts {package.name}=={other} at {place}"
                problems.setdefault(package.name, Problem(where, found, "keep one, or give each a marker"))
                break
        earlier.setdefault((public, local), where)
    return list(problems.values())
