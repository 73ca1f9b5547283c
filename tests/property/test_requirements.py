"""Laws of requirements: order means nothing, canonical text is a fixed point, nothing else is raised."""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random

from hypothesis import assume, example, given
from hypothesis import strategies as st
from packaging import markers as pep508

from planner.errors import PlannerError
from planner.requirements.files import included_files, parse_file
from planner.requirements.lists import parse_list
from planner.requirements.markers import Marker
from planner.requirements.model import Requirement, Requirements, constraint_lines, to_lines
from planner.requirements.options import installer_arguments

names = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,6}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: (
        not name.lower().endswith((".whl", ".zip", ".tar", ".tgz", ".tbz", ".txz")) and ".tar." not in name
    )
)
versions = st.from_regex(r"[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}(?:(?:a|b|rc|\.post|\.dev)[0-9])?", fullmatch=True)
clauses = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]), versions),
    st.from_regex(r"~=[0-9]\.[0-9]{1,2}", fullmatch=True),
    st.from_regex(r"[!=]=[0-9](?:\.[0-9])?\.\*", fullmatch=True),
)
markers = st.sampled_from(
    [
        "",
        " ; python_version<'3.9'",
        ' ; sys_platform == "linux" and (extra == "A_b" or os_name!=\'nt\')',
        " ; '3' in python_version",
        " ; (((platform_machine=='x86_64')))",
    ]
)


@st.composite
def requirement_lines(draw: st.DrawFn) -> str:
    extras = draw(st.lists(names, max_size=2))
    text = draw(names) + (f"[{','.join(extras)}]" if extras else "")
    if draw(st.booleans()):
        text += draw(st.sampled_from([" ", ""])) + ", ".join(draw(st.lists(clauses, max_size=3)))
    else:
        text += draw(
            st.sampled_from([" @ https://h/x.whl", "@git+https://h:1/x@v1", " @ git+ssh://git@h/x#egg=y"])
        )
    return text + draw(markers)


def attempt(text: str) -> Requirements | None:
    try:
        return parse_file("r.txt", {"r.txt": text})
    except PlannerError:
        return None


# Environments as `packaging.markers.default_environment` gives them, of three machines.
LINUX = {
    "implementation_name": "cpython", "implementation_version": "3.11.7", "os_name": "posix",
    "platform_machine": "x86_64", "platform_python_implementation": "CPython", "platform_release": "6.1.0",
    "platform_system": "Linux", "platform_version": "#1 SMP", "python_full_version": "3.11.7",
    "python_version": "3.11", "sys_platform": "linux", "extra": "",
}  # fmt: skip
WINDOWS = {
    **LINUX, "os_name": "nt", "platform_machine": "AMD64", "platform_release": "10",
    "platform_system": "Windows", "platform_version": "10.0.19045", "sys_platform": "win32", "extra": "A_b",
}  # fmt: skip
PYPY = {
    **LINUX, "implementation_name": "pypy", "implementation_version": "7.3.13", "extra": "and",
    "platform_python_implementation": "PyPy", "python_full_version": "3.9.18", "python_version": "3.9",
}  # fmt: skip
ALIASES = ("os.name", "platform.machine", "platform.python_implementation", "platform.version",
           "python_implementation", "sys.platform")  # fmt: skip
STRINGS = sorted(
    {*LINUX.values(), *WINDOWS.values(), *PYPY.values(), "a-B", "it's", 'a"b', "or", "(", " and "}
)
COMPARED = ("==", "!=", "<", ">=", "~=", "===", " in ", "\tnot  in ")
SPACES = st.sampled_from(["", " ", "\t "])


