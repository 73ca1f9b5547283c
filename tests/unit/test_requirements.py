"""Requirements files and lists: what is read, what is refused, and in which words."""

from __future__ import annotations

import logging
from typing import Literal

import pytest
from packaging.version import Version

from planner.errors import Place, PlannerError
from planner.logins import typed
from planner.requirements.files import included_files, parse_file
from planner.requirements.grammar import logical_lines
from planner.requirements.lists import parse_list
from planner.requirements.markers import Marker
from planner.requirements.model import (
    Clause,
    Option,
    Requirement,
    Requirements,
    constraint_lines,
    to_lines,
)
from planner.requirements.options import installer_arguments, parse_option

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
VARIABLES = (
    "variables in requirements files are not supported; name the index in package_indexes, and the secret "
    "that has its login"
)
CREDENTIALS = "remove them; name the index in package_indexes, and the secret that has its login"
LOCAL = (
    "it does not exist in the image; include its files and install them with "
    "`local_project_install_command`, or publish the package"
)
SHAPE = "write it like `name[extra]>=1.0; marker`"


def read(text: str, **others: str) -> Requirements:
    """The file `r.txt` of this text; `a_txt="…"` adds a file a.txt."""
    return parse_file("r.txt", {"r.txt": text, **{k.replace("_", "."): v for k, v in others.items()}})


def problems(text: str, **others: str) -> list[str]:
    with pytest.raises(PlannerError) as caught:
        read(text, **others)
    # No exception hangs behind this one: it would hold the line as it was written.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for problem in caught.value.problems:
        assert problem.where.file
        assert problem.where.line
        assert problem.found
        assert problem.fix
    return [str(problem) for problem in caught.value.problems]


def list_problems(*lines: str) -> list[str]:
    with pytest.raises(PlannerError) as caught:
        parse_list(lines)
    assert caught.value.__context__ is None
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("requests", "requests"),
        ("Flask_SQLAlchemy", "flask-sqlalchemy"),
        ("zope.interface", "zope-interface"),
        ("torch==1.12.0", "torch==1.12.0"),
        ("torch == V1.12.0", "torch==1.12.0"),
        ("torch==2.3.1+CU118", "torch==2.3.1+cu118"),
        ("x==1.0RC1", "x==1.0rc1"),
        ("numpy>=1.20", "numpy>=1.20"),
        ("x~=1.10", "x~=1.10"),
        ("x~=1.0", "x~=1.0"),
        ("x==1.0.*", "x==1.0.*"),
        ("x===1.0-Odd", "x===1.0-odd"),
        ("x (>=2, <3)", "x<3,>=2"),
        ("x>=2.0,<3,>=2.0", "x<3,>=2.0"),
        ("requests[socks, Use_Chardet]", "requests[socks,use-chardet]"),
        ("x; python_version<'3.9'", 'x; python_version < "3.9"'),
        ("x;(os_name=='nt' and (extra=='A_b'))", 'x; os_name == "nt" and extra == "a-b"'),
        ("x @ https://h/x-1.whl", "x @ https://h/x-1.whl"),
        ("x@https://h/x-1.whl ; os_name=='nt'", 'x @ https://h/x-1.whl ; os_name == "nt"'),
        (
            "x[b,a] @ git+https://h/o/x.git@v1#subdirectory=p",
            "x[a,b] @ git+https://h/o/x.git@v1#subdirectory=p",
        ),
        ("x @ git+ssh://git@github.com/o/x.git@v1", "x @ git+ssh://git@github.com/o/x.git@v1"),
        # A URL alone: the file of a wheel has its name, and #egg= says it of others.
        (
            "https://h/a/Foo_x-1.0%2Bcu-py3-none-any.whl",
            "foo-x @ https://h/a/Foo_x-1.0%2Bcu-py3-none-any.whl",
        ),
        ("https://h/x-1-py3-none-any.whl?a#egg=y", "x @ https://h/x-1-py3-none-any.whl?a"),
        (
            "git+https://h/o/x.git@v1#egg=Foo_x[B,a]&subdirectory=s",
            "foo-x[a,b] @ git+https://h/o/x.git@v1#subdirectory=s",
        ),
        ("git+ssh://git@h/x@v1#egg=x ; os_name=='nt'", 'x @ git+ssh://git@h/x@v1 ; os_name == "nt"'),
        # Of these the name is learnt when they are resolved.
        ("git+https://h/o/peft.git@v1", "git+https://h/o/peft.git@v1"),
        ("https://h/x-1.0.tar.gz; os_name=='nt'", 'https://h/x-1.0.tar.gz ; os_name == "nt"'),
        ("https://h/archive/main.zip#subdirectory=p", "https://h/archive/main.zip#subdirectory=p"),
    ],
)
def test_one_spelling(written: str, canonical: str) -> None:
    requirement = Requirement.parse(written)
    assert requirement.text == canonical
    assert Requirement.parse(canonical) == requirement
    assert read(written).packages == (requirement,)
    assert parse_list([written]).packages == (requirement,)


