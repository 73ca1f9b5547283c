"""Our reading of requirements files beside pip's own parser: what both take means the same to both.

pip promises nothing about its modules, so a new pip may need this test to follow it.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from executor.observe.files import read_text
from planner.errors import PlannerError
from planner.requirements.files import parse_file
from planner.requirements.markers import Marker
from planner.requirements.model import Clause, Requirement, Requirements

pytest.importorskip("pip", minversion="26.0")

from pip._internal.exceptions import InstallationError, PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.release_control import ReleaseControl
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements

A, B = "a" * 64, "b" * 64
_SESSION: Final = PipSession()
_INDEX: Final = "https://index.invalid/simple"


@frozen
class Meaning:
    """What a file comes to, in terms that both readers have."""

    packages: frozenset[Any]
    constraints: frozenset[Any]
    options: tuple[Any, ...]


class _Options:
    """What pip's parser carries upwards, to the command."""

    def __init__(self) -> None:
        self.require_hashes = False
        self.no_require_hashes = False
        self.features_enabled: list[str] = []


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where pip's parser finds files: it joins their paths to the current directory."""
    path = tmp_path_factory.mktemp("pip")
    logging.getLogger("pip").setLevel(logging.CRITICAL)
    with contextlib.chdir(path):
        yield path


def of_pip(directory: Path, texts: dict[str, str], encoding: str = "utf-8") -> Meaning | Exception:
    """What pip's parser makes of the first of these files, which are written as bytes."""
    for name, text in texts.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(text.encode(encoding))
    finder = PackageFinder.create(
        link_collector=LinkCollector(_SESSION, SearchScope.create([], [_INDEX], no_index=False)),
        selection_prefs=SelectionPreferences(allow_yanked=False, release_control=ReleaseControl()),
    )
    options = _Options()
    _SESSION.pip_trusted_origins.clear()
    found: dict[bool, set[Any]] = {False: set(), True: set()}
    try:
        for parsed in parse_requirements(next(iter(texts)), _SESSION, finder, options):  # type: ignore[arg-type]
            requirement = install_req_from_parsed_requirement(parsed)
            if parsed.constraint and (requirement.req is None or requirement.extras):
                # pip says so later, when it resolves.
                raise InstallationError("no constraint")
            found[parsed.constraint].add(_of_pip(requirement))
    except (PipError, ValueError) as error:
        return error
    formats, releases = finder.format_control, finder.release_control
    scope = finder.search_scope
    hashed = options.require_hashes or any(item[-1] for item in found[False])
    return Meaning(
        frozenset(found[False]),
        frozenset(found[True]),
        (
            _indexes(scope.index_urls), tuple(dict.fromkeys(scope.find_links)), scope.no_index,
            _names(formats.no_binary), _names(formats.only_binary),
            _names(releases.all_releases) if releases else frozenset(),
            _names(releases.only_final) if releases else frozenset(),
            finder.prefer_binary, hashed,
            frozenset(host for host, _ in _SESSION.pip_trusted_origins),
        ),
    )  # fmt: skip


def _names(names: set[str]) -> frozenset[str]:
    """Beside all, one more says nothing."""
    return frozenset({":all:"} if ":all:" in names else names)


def _indexes(urls: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))


def _of_pip(found: Any) -> Any:
    link = found.link
    named = None if found.req is None else canonicalize_name(found.req.name)
    marker = found.markers
    return (
        named or "",
        frozenset(map(canonicalize_name, found.extras)),
        # Of a wheel, pip reads its version too.
        frozenset(map(Clause.of, found.req.specifier)) if link is None else frozenset(),
        (link.url_without_fragment, link.subdirectory_fragment) if link else None,
        Marker(str(marker)) if marker else None,
        frozenset(f"{kind}:{digest}" for kind, digests in found.hash_options.items() for digest in digests),
    )


def of_ours(texts: dict[str, str]) -> Meaning | PlannerError:
    """What we make of the same."""
    try:
        read = parse_file(next(iter(texts)), texts)
    except PlannerError as error:
        return error
    return Meaning(
        frozenset(map(_of_ours, read.packages)), frozenset(map(_of_ours, read.constraints)), _options(read)
    )


def _of_ours(found: Requirement) -> Any:
    url = None
    if found.url:
        plain, _, fragment = found.url.partition("#")
        parts = dict(part.partition("=")[::2] for part in fragment.split("&"))
        url = (plain, parts.get("subdirectory"))
    return (
        found.name, frozenset(found.extras), frozenset(found.clauses), url, found.marker,
        frozenset(found.hashes),
    )  # fmt: skip


