"""README.md and docs/ say what is true: every example in them runs, every name is there, no link is broken.

`--update-golden` writes the output of the examples into the pages; review what changes.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import stowplan
from executor.cli.main import cli
from executor.observe.python import host_platform
from planner.settings.build_options import BuildConfig, BuildOptions
from planner.settings.docker import DockerSettings
from tests.contract.conftest import variable
from tests.e2e.pages import Block, Page, Reader, masked, matches, same_keys, shape
from tests.e2e.still import said, still

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKING = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*/*.md"))]
REFERENCE = ROOT / "docs/reference.md"
# What a page can need, and the variable of `scripts/engines.sh env` that says it is there.
NEEDS = {
    "docker": "STOWPLAN_TEST_DOCKER",
    "podman": "STOWPLAN_TEST_PODMAN",
    "registry": "STOWPLAN_TEST_REGISTRY",
}
# As the pages have them.
REGISTRY = "localhost:5000"
PLATFORM = "linux/amd64"
HOST = "models.example.com"
STILL = ROOT / "docs/terminal.svg"
SHOP = """\
from stowplan import DockerSettings, pipeline, step


@step
def load() -> list[int]:
    return [120, 130, 125]


@step(settings={"docker": DockerSettings(requirements=["humanize==4.12.2"])})
def train(orders: list[int]) -> float:
    return sum(orders) / len(orders)


@step
def report(size: float) -> None:
    print(f"the next order: about {size:.0f}")


@pipeline(settings={"docker": DockerSettings(parent_image="python:3.11-slim")})
def forecast() -> None:
    report(train(load()))