def test_a_requirement_is_made_of_values() -> None:
    text = "Torch[B_b,a] >= 2, <3.0 ; python_version<'3.12'"
    assert Requirement.parse(text, [B, A.upper().replace("SHA", "sha"), B]) == Requirement(
        "torch",
        extras=("a", "b-b"),
        clauses=(Clause("<", "3.0"), Clause(">=", "2")),
        marker=Marker('python_version < "3.12"'),
        hashes=(A, B),
    )
    assert Requirement.parse("x@git+https://h/x@v1 ;os_name=='@;'") == Requirement(
        "x", url="git+https://h/x@v1", marker=Marker('os_name == "@;"')
    )


def test_requirements_are_sorted_by_their_text() -> None:
    texts = ["a", "a==1", 'a==1; os_name == "nt"', "a[x]", "a<1", "a @ https://h/a", "b"]
    requirements = [Requirement.parse(text) for text in texts]
    assert [item.text for item in sorted(requirements)] == sorted(texts)
    assert max(requirements) >= min(requirements)
    clauses = ["!=1", "<3", "<=2", "==1", "===1", ">0", ">=0", "~=1.0"]
    assert Requirement.parse(f"x{','.join(reversed(clauses))}").text == f"x{','.join(clauses)}"


@pytest.mark.parametrize(
    ("text", "pin", "exact"),
    [
        ("x==1.0", "1.0", True),
        ("x[a]==1.0+cu118; os_name == 'nt'", "1.0+cu118", True),
        ("x===1.0", None, True),
        ("x==1.*", None, False),
        ("x==1,<2", None, False),
        ("x<=1", None, False),
        ("x", None, False),
        ("x @ https://h/x-1.whl", None, False),
    ],
)
def test_pins(text: str, pin: str | None, exact: bool) -> None:
    requirement = Requirement.parse(text)
    assert requirement.pin == (None if pin is None else Version(pin))
    assert requirement.exact is exact


def test_what_a_requirement_is_called() -> None:
    assert Requirement.parse("x @ https://h/a.zip").label == "x"
    alone = Requirement.parse("https://h/a.zip")
    assert (alone.name, alone.label) == ("", "https://h/a.zip")
    assert problems("-c c.txt", c_txt="https://h/a.zip\nok") == [
        "c.txt:1: a constraint without a name, 'https://h/a.zip': write `name @ URL`"
    ]


def test_a_requirement_says_all_that_is_wrong_with_it_and_where() -> None:
    with pytest.raises(PlannerError) as caught:
        Requirement.parse("a=1", ["md5:0", "sha256:1"], where=Place(file="r.txt", line=2))
    assert [problem.split(" is not a ")[0] for problem in str(caught.value).splitlines()] == [
        "r.txt:2: 'a=1'",
        "r.txt:2: --hash=md5:0",
        "r.txt:2: --hash=sha256:1",
    ]
    with pytest.raises(PlannerError, match=r"^credentials in the URL https://\*\*\*@h: "):
        Requirement.parse("a @ https://u:p@h/a")


