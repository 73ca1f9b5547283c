"""Git asked about a checkout: what its maker wrote into it starts nothing and reaches nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from executor import limits
from executor.observe.checkout import code_state
from planner import PlannerError
from planner.facts.code_state import CodeState, Remote
from tests.git_situations import BASE_ENVIRONMENT, SITUATIONS, git


@pytest.fixture(autouse=True)
def _only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in BASE_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is clean and pushed."""
    place = tmp_path / "place"
    place.mkdir()
    return SITUATIONS["clean, and pushed"].make(place)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory in which a program that is run leaves a file."""
    place = tmp_path / "canary"
    place.mkdir()
    return place


def program(canary: Path, name: str) -> str:
    """A program that says that it was run."""
    path = canary.parent / f"run-{name}"
    # Nobody may wait for what it answers.
    path.write_text(f"#!/bin/sh\ntouch {canary}/{name}\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def arm(root: Path, canary: Path, where: str = "") -> None:
    """Have the configuration of a checkout name a program wherever it can."""
    hooks = root / f".hooks{where}"
    (root / ".git" / "info").mkdir(exist_ok=True, parents=True)
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {canary}/hook-{hook}{where}\n")
        (hooks / hook).chmod(0o755)
    settings = {
        "core.fsmonitor": program(canary, f"fsmonitor{where}"),
        "core.hooksPath": str(hooks),
        "core.sshCommand": program(canary, f"ssh{where}"),
        "core.pager": program(canary, f"pager{where}"),
        "pager.status": program(canary, f"pager-status{where}"),
        "core.askPass": program(canary, f"askpass{where}"),
        "core.editor": program(canary, f"editor{where}"),
        "core.gitProxy": program(canary, f"proxy{where}"),
        "core.alternateRefsCommand": program(canary, f"alternate{where}"),
        "credential.helper": program(canary, f"credential{where}"),
        "gpg.program": program(canary, f"gpg{where}"),
        "log.showSignature": "true",
        "diff.external": program(canary, f"diff{where}"),
        "diff.evil.textconv": program(canary, f"textconv{where}"),
        "diff.evil.command": program(canary, f"diff-command{where}"),
        "filter.evil.clean": program(canary, f"clean{where}"),
        "filter.evil.smudge": program(canary, f"smudge{where}"),
        "filter.evil.required": "true",
        "filter.Evil.two.process": program(canary, f"process{where}"),
        "alias.status": f"!{program(canary, f'alias{where}')}",
        "status.submoduleSummary": "true",
        "submodule.recurse": "true",
        "protocol.ext.allow": "always",
        "remote.origin.uploadpack": program(canary, f"uploadpack{where}"),
        "remote.origin.vcs": "evil",
    }
    for name, value in settings.items():
        git(root, "config", name, value)
    attributes = root / ".git/info/attributes"
    attributes.write_text("*.py filter=evil diff=evil\n*.toml filter=Evil.two\n")
    # What git has to look into, since its time is another.
    for path in (*root.glob("*.py"), *root.glob("*.toml")):
        os.utime(path, (1, 1))


def ran(canary: Path) -> list[str]:
    return sorted(path.name for path in canary.iterdir())


def test_nothing_is_run_that_a_configuration_names(checkout: Path, canary: Path) -> None:
    (checkout / ".git/info/exclude").write_text(".hooks*\n")
    arm(checkout, canary)
    state = code_state(checkout)
    assert state.commit == git(checkout, "-c", "core.fsmonitor=false", "rev-parse", "HEAD")
    assert state.unknown == ""
    assert ran(canary) == []
    # Were it run as it is, programs would be started.
    subprocess.run(("git", "status"), cwd=checkout, check=False, capture_output=True, env=dict(os.environ))
    assert "fsmonitor" in ran(canary)
    assert {"clean", "process"}.intersection(ran(canary))


def test_nothing_is_run_that_the_configuration_of_a_submodule_names(tmp_path: Path, canary: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    root = SITUATIONS["a submodule"].make(place)
    module = root / "lib"
    of_module = root / ".git/modules/lib"
    for name in ("fsmonitor", "filter.evil.clean"):
        variable = f"core.{name}" if "." not in name else name
        git(module, "config", variable, program(canary, name))
    (of_module / "info").mkdir(exist_ok=True)
    (of_module / "info/attributes").write_text("* filter=evil\n")
    os.utime(module / "lib.py", (1, 1))
    assert code_state(root).submodules == ("lib",)
    assert ran(canary) == []
    subprocess.run(("git", "status"), cwd=root, check=False, capture_output=True, env=dict(os.environ))
    assert ran(canary)


def test_no_missing_object_is_fetched(checkout: Path, canary: Path) -> None:
    """A partial clone fetches what it does not have, from a remote that its configuration names."""
    tree = git(checkout, "rev-parse", "HEAD^{tree}")
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": f"ext::{program(canary, 'ext')}",
        "protocol.ext.allow": "always",
    }.items():
        git(checkout, "config", name, value)
    (checkout / ".git/objects" / tree[:2] / tree[2:]).unlink()
    state = code_state(checkout)
    assert state.tree is None or state.unknown
    assert ran(canary) == []
    subprocess.run(
        ("git", "cat-file", "-p", tree), cwd=checkout, check=False, capture_output=True, env=dict(os.environ)
    )
    assert ran(canary) == ["ext"]


def test_a_filter_that_git_cannot_be_told_not_to_run_is_no_answer(checkout: Path, canary: Path) -> None:
    """`-c name=value` cannot name it: it has a `=`."""
    git(checkout, "config", "filter.a=b.clean", program(canary, "clean"))
    (checkout / ".git/info/attributes").write_text("*.py filter=a=b\n")
    os.utime(checkout / "train.py", (1, 1))
    assert code_state(checkout).unknown.startswith("its configuration has a filter that git cannot be told")
    assert ran(canary) == []


def test_what_a_user_allows_is_heeded(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert code_state(checkout).unknown == "git does not trust the checkout, which belongs to another user"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(checkout))
    assert code_state(checkout).unknown == ""


def test_no_login_of_a_remote_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    root = SITUATIONS["the remote has a login"].make(place)
    state = code_state(root)
    assert state.remotes == (Remote("origin", "https://git.example.com/team/code", has_commit=True),)
    assert "s3cret" not in repr(state)


def test_a_remote_beside_the_checkout_is_a_path(checkout: Path) -> None:
    git(checkout, "remote", "set-url", "origin", "../origin.git")
    assert code_state(checkout).remotes[0].url == str(checkout.parent / "origin.git")


@pytest.mark.parametrize("name", ["STOWPLAN", "ZENML"])
@pytest.mark.parametrize(("value", "ignored"), [("True", True), ("1", True), ("no", False), ("", False)])
def test_untracked_files_are_ignored_where_that_is_asked_for(
    checkout: Path, name: str, value: str, ignored: bool
) -> None:
    (checkout / "new.py").write_text("")
    state = code_state(checkout, {f"{name}_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES": value})
    assert state.untracked == (() if ignored else ("new.py",))
    assert state.ignores_untracked is ignored


def test_the_new_name_goes_before_the_old_one(checkout: Path) -> None:
    environ = {f"{name}_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES": value
               for name, value in (("STOWPLAN", "false"), ("ZENML", "true"))}  # fmt: skip
    assert not code_state(checkout, environ).ignores_untracked


def test_a_value_that_is_neither_true_nor_false_is_an_error(checkout: Path) -> None:
    with pytest.raises(PlannerError, match=r"IGNORE_UNTRACKED_FILES: not true or false: 'maybe'"):
        code_state(checkout, {"STOWPLAN_CODE_REPOSITORY_IGNORE_UNTRACKED_FILES": "maybe"})


def test_of_several_short_names_the_longest_counts(checkout: Path) -> None:
    for base, short in (("https://a.example/", "x:"), ("https://b.example/", "x:y/"), ("/srv/", "z:")):
        git(checkout, "config", "--add", f"url.{base}.insteadOf", short)
    for url, used in (
        ("x:code", "https://a.example/code"),
        ("x:y/code", "https://b.example/code"),
        ("z:code", "/srv/code"),
        ("x", str(checkout / "x")),
    ):
        git(checkout, "remote", "set-url", "origin", url)
        assert git(checkout, "ls-remote", "--get-url", "origin") == (used if url != "x" else url)
        assert code_state(checkout).remotes[0].url == used


def test_a_configuration_may_have_many_remotes(checkout: Path) -> None:
    """Each is looked at once, and what each stands for is found without going through all."""
    text = "".join(
        f'[remote "r{number}"]\nurl = s{number}:code\nfetch = +refs/heads/*:refs/remotes/r{number}/*\n'
        f'[url "https://h{number}.example/"]\ninsteadOf = s{number}:\n'
        for number in range(5000)
    )
    with (checkout / ".git/config").open("a") as file:
        file.write(text)
    state = code_state(checkout)
    assert len(state.remotes) == 5001
    assert state.remotes[-1] == Remote("r999", "https://h999.example/code")


def test_paths_are_as_they_are(checkout: Path) -> None:
    names = [" lead", "tab\there", 'q"uote', "new\nline", "é", "-option", "a b"]
    for name in names:
        (checkout / name).write_text("")
    (checkout / os.fsdecode(b"latin-\xe9")).write_text("")
    state = code_state(checkout)
    assert set(state.untracked) == {*names, "latin-\udce9"}


def test_a_git_that_hangs_is_no_answer(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nexec sleep 1000\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(limits, "GIT_SECONDS", 0.05)
    assert code_state(checkout) == CodeState(
        "git did not end within 0.05 s", "see what it waits for, and try again"
    )


def test_a_git_that_is_too_old_is_said(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(
        '#!/bin/sh\necho "error: unknown option \\`no-ahead-behind\'" >&2\nexit 129\n'
    )
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    state = code_state(checkout)
    assert state.unknown == "this git is too old: error: unknown option `no-ahead-behind'"
    assert state.fix == "use git 2.18 or newer"
