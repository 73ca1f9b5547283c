"""Foreign text in what commands print: nothing of it is obeyed by a terminal, whatever it stood in."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import unicodedata
from pathlib import Path

import pytest
from attrs import evolve

from executor.apply.outcome import Result
from executor.records.store import Record, Records
from planner.image.plan import ImagePlan
from tests.builders import image_of
from tests.e2e.command import PINNED, Project

# A title, a colour, a link, a picture in iTerm, a right-to-left override, a tag, a C1 introducer.
HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b]8;;https://evil.example\x1b\\\u202elink\U000e0041\x9b2J\x7f"
MARKUP = "<script>alert(1)</script> # @admin #12 ![x](https://evil.example) | `x` <!--"
IN_TOML = "".join(f"\\U{ord(each):08x}" for each in HOSTILE)


def obeyed(text: str) -> list[str]:
    """The characters of a text that are not shown as they are, line ends and tabs of blocks aside."""
    return [
        f"{ord(each):x}"
        for each in text.replace("\n\t", "").replace("\n", "")
        if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and each != "\u200b"
    ]


GOOD = f"""
    [pipeline.p]
    steps = ["a"]
    [pipeline.p.settings.docker]
    parent_image = "{PINNED}"
    environment = {{ A = "{IN_TOML}", B = "{MARKUP}" }}
    local_project_install_command = "echo {IN_TOML}"
    build_config.build_options.labels = {{ l = "{IN_TOML}" }}
    """


@pytest.mark.parametrize("output", ["text", "json", "markdown"])
@pytest.mark.parametrize(
    "command", [["plan"], ["show", "p"], ["diff"], ["lock"], ["lock", "--check"]], ids=" ".join
)
def test_values_of_settings(project: Project, command: list[str], output: str) -> None:
    project.write({"stowplan.toml": GOOD, "train.py": ""})
    if command == ["diff"]:
        project.ok("lock")
        project.write({"stowplan.toml": GOOD.replace("red", "blue").replace("B =", "C =")})
    ran = project.run(*command, "-o", output)
    assert obeyed(ran.out + ran.err) == []
    assert ran.code == (1 if "--check" in command else 0)
    if output == "json":
        assert json.loads(ran.out)
    if output == "markdown":
        assert all("`" in line for line in ran.out.splitlines() if MARKUP in line)


@pytest.mark.parametrize("output", ["text", "json", "markdown"])
@pytest.mark.parametrize(
    "line",
    [
        f'"{IN_TOML}" = 1',
        f'user = "{IN_TOML}"',
        f'apt_packages = ["{IN_TOML}"]',
        f'parent_image = "{IN_TOML}"',
        f'requirements = ["{IN_TOML}"]',
        f'requirements = "{IN_TOML}"',
        f'environment."{IN_TOML}" = "x"',
        f'build_config.build_options."{IN_TOML}" = "x"',
        f'build_config.dockerignore = "{IN_TOML}"',
        f'python_package_installer_args."{IN_TOML}" = "x"',
    ],
)
def test_errors_about_settings(project: Project, line: str, output: str) -> None:
    project.write({"stowplan.toml": f'[pipeline.p]\nsteps = ["a"]\n[pipeline.p.settings.docker]\n{line}\n'})
    ran = project.run("plan", "-o", output)
    assert ran.code == 1
    assert obeyed(ran.out + ran.err) == []


@pytest.mark.parametrize(
    "argv",
    [
        [HOSTILE], [f"--{HOSTILE}"], ["plan", HOSTILE], ["plan", f"--{HOSTILE}"], ["plan", "-o", HOSTILE],
        ["plan", "--stack", HOSTILE], ["plan", "--engine", HOSTILE], ["plan", "--project", HOSTILE],
        ["show", HOSTILE], ["builds", HOSTILE], ["builds", "show", HOSTILE], ["diff", HOSTILE],
        ["builds", "list", "--limit", HOSTILE], ["lock", "--upgrade-image", HOSTILE], ["plan", "p", HOSTILE],
    ],
    ids=lambda argv: ascii(" ".join(argv).replace(HOSTILE, "…")),
)  # fmt: skip
def test_wrong_command_lines(project: Project, argv: list[str]) -> None:
    project.write({"stowplan.toml": GOOD})
    ran = project.run(*argv)
    assert ran.code in (1, 64)
    assert ran.err
    assert obeyed(ran.out + ran.err) == []


def test_names_of_files(project: Project) -> None:
    project.write({"stowplan.toml": GOOD})
    name = HOSTILE.replace("/", "") + "\n.env"
    (project.root / name).write_text("x")
    for output in ("text", "json", "markdown"):
        ran = project.ok("show", "p", "-o", output)
        assert obeyed(ran.out + ran.err) == []
    # What is piped is for programs, which want the names that the files have.
    assert project.ok("show", "p", "--context").out == f"{name}\n"
    assert project.ok("show", "p", "--context", "-0").out == f"{name}\0"
    os.mkfifo(project.root / f"{HOSTILE.replace('/', '')}.fifo")
    ran = project.run("plan")
    assert ran.code == 1
    assert obeyed(ran.err) == []


def on_a_terminal(project: Project, *argv: str) -> str:
    """All that a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        project.command(*argv), cwd=project.root, env=project.environment({"TERM": "xterm"}),
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        data = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux' way to say that nobody has the other end any more
                break
            if not part:
                break
            data += part
        os.close(ours)
        assert process.wait() == 0
    return data.decode().replace("\r\n", "\n")