# Each was written by hand: `packaging` 24.1 and 26.3 write some of them differently, or not at all.
@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("os_name=='nt'", 'os_name == "nt"'),
        ("(((os_name=='nt')))", 'os_name == "nt"'),
        ("os.name == 'nt'", 'os_name == "nt"'),
        ("sys.platform!='win32'", 'sys_platform != "win32"'),
        ("platform.version in 'x'", 'platform_version in "x"'),
        ("platform.machine   not\tin 'x86'", 'platform_machine not in "x86"'),
        ("platform.python_implementation=='CPython'", 'platform_python_implementation == "CPython"'),
        ("python_implementation=='CPython'", 'platform_python_implementation == "CPython"'),
        ("'3'in python_version", '"3" in python_version'),
        ("'a'==os_name and'b'==os_name", '"a" == os_name and "b" == os_name'),
        ("os_name == 'say \"hi\"'", "os_name == 'say \"hi\"'"),
        ('os_name == "it\'s"', 'os_name == "it\'s"'),
        ("os_name == '(a or b)'", 'os_name == "(a or b)"'),
        ("os_name == ''", 'os_name == ""'),
        ("extra=='A_b.c'", 'extra == "a-b-c"'),
        ("os_name=='nt' and extra=='A_b'", 'os_name == "nt" and extra == "a-b"'),
        ("os_name=='nt' and (extra!='A_b' or 'C_d'==extra)",
         'os_name == "nt" and (extra != "a-b" or "c-d" == extra)'),
        ("extra == os_name", "extra == os_name"),
        ("os_name=='A_b'", 'os_name == "A_b"'),
        ("(os_name=='a' and os_name=='b') or os_name=='c'",
         'os_name == "a" and os_name == "b" or os_name == "c"'),
        ("os_name=='a' and (os_name=='b' or os_name=='c')",
         'os_name == "a" and (os_name == "b" or os_name == "c")'),
        ("((os_name=='a' or os_name=='b')) and os_name=='c'",
         '(os_name == "a" or os_name == "b") and os_name == "c"'),
        ("os_name=='a' and ((os_name=='b' and (os_name=='c' or (os_name=='d'))))",
         'os_name == "a" and os_name == "b" and (os_name == "c" or os_name == "d")'),
        ("os_name=='a' or (os_name=='b' or os_name=='c')",
         'os_name == "a" or os_name == "b" or os_name == "c"'),
        ("python_full_version~='3.11.2' and implementation_version === '3'",
         'python_full_version ~= "3.11.2" and implementation_version === "3"'),
    ],
)  # fmt: skip
def test_a_marker_has_one_spelling(written: str, canonical: str) -> None:
    assert str(Marker(written)) == canonical
    assert Marker(canonical) == Marker(written)
    assert Requirement.parse(f"x ; {written}").text == f"x; {canonical}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", "Expected a marker variable or quoted string"),
        ("os_name", "Expected marker operator"),
        ("os_name == 'a' b", "Expected end of marker expression"),
        ("(os_name == 'a'", "Expected matching RIGHT_PARENTHESIS"),
        ("os_nam == 'a'", "Expected a marker variable or quoted string"),
        # Every `packaging` refuses these two alike, because we do.
        ("'a' in extras", "Expected a marker variable or quoted string"),
        (r"os_name == 'a\x41'", "No backslash"),
        ("(" * 5000, "Something shorter"),
    ],
)
def test_what_is_no_marker(written: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}"):
        Marker(written)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\ufeffa\r\nb\rc\n\n  \n", ["a", "b", "c"]),
        ("# comment\n  # comment\na # comment\nb\t# comment", ["a", "b"]),
        ("a @ https://h/a.whl#sha1=0 # comment", ["a @ https://h/a.whl#sha1=0"]),
        ("a>=1,\\\n<2\nb\\", ["a<2,>=1", "b"]),
        ("a \\\r\n; os_name \\\r\n== 'nt'", ['a; os_name == "nt"']),
        # pip joins lines first, so the comment takes the next line with it …
        ("a # comment \\\nb\nc", ["a", "c"]),
        # … but a comment line ends a continuation.
        ("a \\\n# comment \\\nb", ["a", "b"]),
        ("b\na\nB\na==1\n", ["a", "a==1", "b"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert list(to_lines(read(text))) == lines


def test_a_line_counts_from_its_first_physical_line() -> None:
    assert [number for number, _ in logical_lines("a\nb \\\n\\\nc\n# d\ne")] == [1, 2, 5, 6]
    assert problems("\ufeff# one\r\n\r\na \\\r\n  b\r\n!\r\n")[0].startswith("r.txt:3: ")


def test_hashes() -> None:
    requirements = read(f"a==1.0 \\\n  --hash={B} \\\n    --hash {A.upper().replace('SHA', 'sha')}\n")
    assert requirements.packages == (Requirement.parse("a==1.0", (A, B)),)
    assert to_lines(requirements) == (f"a==1.0 --hash={A} --hash={B}",)
    # pip turns hash checking on when it sees a hash; uv has to be told.
    assert requirements.options == (Option("require-hashes"),)


@pytest.mark.parametrize("spelling", ["-r a.txt", "-ra.txt", "--requirement a.txt", "--requirement=./a.txt"])
def test_included(spelling: str) -> None:
    assert read(f"b\n{spelling}", a_txt="a") == Requirements((Requirement("a"), Requirement("b")))
    assert included_files(spelling, file="r.txt") == ("a.txt",)


@pytest.mark.parametrize("spelling", ["-c a.txt", "-ca.txt", "--constraint a.txt", "--constraint='a.txt'"])
def test_constraints(spelling: str) -> None:
    requirements = read(f"b\n{spelling}", a_txt="a[x]<2.0\n-r c.txt", c_txt="c")
    assert to_lines(requirements) == ("b",)
    assert constraint_lines(requirements) == ("a<2.0", "c")


def test_included_paths_are_relative_to_the_file_and_the_root() -> None:
    text = (
        "-r dev.txt\n-c ../all.txt\n-r dev.txt\n-r ../../x\n-r /x\n--bad\n-r https://h/x\n-c ${X}\nok\n-e ."
    )
    assert included_files(text, file="requirements/a.txt") == ("requirements/dev.txt", "all.txt")
    texts = {"req/a.txt": "a\n-r b.txt", "req/b.txt": "b\n-r ../c.txt", "c.txt": "c"}
    assert to_lines(parse_file("./req/a.txt", texts)) == ("a", "b", "c")


def test_a_file_can_be_requirements_and_constraints() -> None:
    requirements = read("-r a.txt\n-c a.txt\n-r a.txt", a_txt="a==1")
    assert (to_lines(requirements), constraint_lines(requirements)) == (("a==1",), ("a==1",))


def test_a_file_that_includes_itself() -> None:
    itself = "r.txt includes itself: remove this line, or move what both need"
    assert problems("a\n-r r.txt") == [f"r.txt:2: {itself}"]
    assert problems("-c ./r.txt") == [f"r.txt:1: {itself}"]
    assert problems("-r a.txt\n-c b.txt", a_txt="-r b.txt", b_txt="x\n-r r.txt") == [f"b.txt:2: {itself}"] * 1
    assert problems("-r a.txt -r b.txt", a_txt="-r b.txt", b_txt="-c a.txt") == [
        "b.txt:1: a.txt includes itself: remove this line, or move what both need"
    ]


def test_a_file_that_is_included_twice_includes_itself_nowhere() -> None:
    requirements = read("-r a.txt -r b.txt -r a.txt -c b.txt", a_txt="a\n-r b.txt", b_txt="b")
    assert (to_lines(requirements), constraint_lines(requirements)) == (("a", "b"), ("b",))


def test_a_long_chain_of_files() -> None:
    texts = {f"{n}.txt": f"-r {n + 1}.txt" for n in range(3000)} | {"3000.txt": "a"}
    assert to_lines(parse_file("0.txt", texts)) == ("a",)


def test_what_a_long_chain_of_files_needs() -> None:
    """Each file of a chain is read once for each round in which the next one is found."""
    texts = {f"{n}.txt": f"a{n}\n-c c.txt\n-r {n + 1}.txt" for n in range(1000)}
    for file, text in texts.items():
        assert included_files(text, file=file) == ("c.txt", f"{int(file[:-4]) + 1}.txt")
    read = parse_file("0.txt", {**texts, "c.txt": "b<2", "1000.txt": ""})
    assert (len(read.packages), len(read.constraints)) == (1000, 1)


def options(text: str) -> list[str]:
    return [str(option) for option in read(text).options]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-i https://h/a", ["--index-url=https://h/a"]),
        ("-ihttps://h/a\n--pypi-url https://h/b\n", ["--index-url=https://h/b"]),
        (
            "--extra-index-url https://b\n--extra-index-url=https://a\n--extra-index-url https://b",
            ["--extra-index-url=https://b", "--extra-index-url=https://a"],
        ),
        ("-f https://b -f https://a", ["--find-links=https://b", "--find-links=https://a"]),
        ("--pre\n--prefer-binary --pre", ["--pre", "--prefer-binary"]),
        ("--trusted-host b:80\n--trusted-host a", ["--trusted-host=a", "--trusted-host=b:80"]),
        ("--no-index --index-url https://a --extra-index-url https://b", ["--no-index"]),
        ("--no-binary b,A_c --no-binary=b", ["--no-binary=a-c,b"]),
        ("--no-binary a,b\n--only-binary b", ["--no-binary=a", "--only-binary=b"]),
        ("--no-binary a\n--only-binary :all:", ["--only-binary=:all:"]),
        ("--only-binary :all:\n--no-binary a", ["--no-binary=a", "--only-binary=:all:"]),
        ("--no-binary :all:,a", ["--no-binary=:all:"]),
        ("--no-binary a\n--no-binary :none:", []),
        ("--no-binary a,:all:,:none:,b", ["--no-binary=b"]),
        (f"--require-hashes\na==1 --hash={A}", ["--require-hashes"]),
        ("--all-releases :all:", ["--pre"]),
        ("--only-final b,A_c --all-releases=d,b", ["--all-releases=b,d", "--only-final=a-c"]),
        ("--only-final a\n--pre", ["--all-releases=:all:", "--only-final=a"]),
        ("--pre\n--only-final :all:", ["--only-final=:all:"]),
        ("--all-releases a --all-releases :none:", []),
    ],
)
def test_options(text: str, expected: list[str]) -> None:
    assert options(text) == expected