"""
SHOWN = ("stowplan init", "stowplan plan", "stowplan apply")


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_the_examples_run(path: Path, tmp_path: Path, update_golden: bool) -> None:
    page = Page.read(path)
    for need in page.needs:
        variable(NEEDS[need])
    # A part of the registry that nobody has pushed to, and a value that no other image has.
    own = f"docs-{uuid.uuid4().hex[:8]}"
    replaced = {PLATFORM: host_platform(), HOST: f"{own}.{HOST}"}
    if "registry" in page.needs:
        replaced[REGISTRY] = f"{os.environ[NEEDS['registry']]}/{own}"
    right = {}
    with Reader.at(tmp_path, replaced) as reader:
        for block in page.blocks:
            if (text := reader.follow(block)) is not None:
                right[block.line] = text
    if right and update_golden:
        path.write_text(page.with_blocks(right), encoding="utf-8")
    elif right:
        pytest.fail(_difference(page, right), pytrace=False)


def test_the_still_is_what_the_commands_print(tmp_path: Path, update_golden: bool) -> None:
    variable(NEEDS["docker"])
    printed = []
    with Reader.at(tmp_path, {}) as reader:
        # A line that no other project has: nobody else has these images.
        (reader.project / "shop.py").write_text(f"{SHOP}# {uuid.uuid4().hex}\n", encoding="utf-8")
        reader.type("unset NO_COLOR; export FORCE_COLOR=1")
        for command in SHOWN:
            code, output = reader.type(f"{command} 2>/dev/null")
            assert code == 0, f"$ {command}\nfails with {code}:\n{output}"
            printed.append(f"\x1b[1m$ {command}\x1b[0m\n{output}")
    drawn = still("\n".join(printed))
    if update_golden:
        STILL.write_text(drawn, encoding="utf-8")
    assert masked(said(STILL.read_text(encoding="utf-8"))) == masked(said(drawn))


def test_a_still_has_the_text_that_was_printed() -> None:
    text = "$ a <b> {c} & 100% \u2192\n\n  d"
    drawn = still(text.replace("<b>", "\x1b[32m<b>\x1b[0m") + "\n")
    assert said(drawn) == text
    assert ">&lt;b&gt;</text>" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def _difference(page: Page, right: dict[int, str]) -> str:
    before, after = page.text.splitlines(), page.with_blocks(right).splitlines()
    return "\n".join(difflib.unified_diff(before, after, names(page.path), "what it does", lineterm="", n=2))


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_every_command_in_a_page_is_one(path: Path) -> None:
    page = Page.read(path)
    elsewhere = [block.text for block in page.blocks if block.language in {"sh", "yaml"}]
    prose = re.sub(r"^ *```.*?^ *```$", "", page.text, flags=re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`(stowplan [^`]+)`", prose)
    # A marker in what a command prints is no command.
    typed_elsewhere = (re.sub(r"<!--.*?-->", "", text) for text in elsewhere)
    for line in [*inline, *(line for text in typed_elsewhere for line in text.splitlines())]:
        for typed in re.findall(r"\bstowplan (?!\w+/)[a-z-][^|>&#]*", line):
            words = [word for word in shlex.split(typed)[1:] if word != "…"]
            _parse(cli, words, f"{names(path)}: {typed}")


def _parse(command: click.Command, words: list[str], said: str) -> None:
    """Fail if the command line has no such commands or options."""
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, said
        command = found
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known, said


@pytest.mark.parametrize("path", LINKING, ids=names)
def test_every_link_leads_somewhere(path: Path) -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\[[^]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.is_relative_to(ROOT), target
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("kind", [DockerSettings, BuildConfig, BuildOptions])
def test_the_reference_names_every_setting(kind: type[DockerSettings | BuildConfig | BuildOptions]) -> None:
    section = _section(f"## {kind.__name__}")
    said = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(said) == sorted(kind.settable())


def _section(heading: str) -> str:
    """The text of the reference below a heading, to the next one of its level or above."""
    level = heading.index(" ")
    text = REFERENCE.read_text("utf-8")
    pattern = rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)"
    found = re.search(pattern, text, flags=re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def test_the_reference_names_every_public_name() -> None:
    said = set(re.findall(r"`(\w+)", _section("## Python")))
    assert set(stowplan.__all__) <= said


def _commands(
    command: click.Command, words: tuple[str, ...] = ("stowplan",)
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*words, name))


# What says how the output is to look means the same wherever it is.
LOOKS = ("color", "quiet", "verbose")


@pytest.mark.parametrize(("words", "command"), [pytest.param(*pair, id=pair[0]) for pair in _commands(cli)])
def test_the_reference_names_every_option(words: str, command: click.Command) -> None:
    above = _section("## Commands")
    section = above if words == "stowplan" else _section(f"### `{words}`")
    for parameter in command.params:
        names = (*parameter.opts, *parameter.secondary_opts)
        for name in names if isinstance(parameter, click.Option) else ():
            assert f"`{name}" in (above if parameter.name in LOOKS else section), name
    if not isinstance(command, click.Group):
        said = set(re.findall(r"`(--?[a-z0-9-]+)", section.partition("\n### ")[0]))
        spelt = [[*each.opts, *each.secondary_opts] for each in command.params]
        known = {name for each in spelt for name in each} | {"--help", "-h"}
        assert said <= known


def _schemas() -> Iterator[tuple[str, Block]]:
    page = Page.read(REFERENCE)
    for block in page.blocks:
        if block.language == "json":
            found = re.search(r'"schema": "([^"]+)"', block.text)
            assert found, f"line {block.line}: JSON without a schema"
            yield found[1], block


def test_every_schema_has_an_example() -> None:
    second = ("plan", "apply", "diff", "lock", "image", "error", "builds", "build")
    first = (
        *(
            "why",
            "impact",
            "explain",
            "outdated",
            "records",
            "record",
            "prune",
            "integrations",
            "integration",
            "settings",
            "run",
            "runs",
        ),
        *("stacks", "stack", "doctor"),
    )
    known = [*(f"stowplan/{kind}/2" for kind in second), *(f"stowplan/{kind}/1" for kind in first)]
    assert sorted(schema for schema, _ in _schemas()) == sorted(known)


def test_the_reference_names_every_key_of_every_schema() -> None:
    for schema, block in _schemas():
        section = _section(f"### `{schema}`")
        said = re.findall(r"^\| `([\w.\[\]]+)` \|", section, flags=re.MULTILINE)
        # What is in `generated` has the names of files.
        places = [place for place in shape(json.loads(block.text)) if not place.startswith("generated.")]
        assert sorted(said) == sorted(place for place in places if not place.endswith("[]")), schema


@pytest.mark.parametrize(
    ("said", "real", "same"),
    [
        ("plan ...; fresh", "plan 0a1b2c3d4e5f; fresh\n", True),
        ("built in ... s", "built in 10.6 s", True),
        ("plan ...", "plan nothing", False),
        ("...", "a\nb", False),
        ("a", "a\nb", False),
        ("a  \nb", "a\nb   \n\n", True),
    ],
)
def test_dots_hide_hashes_and_times_only(said: str, real: str, same: bool) -> None:
    assert matches(said, real) is same


@pytest.mark.parametrize(
    ("said", "real", "same"),
    [
        ({"a": 1, "b": [{"c": "x"}]}, {"a": 2, "b": [{"c": "y"}, {"c": "z"}]}, True),
        ({"a": None}, {"a": "text"}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"b": []}, {"b": [{"c": 1}]}, False),
    ],
)
def test_json_examples_are_compared_by_keys_and_types(said: object, real: object, same: bool) -> None:
    assert (not list(same_keys(said, real))) is same


def test_an_example_that_fails_or_differs_is_noticed(tmp_path: Path) -> None:
    with Reader.at(tmp_path, {}) as reader:
        assert reader.follow(Block(1, "console", "$ echo a\na\n$ false\n$ echo $?\n1\n")) is None
        assert reader.follow(Block(1, "console", "$ echo a\nb\n")) == "$ echo a\na\n"
        with pytest.raises(AssertionError, match="fails with 1"):
            reader.follow(Block(1, "console", "$ false\n"))
        assert reader.follow(Block(1, "python", "seen = 1\nprint(seen)\n")) is None
        assert reader.follow(Block(1, "text", "2\n", {"output": ""})) == "1\n"
        with pytest.raises(ZeroDivisionError):
            reader.follow(Block(1, "python", "seen / 0\n"))
