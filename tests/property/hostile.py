"""Hostile projects: whatever can be in the files, the state, the environment and the arguments of a command.

A case is drawn by Hypothesis and is nothing but values. None reaches an engine or a registry: what names one
leads nowhere. `playing` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import tomlkit
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from planner import DockerSettings
from planner.settings.option_table import OPTIONS

__all__ = ["PASSWORD", "VALUE", "Case", "Mutation", "Odd", "cases"]

PASSWORD: Final = "Xq7.hunter22-Zw"
"""Stands where URLs and references have a login."""
VALUE: Final = "v4lue/of+a secret"
"""What the variable STOWPLAN_SECRET holds, which settings name."""

PINNED: Final = f"python@sha256:{'0' * 64}"


@frozen
class Odd:
    """Something in the project that is no file with a content."""

    kind: str
    target: str = ""


@frozen
class Mutation:
    """Bytes of a file that are replaced before a command: from a place in thousandths, so many, by these."""

    path: str
    place: int
    length: int
    data: bytes

    def of(self, content: bytes) -> bytes:
        """The content after it."""
        start = len(content) * self.place // 1000
        return content[:start] + self.data + content[start + self.length :]


@frozen
class Case:
    """A project, what is odd in it, the environment, and the commands, with what happens before each."""

    files: Mapping[str, bytes]
    odd: Mapping[str, Odd]
    environment: Mapping[str, str]
    commands: tuple[tuple[tuple[Mutation, ...], tuple[str, ...]], ...]

    def __str__(self) -> str:
        return (
            f"{dict(self.files)!r} {dict(self.odd)!r} {dict(self.environment)!r} "
            f"{[(list(mutations), list(argv)) for mutations, argv in self.commands]!r}"
        )


# --- text

_AWKWARD: Final = (
    "", " ", "\t", "\n", "\r\n", "\0", "\x1b[31mred\x1b[0m", "\x1b]8;;https://example.org\x07x\x1b]8;;\x07", "\x07",
    "\x9b31m", "\u202e", "\u2028", "\ufeff", "é", "e\u0301", "日本", "🚢", "\udcff", "'", '"', "`id`", "$(id)", "${",
    "${STOWPLAN_SECRET}", "${NOT_SET}", "$$", "\\", "a\\", "%s", "{}", "{0}", "--x", "-", "@", "#", "=", ":", "/",
    "//", "..", "../..", "/etc/passwd", "~", "*", "**", "[", "!", "a" * 300, "<script>", "@someone", "![x](y)",
    "|", "null", "true", "1e999", "nan", "0x10", "-1", "9" * 5000, "con", ".", ".git", "stowplan.lock", ".stowplan",
)  # fmt: skip
_LOGINS: Final = (
    f"https://user:{PASSWORD}@example.org/simple", f"git+https://{PASSWORD}@example.org/x.git",
    f"user:{PASSWORD}@registry.example/x:1", f"//user:{PASSWORD}@example.org", f"https://example.org/?token={PASSWORD}",
    f"x @ https://user:{PASSWORD}@example.org/x-1-py3-none-any.whl",
)  # fmt: skip
_characters = st.text(st.characters(exclude_categories=[]), max_size=8)
text = st.sampled_from(_AWKWARD) | st.sampled_from(_LOGINS) | _characters
line = st.lists(text, max_size=3).map("".join)
_name = st.sampled_from(("train", "load", "p", "default", "a.b", "A", "é", "train ", "")) | text

# --- the project file

_SETTINGS: Final = tuple(field.name for field in attrs.fields(DockerSettings))
_GOOD: Final[Mapping[str, tuple[object, ...]]] = {
    "parent_image": (PINNED, "localhost:1/base:1", "localhost/base"),
    "requirements": ("requirements.txt", ["six==1.16.0"], "more/requirements.txt"),
    "apt_packages": (["git"], ["libgomp1=1.0"]),
    "environment": ({"A": "1"}, {"TOKEN": "${STOWPLAN_SECRET}"}),
    "runtime_environment": ({"A": "it's"}, {"TOKEN": "x${STOWPLAN_SECRET}y"}),
    "user": ("1000:1000", "me"),
    "python_package_installer": ("pip", "uv"),
    "build_config": ({"build_options": {"network": "host"}}, {"dockerignore": ".dockerignore"}),
    "image_tag": ("latest",),
    "skip_build": (True, False),
    "local_project_install_command": ("pip install .",),
    "allow_including_files_in_images": (True, False),
}


def _values(depth: int = 2) -> SearchStrategy[Any]:
    """Any value that TOML has."""
    plain = (
        line
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=True)
        | st.dates()
        | st.times()
    )
    if depth == 0:
        return plain
    below = _values(depth - 1)
    return plain | st.lists(below, max_size=3) | st.dictionaries(text, below, max_size=3)


@st.composite
def _settings(draw: st.DrawFn, *, hostile: bool) -> dict[str, Any]:
    """Settings that are as they should be, but for one or two where they are hostile."""
    made: dict[str, Any] = {"parent_image": PINNED}
    for name in draw(st.lists(st.sampled_from(sorted(_GOOD)), max_size=4)):
        made[name] = draw(st.sampled_from(_GOOD[name]))
    if hostile and draw(st.integers(0, 3)):
        made[draw(st.sampled_from(_SETTINGS) | text)] = draw(_values())
    elif hostile:
        options = {draw(st.sampled_from(sorted(OPTIONS)) | text): draw(_values(1))}
        made["build_config"] = {"build_options": options}
    return made


settings: Final = _settings(hostile=True)
"""Settings of an image that may be wrong in any way."""


@st.composite
def _tables(draw: st.DrawFn, *, hostile: frozenset[str]) -> dict[str, Any]:
    """The tables of a project file."""
    name = _name if "names" in hostile else st.sampled_from(("train", "load"))
    steps: list[Any] = draw(st.lists(name, min_size=1, max_size=3, unique=True))
    settings = _settings(hostile="settings" in hostile)
    pipeline: dict[str, Any] = {"steps": steps, "settings": {"docker": draw(settings)}}
    if draw(st.integers(0, 2)) == 0:
        step = draw(st.sampled_from(steps))
        pipeline["step"] = {str(step): {"settings": {"docker": draw(settings)}}}
    made: dict[str, Any] = {"pipeline": {"p" if "names" not in hostile else draw(_name): pipeline}}
    if draw(st.integers(0, 3)) == 0:
        uri = draw(st.just("localhost:1/team") if "settings" not in hostile else line)
        made["stack"] = {"default": {"container_registry": {"uri": uri}}}
    if "tables" in hostile:
        place = draw(st.sampled_from((made, pipeline, pipeline["settings"])))
        place[draw(st.sampled_from(("pipeline", "stack", "steps", "step", "docker", "settings")) | _name)] = (
            draw(_values())
        )
    return made


def _toml(tables: Mapping[str, Any]) -> bytes:
    """The text of tables, as far as TOML can hold them."""
    try:
        return tomlkit.dumps(_storable(tables)).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, OverflowError):
        return b""


def _storable(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _storable(item) for key, item in value.items()}
        case list():
            return [_storable(item) for item in value]
    return value


_RAW: Final = (
    b"", b"\xff\xfe", b"\xef\xbb\xbf[pipeline.p]\nsteps = ['a']\n", b"[[pipeline]]\n", b"pipeline = 3\n",
    b"x = " + b"[" * 3000, b"x = " + b"9" * 5000, b"a" + b".a" * 3000 + b" = 1", b"[pipeline.p]\r\nsteps=['a']\r",
    b"[pipeline.p]\nsteps = ['a']\nsettings = 1\n", b"[pipeline.p.settings.docker]\n", b"[stack]\n", b"\0",
    b"[pipeline]\np = {steps = ['a'], settings.docker.parent_image = 'x'}\n", b"# " + b"x" * 100_000,
)  # fmt: skip
raw = st.sampled_from(_RAW) | st.binary(max_size=40)
pyprojects = st.sampled_from((
    b"[[tool.stowplan]]\n", b"tool = 'stowplan'\n", b"[tool]\nstowplan = 3\n", b"tool = ['stowplan']\n",
    b"[tool.stowplan.pipeline.p]\nsteps = ['a']\n", b"stowplan \xff", b"[tool.stowplan\n", b"# stowplan\n",
)) | raw  # fmt: skip

# --- other files

_REQUIREMENTS: Final = (
    "six==1.16.0", "six", "six==1.16.0 --hash=sha256:" + "0" * 64, "-r requirements.txt", "-r more.txt", "-c more.txt",
    "-e .", "./x", "--index-url https://example.org/simple", "--pre", "x @ file:///x", "x @ git+https://example.org/x",
    "six ; python_version < '3'", "six \\", "# comment", "six[a,b]>=1,<2", "-r", "--hash", "six==", "git+ssh://x/y",
    "six==" + "1." * 3000, "-r " + "a/" * 2000, "six; " + "(" * 500 + "python_version<'3'" + ")" * 500,
)  # fmt: skip
_PATTERNS: Final = (
    "*", "**", "!**", "*.pyc", "a/**/b", "!train.py", "/", ".", "..", "[a", "[^x]*" * 7, "*" * 40 + "b", "\\", "a\\",
    "**/" * 30 + "x", "!.stowplan/**", "!stowplan.lock", "# no", " ", "[a-", "[]]", "{a,b}", "?" * 100,
)  # fmt: skip


def _lines(usual: tuple[str, ...]) -> SearchStrategy[bytes]:
    """A file of some usual lines and of others, or no text at all."""
    lines = st.lists(st.sampled_from(usual) | line, max_size=5)
    return lines.map(lambda drawn: "\n".join(drawn).encode("utf-8", "surrogatepass")) | raw


requirement_files, ignore_files = _lines(_REQUIREMENTS), _lines(_PATTERNS)

_PATHS: Final = (
    "train.py", "load.py", "more.txt", "more/requirements.txt", "é.py", "e\u0301.py", "日本/🚢.py", "a b.py", "a\nb.py",
    "\x1b[31mred.py", "\udcff.py", ".wh.x", "-x", "x" * 255, "a/" * 40 + "deep.py", ".env", "id_rsa", "'.py", '".py',
    "a\\b.py", "sub/.stowplan/tmp/x", "sub/stowplan.toml", ".git/config", "Dockerfile", "<b>.py", "@someone.py",
)  # fmt: skip
_ODD: Final = (
    Odd("fifo"), Odd("directory"), Odd("link", "nowhere"), Odd("link", "."), Odd("link", "/dev/zero"),
    Odd("link", "/etc/passwd"), Odd("link", "../outside"), Odd("link", "stowplan.toml"),
    Odd("link", "own.lock"), Odd("link", "train.py"), Odd("loop"), Odd("large"),
)  # fmt: skip
_STATE: Final = (
    ".stowplan", ".stowplan/.gitignore", ".stowplan/cache.sqlite3", ".stowplan/records.sqlite3", ".stowplan/tmp",
    ".stowplan/records.sqlite3-journal", ".stowplan/records.sqlite3-wal", ".stowplan/writer", ".stowplan/tmp/0123",
    ".stowplan/cache.sqlite3-journal",
)  # fmt: skip
_OF_THE_PROJECT: Final = (
    "stowplan.lock",
    "stowplan.toml",
    "requirements.txt",
    ".dockerignore",
    "pyproject.toml",
)
_state_files = st.sampled_from((b"", b"x", b"SQLite format 3\0" + b"\xff" * 2000, b"\0" * 4096)) | st.binary(
    max_size=40
)
locks = st.sampled_from((
    b"", b"version = 2\n", b"version = 1\n", b"version = 99\n", b"version = true\n", b"version = '2'\n",
    b"version = 2\n<<<<<<< ours\n=======\n>>>>>>> theirs\n", b"version = 2\n[[image]]\nname = 'p'\n", b"image = 3\n",
    b"version = 2\n[[image]]\nname = '\x1b[31m'\n".replace(b"\x1b", b"\\u001b"), b"version = 2\nimage = [1]\n",
    b"version = 2\n[[package]]\nname = 3\n", b"version = 2\n[[pushed]]\nname = '<script>'\n",
)) | raw  # fmt: skip

# --- environment and arguments

_ENVIRONMENT: Final[Mapping[str, tuple[str, ...]]] = {
    "STOWPLAN_SECRET": ("", "x", f"{VALUE}\nsecond line", "\udcff", 'it\'s "q" $x \\ ' + VALUE),
    "STOWPLAN_CONTAINER_ENGINE": ("docker", "podman", "dokcer", "\x1b[31m", "\udcff"),
    "ZENML_CONTAINER_ENGINE": ("docker", "x"),
    "STOWPLAN_DOCKER_BUILDER": ("classic", "buildkit", "auto", "x\ny"),
    "DOCKER_HOST": (
        "tcp://127.0.0.1:1",
        "nonsense",
        "unix://",
        "ssh://127.0.0.1:1",
        "unix:///\udcff",
        "npipe://x",
        "x:y",
    ),
    "DOCKER_CONTEXT": ("nowhere", "default", "\x1b[31m"),
    "DOCKER_CONFIG": ("nowhere", "/dev/null", "/dev/zero", "\udcff"),
    "REGISTRY_AUTH_FILE": ("/dev/zero", "nowhere", "."),
    "HOME": ("/nonexistent", "", "\udcff", "/dev/null"),
    "TMPDIR": ("/nonexistent", "/dev/null", "", "\udcff", "."),
    "XDG_CACHE_HOME": ("/dev/null", "/nonexistent", "relative", "\udcff"),
    "XDG_RUNTIME_DIR": ("/dev/null", "\udcff"),
    "LC_ALL": ("C", "de_DE.ISO-8859-1", "x"),
    "PYTHONWARNINGS": ("error",),
    "PYTHONIOENCODING": ("ascii", "cp1252", "latin-1:strict"),
    "COLUMNS": ("0", "-1", "x", "9" * 5000),
    "TERM": ("dumb", "", "x"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1",),
    "SOURCE_DATE_EPOCH": ("x", "-1"),
    "HTTPS_PROXY": ("x", "http://[", f"http://user:{PASSWORD}@127.0.0.1:1", "http://127.0.0.1:1"),
    "NO_PROXY": ("*", "["),
    "PATH": ("", "/nonexistent", "."),
}
environments = st.lists(st.sampled_from(sorted(_ENVIRONMENT)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(_ENVIRONMENT[name]) for name in names})
)
_COMMANDS: Final = (
    ("plan",), ("plan",), ("plan", "-o", "json"), ("plan", "-o", "markdown"), ("lock",), ("lock", "--allow-unpinned"),
    ("lock", "--check"), ("diff",), ("diff", "-o", "markdown"), ("diff", "hostile.lock"), ("apply",),
    ("apply", "--engine", "podman"), ("show", "train"), ("show", "p", "--context"), ("show", "p", "--dockerfile"),
    ("show", "p", "-o", "json"), ("builds", "list"), ("builds", "list", "--images", "-o", "json"),
    ("builds", "show", "1"), ("builds", "show"), ("builds", "list", "-o", "yaml"), ("builds", "prune", "--dry-run"),
    ("builds", "show", "9223372036854775808"), ("builds", "delete", "1", "--image"), ("outdated",), ("--version",),
    ("plan", "--html", "page.html"), ("show", "train", "--html", "page.html"),
    ("plan", "--frozen", "-o", "json"), ("plan", "--locked"), ("apply", "--frozen"), ("lock", "--upgrade"), ("--help",),
)  # fmt: skip
_FIRST: Final = (("lock", "--allow-unpinned"), ("plan",), ("apply",))
_OPTIONS: Final = (
    "--project", "--pipeline", "--stack", "--engine", "-o", "--frozen", "--locked", "--offline", "--jobs", "--limit",
    "--detailed-exitcode", "--upgrade-image", "--check", "--image", "--nothing", "--", "-",
)  # fmt: skip
# What a process can be given: no NUL.
_argument = (line | st.sampled_from(_OPTIONS) | st.sampled_from(_PATHS)).map(
    lambda word: word.replace("\0", "")
)


@st.composite
def _argv(draw: st.DrawFn, *, hostile: bool) -> tuple[str, ...]:
    known = draw(st.sampled_from(_COMMANDS))
    return (*known, *draw(st.lists(_argument, min_size=1, max_size=3))) if hostile else known


@st.composite
def _mutations(draw: st.DrawFn, *, hostile: bool) -> tuple[Mutation, ...]:
    if not hostile:
        return ()
    path = draw(st.sampled_from((*_OF_THE_PROJECT, "stowplan.lock", "stowplan.lock", *_STATE, "train.py")))
    data = draw(text.map(lambda word: word.encode("utf-8", "surrogatepass")) | st.binary(max_size=8))
    return (Mutation(path, draw(st.integers(0, 1000)), draw(st.sampled_from((0, 1, 10, 10**6))), data),)


_SPOTS: Final = (
    "settings", "settings", "names", "tables", "project file", "pyproject", "requirements", "ignore file", "lock",
    "paths", "state", "odd", "environment", "environment", "arguments", "changes", "changes",
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A project that is in order but for a few hostile spots, and what is done in it."""
    hostile = frozenset(draw(st.lists(st.sampled_from(_SPOTS), min_size=1, max_size=3)))
    files = {
        "stowplan.toml": draw(raw if "project file" in hostile else _tables(hostile=hostile).map(_toml)),
        "train.py": b"print()\n",
        "requirements.txt": b"six==1.16.0\n",
        "more/requirements.txt": b"-r ../requirements.txt\nattrs\n",
        ".dockerignore": b"*.pyc\n",
    }
    if "pyproject" in hostile:
        files["pyproject.toml"] = draw(pyprojects)
        if draw(st.booleans()):
            del files["stowplan.toml"]
    if "requirements" in hostile:
        files["requirements.txt"] = draw(requirement_files)
        files["more.txt"] = draw(requirement_files)
    if "ignore file" in hostile:
        files[".dockerignore"] = draw(ignore_files)
    if "lock" in hostile:
        files[draw(st.sampled_from(("hostile.lock", "stowplan.lock")))] = draw(locks)
    if "paths" in hostile:
        for path in draw(st.lists(st.sampled_from(_PATHS), min_size=1, max_size=3, unique=True)):
            files[path] = draw(st.sampled_from((b"", b"print()\n", b"\0\xff", VALUE.encode())))
    if "state" in hostile:
        for path in draw(st.lists(st.sampled_from(_STATE), min_size=1, max_size=2, unique=True)):
            files[path] = draw(_state_files)
    odd = {}
    if "odd" in hostile:
        path = draw(st.sampled_from((*_OF_THE_PROJECT, *_STATE, "odd", "more/odd", "hostile.lock")))
        odd[path] = draw(st.sampled_from(_ODD))
    environment = draw(environments) if "environment" in hostile else {}
    step = st.tuples(_mutations(hostile="changes" in hostile), _argv(hostile="arguments" in hostile))
    commands = [((), draw(st.sampled_from(_FIRST))), *draw(st.lists(step, min_size=1, max_size=3))]
    return Case(files, odd, environment, tuple(commands))