def _options(read: Requirements) -> tuple[Any, ...]:
    def values(name: str) -> list[str]:
        return [option.value or "" for option in read.options if option.name == name]

    def packages(name: str) -> frozenset[str]:
        return frozenset(part for value in values(name) for part in value.split(","))

    flags = {option.name for option in read.options if option.value is None}
    indexes = [*(values("index-url") or [_INDEX]), *values("extra-index-url")]
    return (
        () if "no-index" in flags else _indexes(indexes), tuple(values("find-links")), "no-index" in flags,
        packages("no-binary"), packages("only-binary"),
        packages("all-releases") | ({":all:"} if "pre" in flags else set()), packages("only-final"),
        "prefer-binary" in flags, "require-hashes" in flags,
        frozenset(value.partition(":")[0] for value in values("trusted-host")),
    )  # fmt: skip


WHEEL: Final = "https://h.invalid/x-1.0-py3-none-any.whl"

# --- files as they are found in the wild ------------------------------------------------------------------

names = st.sampled_from(["six", "Flask_SQLAlchemy", "zope.interface", "a", "python-dateutil", "x1"])
versions = st.sampled_from(
    ["1", "1.0", "2.0.0", "1.16.0rc1", "V1.2", "2.3.1+cu118", "1!2.0", "1.0.post1", "3.0a1"]
)
clauses = st.one_of(
    st.builds("{}{}{}".format, st.sampled_from(["==", "!="]), st.sampled_from(["", " "]), versions),
    st.sampled_from([">=1.0", "<2", "~=1.4", "==1.*", "!=2.1.*", "> 1.0", "<=2.0.0"]),
)
markers = st.sampled_from([
    "python_version<'3.9'", "sys_platform == \"linux\" and extra=='A_b'", "((platform_machine=='x86_64'))",
    "os_name!='nt' or '3' in python_version", "python_full_version >= '3.8.1'",
])  # fmt: skip
urls = st.sampled_from([
    "git+https://github.com/huggingface/peft.git", "git+https://h.invalid/o/peft.git@v1.0",
    "git+https://h.invalid/o/x.git@0f1e2d#egg=Foo_x", "git+https://h.invalid/o/x.git#egg=x&subdirectory=a/b",
    "git+ssh://git@h.invalid/o/x.git@main", "https://h.invalid/x-1.0-py3-none-any.whl",
    f"https://h.invalid/x-1.0-py3-none-any.whl#sha256={A}",
    "https://h.invalid/a/Foo_x-1.0%2Bcpu-cp311-cp311-linux_x86_64.whl", "https://h.invalid/archive/main.zip",
    "https://h.invalid/x-1.0.tar.gz#subdirectory=p", "http://h.invalid:8080/x.zip#egg=zz",
])  # fmt: skip


@st.composite
def requirement_lines(draw: st.DrawFn) -> str:
    """One requirement, as people lay it out."""
    extras = draw(st.sampled_from(["", "", "[a]", "[ A_b, c ]", "[]"]))
    kind = draw(st.sampled_from(["clauses", "clauses", "clauses", "url", "alone"]))
    if kind == "alone":
        text = draw(urls)
        marker = draw(
            st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from([" ; ", "; "]), markers))
        )
        return text + marker
    text = draw(names) + extras
    if kind == "url":
        url = draw(urls).partition("#")[0]
        text += f"{draw(st.sampled_from([' @ ', '@', ' @']))}{url}"
        return text + draw(st.one_of(st.just(""), st.builds(" ; {}".format, markers)))
    text += draw(st.sampled_from(["", " "])) + draw(st.sampled_from([",", ", ", " ,"])).join(
        draw(st.lists(clauses, max_size=3, unique_by=lambda clause: clause[:2]))
    )
    text = text.strip()
    if draw(st.booleans()):
        text += draw(st.sampled_from([";", " ; ", "; "])) + draw(markers)
    return text


option_lines = st.sampled_from([
    "--extra-index-url https://e.invalid/cu118",
    "--extra-index-url=https://e.invalid/cpu", "-f https://f.invalid/wheels.html", "--find-links=https://f.invalid",
    "--no-index", "--pre", "--prefer-binary", "--no-binary :all:", "--only-binary=numpy,Flask_x",
    "--no-binary numpy", "--only-binary :none:", "--trusted-host h.invalid", "--trusted-host=e.invalid:8080",
    "--all-releases :all:", "--all-releases=six", "--only-final x1,Six",
    "-c c.txt", "-r sub/more.txt", "--requirement sub/more.txt", "--constraint=sub/../c.txt",
    "-rsub/more.txt", "--pre --prefer-binary", "--find-links  'https://f.invalid' --trusted-host f.invalid",
])  # fmt: skip
# At the top: further down, pip forgets the extra indexes above it, and uv does not.
indexes = st.sampled_from(
    [
        "",
        "-i https://h.invalid/simple\n",
        "--index-url=https://g.invalid/\n",
        "--pypi-url  https://p.invalid # a\n",
    ]
)
layouts = st.sampled_from(
    ["{}", "{}  # a comment", "  {}", "{}\t", "{} # via six\\", "{}\n", "\n# {} #\n{}", "{}\t# ünï ✓", "\t{}"]
)
ends_of_lines = ("\n", "\r\n", "\r")
ends = st.sampled_from([*ends_of_lines, "\n\n"])
# How the bytes of a file say what its text is: UTF-8 with and without a mark, UTF-16 with one.
encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])


