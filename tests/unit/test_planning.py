"""What settings come to: which instructions, in which order, and whether there is an image at all."""

from __future__ import annotations

from typing import Any

import pytest

from planner import Facts, PlannerError, Stack, Use, make_plan, needs
from planner.image.instructions import CopyFiles, Installer, InstallRequirements, SetEnvironment, SetUser
from planner.image.recipe import UV_VERSION
from planner.settings.docker import PythonPackageInstaller
from tests.builders import World, file, image_of, pipeline_of, plan_of

NOT_INCLUDED = {"allow_including_files_in_images": False}


def kinds(table: dict[str, Any]) -> list[str]:
    return [item.kind for item in image_of(table, here=False).instructions]


def test_the_order_of_the_layers_is_the_reference_s() -> None:
    """What changes often comes after what does not."""
    image = image_of(
        {
            "runtime_environment": {"B": "2"},
            "user": "1000",
            "local_project_install_command": "pip install .",
            "requirements": ["six"],
            "apt_packages": ["git"],
            "environment": {"A": "1"},
        },
        here=False,
    )
    assert [item.kind for item in image.instructions] == [
        "environment", "apt", "requirements", "files", "project", "user", "environment",
    ]  # fmt: skip
    assert image.instructions[0] == SetEnvironment({"A": "1"})
    assert image.instructions[-1] == SetEnvironment({"B": "2"}, runtime=True)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Code is included by default, so there is an image by default.
        ({}, ["files"]),
        ({"requirements": ["six"]}, ["requirements", "files"]),
        ({**NOT_INCLUDED, "requirements": ["six"]}, ["requirements"]),
        ({**NOT_INCLUDED, "apt_packages": ["git"]}, ["apt"]),
        ({**NOT_INCLUDED, "environment": {"A": "1"}}, ["environment"]),
        # The reference would take the parent as it is, and lose these.
        ({**NOT_INCLUDED, "runtime_environment": {"A": "1"}}, ["environment"]),
        ({**NOT_INCLUDED, "user": "1000"}, ["user"]),
    ],
)
def test_when_an_image_is_built(table: dict[str, Any], expected: list[str]) -> None:
    assert kinds(table) == expected
    assert image_of(table, here=False).use is Use.BUILD


@pytest.mark.parametrize(
    "table",
    [
        NOT_INCLUDED,
        {**NOT_INCLUDED, "requirements": [], "apt_packages": [], "environment": {}},
        {**NOT_INCLUDED, "requirements": "requirements.txt"},
        {**NOT_INCLUDED, "install_stack_requirements": True, "python_package_installer": "pip"},
        {"skip_build": True},
        {"skip_build": True, "requirements": ["six"], "apt_packages": ["git"], "user": "1000"},
    ],
)
def test_when_the_parent_is_used_as_it_is(table: dict[str, Any]) -> None:
    image = image_of(table, world=World(texts={"requirements.txt": "# nothing yet\n"}))
    assert image.use is Use.PARENT
    assert image.instructions == ()
    assert image.tree is None
    assert image.reference == str(image.parent.base)


def test_labels_need_an_image() -> None:
    labels = {"build_config": {"build_options": {"labels": {"team": "vision"}}}}
    assert image_of({**NOT_INCLUDED, **labels}, here=False).use is Use.BUILD


def test_a_skipped_build_says_what_it_ignores() -> None:
    plan = plan_of({"skip_build": True, "requirements": ["six"], "user": "1000"})
    assert "skip_build uses python:3.11-slim as it is, without requirements, user" in plan.notes
    assert not any("skip_build" in note for note in plan_of({"skip_build": True}).notes)


def test_the_parent_is_the_slim_image_of_the_python_that_plans() -> None:
    image = image_of({"parent_image": None}, world=World(python="3.12"))
    assert image.parent.reference.familiar == "python:3.12-slim"


def test_a_digest_in_the_settings_is_taken_at_its_word() -> None:
    pinned = f"python:3.11@sha256:{'0' * 64}"
    pipeline = pipeline_of({"parent_image": pinned, **NOT_INCLUDED})
    assert needs(pipeline, Stack(), here=False) == ()
    image = image_of({"parent_image": pinned, **NOT_INCLUDED}, here=False)
    assert str(image.parent.digest) == f"sha256:{'0' * 64}"
    assert image.parent.pin.source == "settings"
    assert image.parent.reference.familiar == "python:3.11"


