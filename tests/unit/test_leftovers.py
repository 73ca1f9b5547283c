"""Leftovers of killed builds are known by what only ours have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor.engines.leftovers import build_secret, remove_containers, stop_commands
from executor.process import Completed
from executor.scratch import held

DEEP = "[" * 100_000


def written(storage: Path, container: str, *secrets: str) -> None:
    """What Podman writes down of a working container."""
    file = storage / "overlay-containers" / container / "userdata/buildah.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"CommonBuildOpts": {"Secrets": list(secrets)}}))


@pytest.mark.parametrize("place", ["place", "a place, with=commas", "pl\u00e4tze"])
def test_containers_of_dead_owners_are_removed_and_no_others(tmp_path: Path, place: str) -> None:
    here, storage = tmp_path / place, tmp_path / "storage"
    here.mkdir()
    removed: list[tuple[str, ...]] = []

    def podman(*arguments: str) -> Completed:
        if arguments[0] == "rm":
            removed.append(arguments)
        return Completed(0)

    with held(here) as alive:
        with held(here) as dead:
            pass
        written(storage, "1", build_secret(dead))
        written(storage, "2", "id=other,src=/etc/x", build_secret(dead))
        written(storage, "3", build_secret(alive))
        written(storage, "4")
        written(storage, "5", "id=stowplan-,src=/dev/null", "id=stowplan-zz,src=/dev/null")
        # In a container the same path is another directory.
        digits = f"1:{dead}".encode().hex()
        written(storage, "10", f"id=stowplan-{digits},src=/dev/null")
        # By its name it is not a directory of ours.
        written(storage, "6", build_secret(tmp_path / "precious"))
        for name, text in (("7", "no JSON"), ("8", "{}"), ("9", "[]"), ("11", DEEP)):
            written(storage, name)
            (storage / "overlay-containers" / name / "userdata/buildah.json").write_text(text)
        remove_containers(podman, storage)
    assert sorted(removed) == [("rm", "--force", "1"), ("rm", "--force", "2")]


def test_only_commands_of_dead_owners_are_ended(tmp_path: Path) -> None:
    with held(tmp_path) as alive:
        with held(tmp_path) as dead:
            pass
        bundles = [dead / "buildah1", alive / "buildah2", tmp_path / "precious/buildah3", dead / "other"]
        ids = ["buildah-buildah1", "buildah-buildah2", "buildah-buildah3", "4"]
        listed = [{"id": each, "bundle": str(path)} for each, path in zip(ids, bundles, strict=True)]
        stop_commands(runtime(tmp_path, json.dumps(listed)))
    assert (tmp_path / "asked").read_text().splitlines() == [
        "list --format=json",
        "delete --force buildah-buildah1",
    ]


@pytest.mark.parametrize("text", ["", "null", "{}", "7", "[7]", '[{"id": "1"}]', "no JSON", DEEP])
def test_a_runtime_that_lists_nothing_readable_is_no_traceback(tmp_path: Path, text: str) -> None:
    stop_commands(runtime(tmp_path, text))
    assert (tmp_path / "asked").read_text() == "list --format=json\n"


def runtime(place: Path, listed: str) -> str:
    """A program in the place of runc, which lists what it is told and writes down what it is asked."""
    (place / "listed").write_text(listed)
    program = place / "runtime"
    program.write_text(f'#!/bin/sh\necho "$*" >> {place}/asked\n[ "$1" != list ] || cat {place}/listed\n')
    program.chmod(0o755)
    return str(program)


def test_the_secret_is_one_word_without_commas(tmp_path: Path) -> None:
    secret = build_secret(tmp_path / "a, b=c")
    assert secret.count(",") == 1
    assert " " not in secret
    assert secret.endswith(",src=/dev/null")