@pytest.mark.parametrize("text", ["--pre", "--index-url=https://h/?a=b", "--no-binary=a,b"])
def test_an_option_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_option(text)) == text


@pytest.mark.parametrize(
    "text", ["", "pre", "--pre=", "--no-binary", "--hash=x", "--use-feature=x", "--pre "]
)
def test_what_is_no_option(text: str) -> None:
    with pytest.raises(PlannerError, match=r"^the unknown option "):
        parse_option(text)


def test_options_of_included_files_count_where_they_are_included() -> None:
    requirements = read("-i https://a\n-r a.txt\n", a_txt="-i https://b\n--pre")
    assert requirements.options == (Option("index-url", "https://b"), Option("pre"))


@pytest.mark.parametrize(
    ("installer", "arguments"),
    [
        (
            "pip",
            (
                "--only-binary=:all: --extra-index-url=https://e --find-links=https://f "
                "--index-url=https://i --no-binary=a,b --pre --prefer-binary --require-hashes "
                "--trusted-host=t"
            ),
        ),
        (
            "uv",
            (
                "--only-binary=:all: --index=https://e --find-links=https://f --default-index=https://i "
                "--no-binary=a --no-binary=b --prerelease=allow --require-hashes --allow-insecure-host=t"
            ),
        ),
    ],
)
def test_installer_arguments(installer: Literal["uv", "pip"], arguments: str) -> None:
    text = (
        "--pre --prefer-binary --require-hashes --trusted-host t --only-binary :all: --no-binary b,a\n"
        "-i https://i --extra-index-url https://e -f https://f"
    )
    assert " ".join(installer_arguments(read(text).options, installer)) == arguments
    assert installer_arguments((Option("no-index"),), installer) == ("--no-index",)