def _continued(draw: st.DrawFn, line: str) -> str:
    """The line, broken at one of its spaces."""
    spaces = [place for place, character in enumerate(line) if character == " "]
    if not spaces or draw(st.booleans()):
        return line
    place = draw(st.sampled_from(spaces))
    return f"{line[:place]} \\{draw(st.sampled_from(ends_of_lines))}{line[place:]}"


@st.composite
def files(draw: st.DrawFn, lines: st.SearchStrategy[str], top: st.SearchStrategy[str] = indexes) -> str:
    """A whole file of such lines, below one of `top`."""
    text = draw(st.sampled_from(["", "# -*- coding: utf-8 -*-\n"])) + draw(top)
    for line in draw(st.lists(lines, max_size=6)):
        laid_out = draw(layouts).replace("{}", _continued(draw, line))
        text += laid_out + draw(ends)
    return text


@st.composite
def hashed_files(draw: st.DrawFn) -> str:
    """A file in which each requirement is pinned and has hashes, as pip-compile and uv export write it."""
    text = draw(st.sampled_from(["", "--require-hashes\n"]))
    for name in draw(st.lists(names, min_size=1, max_size=3, unique_by=canonicalize_name)):
        pinned = draw(st.sampled_from([f"{name}==1.0", f"{name} [a]==2.0.1", f"{name} @ {WHEEL}", WHEEL]))
        pinned += draw(st.one_of(st.just(""), st.builds(" ; {}".format, markers)))
        hashes = draw(st.lists(st.sampled_from([f"sha256:{A}", f"sha256:{B}", f"sha512:{A}{B}"]), min_size=1))
        joined = "".join(
            draw(st.sampled_from([" \\\n    --hash={}", " --hash={}", " \\\r\n --hash {}"])).format(h)
            for h in hashes
        )
        text += f"{pinned}{joined}\n    # via\n    #   x\n"
    return text


@given(
    files(st.one_of(requirement_lines(), requirement_lines(), option_lines)),
    files(requirement_lines(), st.sampled_from(["", "-c ../c.txt\n"])),
    st.builds("{}{}\n".format, names, st.one_of(st.just(""), clauses)),
    encodings,
)
@example("six # a \\\nclick\n-c c.txt", "", "", "utf-8")
@example("-r sub/more.txt\n--only-final x1", "", "six==1", "utf-16")
def test_what_is_found_in_the_wild_means_the_same_to_pip(
    directory: Path, text: str, more: str, constraints: str, encoding: str
) -> None:
    texts = {"r.txt": text, "sub/more.txt": more, "c.txt": constraints}
    pips = of_pip(directory, texts, encoding)
    ours = of_ours({name: read_text(directory, name) or "" for name in texts})
    if isinstance(pips, Exception):
        assert isinstance(ours, PlannerError), f"pip: {pips}"
        return
    if isinstance(ours, PlannerError):
        # What pip finds out only when it resolves.
        assert all(_later(problem.found, problem.fix) for problem in ours.problems), ours
        return
    assert ours == pips


def _later(found: str, fix: str) -> bool:
    return (
        " contradicts " in found
        or "hash checking is all or nothing" in fix
        or found.startswith("a constraint without")
    )


@given(hashed_files())
def test_hashed_files_mean_the_same_to_pip(directory: Path, text: str) -> None:
    assert of_ours({"r.txt": text}) == of_pip(directory, {"r.txt": text})


noise = st.sampled_from(
    """-r |-c |a|==1|==2| |--hash=sha256:HEX| # |; os_name=='x'|https://h.invalid/|x.zip|git+|@|:|/|'|"|[x]|--|-|=|.|(|)
    |é|--no-binary |:all:|,|-i |--pre |~=|===|*|#|\t|\\\n|\n|\r\n| \\\n|#egg=y|\f""".replace("HEX", A).split(
        "|"
    )
)


@given(st.lists(noise, max_size=20).map("".join))
@example(f"a==1\t--hash=sha256:{A}")
@example("git+https://h.invalid/x#egg=y[x]")
def test_what_we_take_pip_takes_for_the_same(directory: Path, text: str) -> None:
    ours = of_ours({"r.txt": text})
    if isinstance(ours, PlannerError):
        return
    pips = of_pip(directory, {"r.txt": text})
    if isinstance(pips, Exception):
        # uv takes both of these.
        assert re.search(r"\t-|#egg=y\[", text), pips
    else:
        assert pips == ours