def test_what_is_exact_in_a_pipe_is_encoded_on_a_terminal(project: Project) -> None:
    project.write({"stowplan.toml": GOOD, HOSTILE.replace("/", ""): "x"})
    assert HOSTILE.replace("/", "") in project.ok("show", "p", "--context").out
    assert "\x1b]0;title\x07\x1b[31m" in project.ok("show", "p", "--dockerfile").out
    for part in ("--context", "--dockerfile"):
        shown = on_a_terminal(project, "show", "p", part)
        assert "\\x1b]0;title\\x07" in shown
        assert obeyed(shown) == []


def recorded(project: Project) -> ImagePlan:
    """A record of a build that failed, with hostile text from an engine in it."""
    image = image_of({"environment": {"A": "1"}})
    record = Record(
        id=0, finished="2026-01-01T00:00:00+00:00", seconds=1.0, pipeline="p", stack="default", image="p",
        hash=str(image.hash), status=Result.FAILED, engine=HOSTILE, reference="localhost/p:1", digest=None,
        error=f"{HOSTILE}\n{MARKUP}\n\tthe end",
    )  # fmt: skip
    records = Records(project.root)
    records.add(record, image)
    records.add(evolve(record, status=Result.PUSHED, pushed=True, error=None), image)
    return image


@pytest.mark.parametrize("output", ["text", "json", "yaml", "markdown"])
def test_records(project: Project, output: str) -> None:
    recorded(project)
    for command in (["list", "--images"], ["show", "1"]):
        ran = project.ok("builds", *command, "-o", output)
        assert "title" in ran.out
        assert obeyed(ran.out + ran.err) == []
    ran = project.ok("builds", "delete", "1")
    assert obeyed(ran.out + ran.err) == []


def test_a_record_is_shown_in_words(project: Project) -> None:
    recorded(project)
    text = project.ok("builds", "show", "1").out
    assert "pushed     no\n" in text
    assert "           \\u202e" not in text
    assert text.endswith("\n                   the end\n")
    assert "pushed     yes\n" in project.ok("builds", "show", "2").out
    assert "- **pushed**: `yes`\n" in project.ok("builds", "show", "2", "-o", "markdown").out
    assert project.ok("builds", "show", "2", "-o", "json").data["pushed"] is True


def test_a_hostile_lock(project: Project, tmp_path: Path) -> None:
    project.write({"stowplan.toml": GOOD})
    project.ok("lock")
    text = (project.root / "stowplan.lock").read_text()
    for old, new in (
        ('"p"', f'"{IN_TOML}"'),
        ("version = 2", f'version = "{IN_TOML}"'),
        ("[[image]]", f"[{IN_TOML}"),
    ):
        hostile = tmp_path / "hostile.lock"
        hostile.write_text(text.replace(old, new))
        for output in ("text", "json", "markdown"):
            ran = project.run("diff", str(hostile), "-o", output)
            assert ran.code == 1
            assert obeyed(ran.out + ran.err) == []