def test_releases_as_arguments() -> None:
    given = read("--only-final :all: --all-releases b,a").options
    assert installer_arguments(given, "pip") == ("--only-final=:all:", "--all-releases=a,b")
    assert installer_arguments(given, "uv") == (
        "--prerelease=disallow",
        "--prerelease-package=a=allow",
        "--prerelease-package=b=allow",
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("-e .", f"the local package '-e .': {LOCAL}"),
        ("--editable=./libs/foo#egg=foo", f"the local package '-e ./libs/foo#egg=foo': {LOCAL}"),
        ("./local", f"the local package './local': {LOCAL}"),
        (
            "../local[extra]; os_name == 'nt'",
            f"the local package \"../local[extra]; os_name == 'nt'\": {LOCAL}",
        ),
        ("local/dir", f"the local package 'local/dir': {LOCAL}"),
        ("/opt/x", f"the local package '/opt/x': {LOCAL}"),
        ("~/x", f"the local package '~/x': {LOCAL}"),
        ("C:\\x", f"the local package 'C:\\\\x': {LOCAL}"),
        (".", f"the local package '.': {LOCAL}"),
        ("foo-1.0-py3-none-any.whl", f"the local package 'foo-1.0-py3-none-any.whl': {LOCAL}"),
        ("foo-1.0.tar.gz", f"the local package 'foo-1.0.tar.gz': {LOCAL}"),
        ("file:///croot/foo", f"the local package 'file:///croot/foo': {LOCAL}"),
        ("foo @ file:///croot/foo_1/work", f"the local package 'foo @ file:///croot/foo_1/work': {LOCAL}"),
        ("foo @ git+file:///x", f"the local package 'foo @ git+file:///x': {LOCAL}"),
        ("foo @ ../x", f"the local package 'foo @ ../x': {LOCAL}"),
        ("foo @ x", f"the local package 'foo @ x': {LOCAL}"),
        (
            "-e git+https://h/o/x.git@1f2e#egg=x[y]&subdirectory=s",
            (
                "the editable package '-e git+https://h/o/x.git@1f2e#egg=x[y]&subdirectory=s': "
                "write it as `x[y] @ git+https://h/o/x.git@1f2e#subdirectory=s`"
            ),
        ),
        (
            "-e git+https://h/o/x.git",
            "the editable package '-e git+https://h/o/x.git': write it as `git+https://h/o/x.git`",
        ),
        (
            "https://h/x.whl",
            (
                "'https://h/x.whl' is not a requirement: expected the name of a wheel at the end of the URL; "
                "write it like `https://host/name-1.0-py3-none-any.whl`"
            ),
        ),
        (
            "https://h/x.zip and more",
            (
                "'https://h/x.zip and more' is not a requirement: expected semicolon or end after a URL; "
                "write it like `https://host/name-1.0-py3-none-any.whl`"
            ),
        ),
        (
            "https://h/x.zip;os_name=='nt'",
            "the semicolon in \"https://h/x.zip;os_name=='nt'\": put a space before it, or write it as %3B",
        ),
        (
            "https://h/x.zip[a]",
            "extras behind the URL 'https://h/x.zip[a]': write it as `name[extra] @ URL`",
        ),
        (
            "s3://h/x.zip",
            (
                "'s3://h/x.zip' is not a URL to install from: "
                "write https://host/path or git+https://host/path@revision"
            ),
        ),
        (
            "x @ s3://h/x.whl",
            (
                "'x @ s3://h/x.whl' is not a URL to install from: "
                "write https://host/path or git+https://host/path@revision"
            ),
        ),
        (
            "x @ https://h/x.whl;os_name=='nt'",
            (
                "the semicolon in \"x @ https://h/x.whl;os_name=='nt'\": "
                "put a space before it, or write it as %3B"
            ),
        ),
        (
            "foo=1",
            "'foo=1' is not a requirement: expected semicolon (after name with no version specifier) or end; "
            + SHAPE,
        ),
        ("foo_", f"'foo_' is not a requirement: name is invalid: 'foo_'; {SHAPE}"),
        ("foo[x_]", f"'foo[x_]' is not a requirement: name is invalid: 'x_'; {SHAPE}"),
        ("foo===1\\ ", f"'foo===1\\\\' is not a requirement: no backslash; {SHAPE}"),
        (f"foo=={'9' * 900}{'9' * 4000}", f"'foo=={'9' * 94}…: something shorter; {SHAPE}"),
        (f"foo; {'(' * 5000}", f"'foo; {'(' * 94}…: something shorter; {SHAPE}"),
        ("a\x00b", "the control character '\\x00': remove it"),
        ("# a\u2028b", "the control character '\\u2028': remove it"),
        ("a\x1b[31m", "the control character '\\x1b': remove it"),
        ("a==${VERSION}", f"the variable ${{VERSION}}: {VARIABLES}"),
        ("-i https://u:${TOKEN}@h/simple", f"the variable ${{TOKEN}}: {VARIABLES}"),
        ("-i https://u:pw@h:80/simple", f"credentials in the URL https://***@h:80: {CREDENTIALS}"),
        ("--extra-index-url=https://tok@h", f"credentials in the URL https://***@h: {CREDENTIALS}"),
        ("x @ git+https://tok@h/x@v1", f"credentials in the URL git+https://***@h: {CREDENTIALS}"),
        ("x @ git+ssh://git:pw@h/x", f"credentials in the URL git+ssh://***@h: {CREDENTIALS}"),
        ("-e git+https://u:pw@h/x#egg=x", f"credentials in the URL git+https://***@h: {CREDENTIALS}"),
        (
            "-f ./wheels",
            "--find-links of './wheels': a local path does not exist in the image; write an http(s) URL",
        ),
        (
            "--index-url file:///srv",
            "--index-url of 'file:///srv': a local path does not exist in the image; write an http(s) URL",
        ),
        ("-i ftp://h", "--index-url of 'ftp://h': write an http(s) URL"),
        ("-i", "-i without a value: write one after it"),
        ("--find-links --pre", "--find-links without a value: write one after it"),
        ("--pre=1", "--pre with a value: it takes none"),
        ("--pre foo", "text after --pre that is not an option: give it a line of its own"),
        ("--extra-index https://h", "the unknown option --extra-index: did you mean '--extra-index-url'?"),
        ("foo --hsh=x", "the unknown option --hsh: did you mean '--hash'?"),
        ("foo --no-binary foo", "--no-binary after a requirement: give it a line of its own"),
        ("foo --config-settings a=b", "--config-settings is not supported: remove it"),
        ("foo -C a=b", "--config-settings is not supported: remove it"),
        ("--use-feature=x", "--use-feature is not supported: remove it"),
        ("--trusted-host https://h", "--trusted-host of 'https://h': write host or host:port"),
        ("--no-binary a/b", "--no-binary of 'a/b': write :all:, :none:, or package names with commas"),
        ("--pre 'x", 'a quote that does not end in "--pre \'x": close it'),
        (f"--hash={A}", "--hash without a requirement: put it on the line of its requirement"),
        (
            "x==1 --hash=md5:0123",
            (
                "--hash=md5:0123 is not a strong hash: "
                "write sha256:, sha384: or sha512: and all its hexadecimal digits"
            ),
        ),
        ("-r a.txt", "the included file 'a.txt' is missing: create it, or fix the path"),
        ("-r ../a.txt", "--requirement of '../a.txt', outside of the project: move the file into it"),
        (
            "-c x/../../a.txt",
            "--constraint of 'x/../../a.txt', outside of the project: move the file into it",
        ),
        ("-r /a.txt", "--requirement of '/a.txt', outside of the project: move the file into it"),
        ("-r C:/a.txt", "--requirement of 'C:/a.txt', outside of the project: move the file into it"),
        (
            "-r https://h/a.txt",
            "--requirement of a URL, 'https://h/a.txt': download the file into the project",
        ),
    ],
)
def test_refused(line: str, problem: str) -> None:
    assert problems(f"ok\n{line}\nfine") == [f"r.txt:2: {problem}"]