def test_the_user_owns_the_code() -> None:
    image = image_of({"user": "app:staff"}, here=False)
    assert image.instructions == (CopyFiles(owner="app:staff"), SetUser("app:staff"))


def test_installers() -> None:
    def installer(**given: Any) -> Installer:
        image = image_of({"requirements": ["six"], **given}, here=False)
        return next(item.installer for item in image.instructions if isinstance(item, InstallRequirements))

    # The one tool that a build downloads is pinned; pip comes with the parent image.
    assert installer() == Installer(PythonPackageInstaller.UV, UV_VERSION)
    assert installer(python_package_installer="pip") == Installer(PythonPackageInstaller.PIP)
    # uv is told which Python to install for, so the flag of the reference asks for what is done anyway.
    assert installer(python_package_installer_args={"system": None, "no_deps": None}).arguments == {
        "no-deps": None
    }
    pip = installer(
        python_package_installer="pip", python_package_installer_args={"timeout": 10, "a": [1, "b"]}
    )
    assert pip.arguments == {"timeout": "10", "a": ("1", "b")}


# --- requirements from files ----------------------------------------------------------------------------

TEXTS = {
    "requirements/base.txt": "numpy<2\n-r ../more.txt\n-c constraints.txt\n",
    "requirements/constraints.txt": "urllib3<2\n",
    "more.txt": "six\n",
}


def test_a_requirements_file_is_read_with_all_it_includes() -> None:
    image = image_of({"requirements": "requirements/base.txt"}, world=World(texts=TEXTS))
    requirements = next(
        item for item in image.instructions if isinstance(item, InstallRequirements)
    ).requirements
    assert [package.text for package in requirements.packages] == ["numpy<2", "six"]
    assert [package.text for package in requirements.constraints] == ["urllib3<2"]


def test_a_missing_requirements_file_is_a_problem_of_its_setting() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of({"requirements": "no.txt"}, here=False)
    (problem,) = refused.value.problems
    assert (
        str(problem)
        == "pipeline.training.settings.docker.requirements: no such file: no.txt: create it, or name another"
    )


def test_problems_of_a_file_have_its_name_and_line() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of({"requirements": "more.txt"}, world=World(texts={"more.txt": "six\n\n-e .\n"}), here=False)
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("more.txt", 3)


def test_problems_of_a_list_have_its_index() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of({"requirements": ["six", "pkg @ file:///home/me/pkg"]}, here=False)
    (problem,) = refused.value.problems
    assert problem.where.dotted == "pipeline.training.settings.docker.requirements[1]"


# --- the files that are copied --------------------------------------------------------------------------


def test_ignore_files_and_our_own_files_are_no_part_of_the_context() -> None:
    world = World(
        texts={".dockerignore": "*.csv\n", "docker/my.ignore": "*.py\n"},
        entries=tuple(
            file(path)
            for path in ("train.py", "data.csv", "stowplan.lock", ".stowplan/records.db", "Dockerfile")
        ),
    )

    def paths(table: dict[str, Any]) -> list[str]:
        tree = image_of(table, world=world).tree
        assert tree is not None
        return list(tree.paths())

    # The tree of the builder leaves out exact paths; that a directory goes whole is the observer's part.
    assert [path for path in paths({}) if not path.startswith(".stowplan")] == [
        "Dockerfile", "docker/my.ignore", "train.py",
    ]  # fmt: skip
    for spelled in ("docker/my.ignore", "./docker//my.ignore"):
        found = paths({"build_config": {"dockerignore": spelled}})
        assert [path for path in found if not path.startswith(".stowplan")] == ["Dockerfile", "data.csv"]


def test_a_missing_ignore_file_is_a_problem_only_when_it_was_named() -> None:
    assert image_of({}).tree is not None
    with pytest.raises(PlannerError) as refused:
        plan_of({"build_config": {"dockerignore": "no.ignore"}})
    (problem,) = refused.value.problems
    assert problem.where.dotted == "pipeline.training.settings.docker.build_config.dockerignore"


def test_a_malformed_ignore_file_has_its_name_and_line() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of(world=World(texts={".dockerignore": "a\n[\n"}))
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == (".dockerignore", 2)


def test_planning_without_an_answer_names_the_need() -> None:
    pipeline = pipeline_of()
    with pytest.raises(PlannerError, match="not observed: ImageDigest"):
        make_plan(pipeline, Stack(), Facts(), here=False)