def _quoted(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{quote}{text}{quote}" for quote in "'\"" if quote not in text])


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    words = st.sampled_from([" and ", " or ", "\tor  "])
    joined = st.builds("{}{}{}".format, parts, words, parts)
    return st.one_of(joined, st.builds("({}{}{})".format, SPACES, st.one_of(joined, parts), SPACES))


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    variable = draw(st.sampled_from([*LINUX, *ALIASES]))
    string = draw(st.sampled_from(STRINGS).flatmap(_quoted))
    left, right = draw(st.permutations([variable, string]))
    return f"{left}{draw(SPACES)}{draw(st.sampled_from(COMPARED))}{draw(SPACES)}{right}"


def evaluated(marker: str, environment: dict[str, str]) -> bool | None:
    """What `packaging` makes of a marker; None where it finds no answer."""
    try:
        return pep508.Marker(marker).evaluate(dict(environment))
    except pep508.UndefinedComparison:
        return None


@given(st.recursive(comparisons(), _joined, max_leaves=8))
@example("((os_name == 'nt' or os_name == 'posix')) and sys_platform == 'none'")
@example("os_name=='nt' and 'A_b'==extra or(extra=='A_b'and os_name=='nt')")
def test_the_spelling_of_a_marker_keeps_its_meaning(written: str) -> None:
    marker = Marker(written)
    assert Marker(marker.text) == marker
    assert Requirement.parse(f"x;{written}") == Requirement("x", marker=marker)
    for environment in (LINUX, WINDOWS, PYPY):
        assert evaluated(marker.text, environment) == evaluated(written, environment)


syntax = st.sampled_from(
    """-r |-c|r.txt|a|==1|==2| |--hash=sha256:HEX| # |; os_name=='x'|https://|git+|@|:|/|'|"|[x]|--|-|=|.|(|)
    |-e |${A}|é|--no-binary |:all:|,|-i |--pre |file:|~=|===|*|#|\t|\ufeff|\r|\\\n|\x00|\f|\u2028""".replace(
        "HEX", "a" * 64
    ).split("|")
)
texts = st.one_of(st.text(), st.lists(syntax, max_size=30).map("".join))


def outcome(read: Callable[[], Requirements]) -> Requirements | PlannerError:
    try:
        return read()
    except PlannerError as error:
        return error


@given(texts, texts)
def test_only_planner_errors(text: str, other: str) -> None:
    for path in included_files(text, file="r.txt"):
        assert not path.startswith(("/", "../"))
    read = outcome(lambda: parse_file("r.txt", {"r.txt": f"{text}\n-c o.txt", "o.txt": other}))
    if isinstance(read, PlannerError):
        assert read.problems
        for problem in read.problems:
            assert problem.where.file
            assert problem.found
            assert problem.fix
            assert "\n" not in str(problem)
    else:
        assert hash(read) == hash(read)
        for line in to_lines(read):
            assert line == line.strip()
            assert "\n" not in line


@given(st.lists(texts, max_size=4))
def test_a_list_raises_only_planner_errors(lines: list[str]) -> None:
    read = outcome(lambda: parse_list(lines))
    if isinstance(read, PlannerError):
        assert all(problem.where.path[0] in range(len(lines)) for problem in read.problems)
    else:
        assert parse_file("r.txt", {"r.txt": "\n".join(to_lines(read))}) == read


@given(texts)
@example("--only-binary :all:\n--no-binary a\n-i https://b\n--extra-index-url https://c -f https://a")
@example("a[x]==1.0;os_name=='x'\n-c r.txt")
@example(f"--trusted-host b --trusted-host a\na==1 --hash=sha256:{'a' * 64}")
def test_what_is_read_can_be_written_and_read_again(text: str) -> None:
    requirements = attempt(text)
    if requirements is None:
        return
    options = "\n".join(installer_arguments(requirements.options, "pip"))
    written = {
        "r.txt": "\n".join([options, *to_lines(requirements), "-c c.txt"]),
        "c.txt": "\n".join(constraint_lines(requirements)),
    }
    assert parse_file("r.txt", written) == requirements


@given(st.lists(requirement_lines(), max_size=6), st.randoms(use_true_random=False))
def test_order_and_layout_mean_nothing(lines: list[str], random: Random) -> None:
    shuffled = random.sample(lines, len(lines))
    one, two = attempt("\n".join(lines)), attempt("# x\r\n\r\n" + " # y\r\n".join([*shuffled, *shuffled[:1]]))
    assert one == two
    if one is not None:
        assert parse_list(lines) == one
        assert parse_list(to_lines(one)) == one


@given(requirement_lines())
def test_a_requirement_is_read_alike_everywhere(line: str) -> None:
    requirements = attempt(line)
    assert requirements is not None
    assert parse_list([f"  {line} "]) == requirements
    assert parse_file("r.txt", {"r.txt": "-r a/b.txt", "a/b.txt": line}) == requirements


credential_text = st.text(
    alphabet=string.ascii_letters + string.digits + "%!$&*+_-.~=,;()", min_size=8, max_size=20
)


@given(
    secret=credential_text,
    user=st.sampled_from(["", "user:", "__token__:", ":"]),
    scheme=st.sampled_from(
        # The last three are no URLs, and may be meant as one.
        [
            "https://",
            "http://",
            "git+https://",
            "git+ssh://git:",
            "ftp://",
            "FILE://",
            "https:/",
            "//u:",
            "x:",
        ]
    ),
    before=st.one_of(
        texts,
        st.sampled_from(
            ["-i ", "--extra-index-url=", "-f", "x @ ", "x@", "", "-e ", "--bad ", "-r ", "x==1 --hash "]
        ),
    ),
    after=st.one_of(texts, st.sampled_from(["/simple", "/x.whl", "/x.git@v1#egg=x", ":8080/", " bad", "'"])),
)
def test_a_planted_credential_never_shows(
    secret: str, user: str, scheme: str, before: str, after: str
) -> None:
    credential = f"{user}{secret}Z"
    assume(f"{secret}Z" not in before + after)
    text = f"{before}{scheme}{credential}@host{after}"
    for read in (
        outcome(lambda: parse_file("r.txt", {"r.txt": text})),
        outcome(lambda: parse_list([text])),
    ):
        if isinstance(read, PlannerError):
            assert read.__context__ is None
            assert f"{secret}Z" not in f"{read}{read!r}{read.problems!r}"