@pytest.mark.parametrize(
    "line",
    [
        "-i https://user:hunter2@h/simple",
        "--index-url=https://hunter2@h/simple",
        "-ihttps://user:hunter2@h/simple",
        "-i user:hunter2@h/simple",
        "-i //user:hunter2@h",
        "-i 'https://user:a b hunter2@h/simple'",
        "-i https://user:pw/hunter2@h/simple",
        "-i https://user:pw#hunter2@h/simple",
        "-f http://:hunter2@h/",
        "--bogus=https://user:hunter2@h/simple",
        "--bogus https://user:hunter2@h/simple",
        "--boguhttps://user:hunter2@h/simple",
        "--trusted-host user:hunter2@h",
        "--pre https://user:hunter2@h",
        "https://user:hunter2@h/x.whl",
        "x @ https://user:hunter2@h/x.whl",
        "x@https://hunter2@h/x.whl",
        "x @ https:/user:hunter2@h/x.whl",
        "x @ https//user:hunter2@h/x.whl",
        "x @ https://user:hunter2@h/x.whl bad",
        "x https://user:hunter2@h/x.whl",
        "x==https://user:hunter2@h",
        "git+https://user:hunter2@h/x@v1#egg=x",
        "-e git+https://hunter2@h/x#egg=x",
        "git+ssh://git:hunter2@h/x",
        "git+user:hunter2@h:x/y.git",
        "file://user:hunter2@h/x",
        "-r https://user:hunter2@h/r.txt",
        "-c user:hunter2@h",
        "-i https://user:hunter2@h '",
        "x \x00 https://user:hunter2@h",
        "${X} https://user:hunter2@h",
        "x==1 --hash=https://user:hunter2@h",
    ],
)
def test_credentials_never_show(line: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for shown in ["\n".join(problems(line)), "\n".join(list_problems(line)), caplog.text]:
        assert "hunter2" not in shown
    with pytest.raises(PlannerError) as caught:
        read(line)
    assert "hunter2" not in repr(caught.value) + repr(caught.value.problems)


def test_masking_leaves_what_is_no_secret() -> None:
    for text in [
        "x @ git+https://github.com/o/x.git@v1",
        "x @ git+ssh://git@github.com:22/o/x.git@v1",
        "'https://h/simple'",
        "x @ file:///tmp/x",
        "-i https://h:8080/simple",
        "--hash=sha256:00",
    ]:
        assert typed(text) == text


def test_hash_checking_is_all_or_nothing() -> None:
    pin, only = "pin it with == and add all its hashes to the line", "hash checking is all or nothing"
    text = (
        f"a==1 --hash={A}\nb\nc==1\nd>=1 --hash={A}\ne==1.* --hash={A}\nf===1 --hash={A}\n"
        f"g==1; os_name=='nt' --hash={A}\nh @ git+https://h/x\ni @ https://h/i.whl\n"
        f"j @ https://h/j.whl#sha256={'b' * 64}\nk @ https://h/k.whl --hash={A}\nl==1,>0 --hash={A}"
    )
    assert problems(text) == [
        f"r.txt:2: b is not pinned and has no hash: {pin}; {only}",
        f"r.txt:3: c has no hash: add all its hashes to the line; {only}",
        f"r.txt:4: d is not pinned: {pin}; {only}",
        f"r.txt:5: e is not pinned: {pin}; {only}",
        "r.txt:8: h comes from version control, which has no hash: install a release archive with a hash; "
        + only,
        f"r.txt:9: i has no hash: add all its hashes to the line; {only}",
        f"r.txt:12: l is not pinned: {pin}; {only}",
    ]
    assert len(problems("a==1\n--require-hashes")) == 1
    assert read(f"a==1 --hash={A}\n-c c.txt", c_txt="b<2").constraints


def test_two_pins_of_one_package() -> None:
    assert problems("torch==1.0\nnumpy\n-r a.txt\n", a_txt="\nTorch[x]==2") == [
        "a.txt:2: torch[x]==2 contradicts torch==1.0 at r.txt:1: keep one, or give each a marker"
    ]
    assert list_problems("torch==1", "torch==2+a", "torch==3") == [
        "[1]: torch==2+a contradicts torch==1 at [0]: keep one, or give each a marker"
    ]
    assert problems("a==1+x\na==1\na==1+y")[0].startswith("r.txt:3: a==1+y contradicts a==1+x at r.txt:1")
    for fine in [
        "a==1\na==1.0",
        "a==2\na==2+cu118",
        "a==1; os_name=='nt'\na==2; os_name!='nt'",
        "a==1\na==2; os_name=='nt'",
        "a==1\na>=2",
        "a==1\na==2.*",
        "a===1\na==2",
    ]:
        read(fine)


def test_all_problems_of_all_files_at_once() -> None:
    found = problems("foo=1 --hash=x\n-r a.txt --bad\n-r a.txt\n-c a.txt\nx", a_txt="-e .\n-r b.txt")
    assert [problem.split(": ")[0] for problem in found] == [
        "r.txt:1",
        "r.txt:1",
        "r.txt:2",
        "a.txt:1",
        "a.txt:2",
    ]


def test_the_root_is_missing() -> None:
    with pytest.raises(
        PlannerError, match=r"^x\.txt: the requirements file is missing: create it, or name another$"
    ):
        parse_file("x.txt", {})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "--extra-index-url=https://h",
            (
                "the option --extra-index-url in a list: write a requirements file to use options, "
                'or python_package_installer_args = { extra-index-url = "…" }'
            ),
        ),
        (
            "--pre",
            (
                "the option --pre in a list: write a requirements file to use options, "
                "or python_package_installer_args = { pre = true }"
            ),
        ),
        ("a.txt", "the file 'a.txt' in this list: write what is in it"),
        ("-r https://h/a.txt", "the file 'https://h/a.txt' behind a URL: download it into the project"),
        ("-r ../a.txt", "the file '../a.txt' outside of the project: move it into the project"),
        ("/a.txt", "the file '/a.txt' outside of the project: move it into the project"),
        (f"a==1 --hash={A}", "the option --hash in a list: write a requirements file to use options"),
        ("-e ./x", f"the local package '-e ./x': {LOCAL}"),
        ("a # b", "'#' before a word in 'a # b': write a requirement and nothing else"),
        ("", f"'' is not a requirement: expected package name at the start of dependency specifier; {SHAPE}"),
        ("a\nb", "the control character '\\n': remove it"),
        ("x @ https://u:p@h/x", f"credentials in the URL https://***@h: {CREDENTIALS}"),
        ("./x", f"the local package './x': {LOCAL}"),
    ],
)
def test_refused_in_a_list(line: str, problem: str) -> None:
    assert list_problems("fine", line) == [f"[1]: {problem}"]


def test_a_list_reports_every_problem() -> None:
    assert [p.split(":")[0] for p in list_problems("a=1", "b", "-e .", "c==1", "C==2")] == [
        "[0]",
        "[2]",
        "[4]",
    ]
    assert parse_list([]) == Requirements()


def test_what_uv_export_writes() -> None:
    """Taken from `uv export --format=requirements-txt` and `pip-compile --generate-hashes`."""
    text = f"""\
# This file was autogenerated by uv via the following command:
#    uv export --format=requirements-txt
--index-url https://index.example.org/simple
certifi==2024.2.2 \\
    --hash={A} \\
    --hash={B}
    # via requests
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash={A}
    # via
    #   click
    #   tqdm
"""
    assert to_lines(read(text)) == (
        f"certifi==2024.2.2 --hash={A} --hash={B}",
        f'colorama==0.4.6; sys_platform == "win32" --hash={A}',
    )


def test_what_pip_freeze_writes() -> None:
    text = """\
# Editable Git install with no remote (local==0.1)
-e /home/me/local
anyio @ file:///croot/anyio_1729121277521/work
-e git+https://github.com/o/tool.git@0f1e2d3c#egg=tool
numpy==1.26.4
"""
    assert [problem.partition(" package ")[2].partition(": ")[0] for problem in problems(text)] == [
        "'-e /home/me/local'",
        "'anyio @ file:///croot/anyio_1729121277521/work'",
        "'-e git+https://github.com/o/tool.git@0f1e2d3c#egg=tool'",
    ]
