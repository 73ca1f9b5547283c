"""What settings come to: which instructions, in which order, and whether there is an image at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from planner import (
    Digest,
    ExternalImage,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    ImageSpec,
    Pipeline,
    PlannerError,
    PythonPackageInstaller,
    Stack,
    Step,
    Variable,
    make_plan,
    make_spec,
    needs,
)
from planner.image.instructions import (
    FILES,
    CopyFiles,
    Installer,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.planning import UV_VERSION, Planning
from tests.builders import (
    PARENT,
    World,
    asked,
    digest,
    file,
    image_of,
    observed,
    pipeline_of,
    plan_of,
    ref,
    spec_of,
)

NOT_INCLUDED = {"allow_including_files_in_images": False}
NO_WORLD = World()


def one_spec(table: dict[str, Any], world: World = NO_WORLD) -> ImageSpec:
    """The spec of the one image of a step with these settings."""
    (image,) = spec_of(table, world=world).images
    return image.spec


def kinds(table: dict[str, Any]) -> list[str]:
    return [item.kind for item in one_spec(table).instructions]


def test_the_order_of_the_layers_is_the_reference_s() -> None:
    """What changes often comes after what does not."""
    spec = one_spec({
        "runtime_environment": {"B": "2"},
        "user": "1000",
        "local_project_install_command": "pip install .",
        "requirements": ["six"],
        "apt_packages": ["git"],
        "environment": {"A": "1"},
    })  # fmt: skip
    assert [item.kind for item in spec.instructions] == [
        "environment", "apt", "requirements", "files", "project", "user", "environment",
    ]  # fmt: skip
    assert spec.instructions[0] == SetEnvironment({"A": "1"})
    assert spec.instructions[-1] == SetEnvironment({"B": "2"}, runtime=True)


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
    assert one_spec(table).builds
    assert image_of(table).builds


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
    assert not image.builds
    assert image.spec.instructions == ()
    assert image.checkout.trees == {}
    assert image.reference == str(image.spec.external.base)


def test_labels_need_an_image() -> None:
    labels = {"build_config": {"build_options": {"labels": {"team": "vision"}}}}
    assert one_spec({**NOT_INCLUDED, **labels}).builds
    assert not one_spec({**labels, "skip_build": True}).builds


def test_the_parent_is_the_slim_image_of_the_python_that_plans() -> None:
    spec = one_spec({"parent_image": None}, World(python="3.12"))
    assert spec.parent == ExternalImage(ref("python:3.12-slim"), digest("docker.io/library/python:3.12-slim"))


def test_a_digest_in_the_settings_is_taken_at_its_word() -> None:
    pinned = f"python:3.11@sha256:{'0' * 64}"
    pipeline = pipeline_of({"parent_image": pinned, **NOT_INCLUDED})
    assert needs(pipeline, Stack(), checkout=False) == ()
    parent = one_spec({"parent_image": pinned, **NOT_INCLUDED}).external
    assert parent == ExternalImage(ref("python:3.11"), Digest("0" * 64))
    assert parent.reference.familiar == "python:3.11"
    assert parent.base == ref(f"python@sha256:{'0' * 64}")


def test_a_parent_that_no_registry_has_is_known_by_the_engine_s_id() -> None:
    """Rebuilt under the same name, it is another image: what was built on the old one is not reused."""
    table = {"parent_image": "localhost/base:1"}
    assert not any(type(need).__name__ == "ImageDigest" for need in asked(table))
    one, two = (image_of(table, world=World(local={"localhost/base:1": digest(text)})) for text in "ab")
    assert one.checkout.parent_id == digest("a")
    assert one.spec.hash == two.spec.hash
    assert one.hash != two.hash
    # Nothing asks an engine about a parent that is pinned, or for a lock.
    assert not any(type(need).__name__ == "LocalImage" for need in asked({}))
    assert not any(type(need).__name__ == "LocalImage" for need in asked(table, checkout=False))


def test_the_user_owns_the_code() -> None:
    spec = one_spec({"user": "app:staff"})
    assert spec.instructions == (CopyFiles(owner="app:staff"), SetUser("app:staff"))


def test_installers() -> None:
    def installer(**given: Any) -> Installer:
        (found,) = one_spec({"requirements": ["six"], **given}).installs
        return found.installer

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
    assert one_spec({}).uv is None


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"local_project_install_command": "pip install ."}, InstallProject("pip install .")),
        ({"local_project_install_command": "uv sync"}, InstallProject("uv sync", UV_VERSION)),
        (
            {"local_project_install_command": "make x && uv pip install .", "user": "app"},
            InstallProject("make x && uv pip install .", UV_VERSION, "app"),
        ),
    ],
)
def test_a_command_that_calls_uv_has_one(settings: Mapping[str, Any], found: InstallProject) -> None:
    # Whatever installs the requirements.
    for installer in ("uv", "pip"):
        spec = one_spec({**settings, "python_package_installer": installer})
        assert [item for item in spec.instructions if isinstance(item, InstallProject)] == [found]
        assert spec.uv == found.uv


@pytest.mark.parametrize(
    "arguments",
    [
        ({"retries": "1"}, {"retries": 1}, {"retries": ["1"]}, {"retries": [1]}),
        ({}, {"find-links": []}),
        ({"no-deps": None}, {"no_deps": None}, {"no_deps": True}),
    ],
)
def test_arguments_of_an_installer_that_mean_the_same_are_one_image(arguments: Any) -> None:
    plans = [
        spec_of({"requirements": ["six"], "python_package_installer_args": given}) for given in arguments
    ]
    assert {plan.hash for plan in plans} == {plans[0].hash}


@pytest.mark.parametrize(("above", "below"), [("max_retries", "max-retries"), ("max-retries", "max_retries")])
def test_an_argument_of_a_step_wins_however_the_two_are_spelt(above: str, below: str) -> None:
    pipeline = {"requirements": ["six"], "python_package_installer_args": {above: 1}}
    (image,) = spec_of(pipeline, {"train": {"python_package_installer_args": {below: 2}}}).images
    (found,) = image.spec.installs
    assert found.installer.arguments == {"max-retries": "2"}


def test_two_spellings_of_one_argument_in_one_place_are_refused() -> None:
    with pytest.raises(PlannerError) as refused:
        spec_of({"python_package_installer_args": {"max_retries": 1, "max-retries": 2}})
    (problem,) = refused.value.problems
    place = "python_package_installer_args.max_retries"
    assert str(problem) == f"{place}: max-retries is given twice: keep one of the spellings"


# --- requirements from files ----------------------------------------------------------------------------

TEXTS = {
    "requirements/base.txt": "numpy<2\n-r ../more.txt\n-c constraints.txt\n",
    "requirements/constraints.txt": "urllib3<2\n",
    "more.txt": "six\n",
}


def test_a_requirements_file_is_read_with_all_it_includes() -> None:
    spec = one_spec({"requirements": "requirements/base.txt"}, World(texts=TEXTS))
    requirements = next(
        item for item in spec.instructions if isinstance(item, InstallRequirements)
    ).requirements
    assert [package.text for package in requirements.packages] == ["numpy<2", "six"]
    assert [package.text for package in requirements.constraints] == ["urllib3<2"]


def test_a_missing_requirements_file_is_a_problem_of_its_setting() -> None:
    with pytest.raises(PlannerError) as refused:
        spec_of({"requirements": "no.txt"})
    (problem,) = refused.value.problems
    assert (
        str(problem)
        == "pipeline.training.settings.docker.requirements: no.txt does not exist: create it, or name another"
    )


def test_problems_of_a_file_have_its_name_and_line() -> None:
    with pytest.raises(PlannerError) as refused:
        spec_of({"requirements": "more.txt"}, world=World(texts={"more.txt": "six\n\n-e .\n"}))
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("more.txt", 3)


def test_problems_of_a_list_have_its_index() -> None:
    with pytest.raises(PlannerError) as refused:
        spec_of({"requirements": ["six", "pkg @ file:///home/me/pkg"]})
    (problem,) = refused.value.problems
    assert problem.where.dotted == "pipeline.training.settings.docker.requirements[1]"


def requirements_of(table: dict[str, Any], world: World) -> list[str]:
    """What the one layer of requirements needs, constraints with a dash."""
    (item,) = [item for item in one_spec(table, world).instructions if isinstance(item, InstallRequirements)]
    assert item.source == "requirements"
    found = item.requirements
    return [
        *map(str, found.options),
        *(package.text for package in found.packages),
        *(f"-{constraint.text}" for constraint in found.constraints),
    ]


def refusals(requirements: list[str], world: World) -> list[str]:
    """What is wrong with such a list, from the name of the setting on."""
    with pytest.raises(PlannerError) as refused:
        spec_of({"requirements": requirements}, world=world)
    return [
        str(problem).removeprefix("pipeline.training.settings.docker.") for problem in refused.value.problems
    ]


def test_a_list_names_files_too() -> None:
    """A path is no package: `requirements.txt` would be installed from the index as requirements-txt."""
    world = World(texts={**TEXTS, "dev.in": "--pre\npytest", "my reqs": "click", "c.txt": "six<2\n"})
    assert requirements_of({"requirements": ["requirements/base.txt", "rich>=13", "./dev.in"]}, world) == [
        "--pre", "numpy<2", "pytest", "rich>=13", "six", "-urllib3<2",
    ]  # fmt: skip
    spelled = ["-r my reqs", "-rmore.txt", "--requirement=dev.in", "-c c.txt"]
    assert requirements_of({"requirements": spelled}, world) == ["--pre", "click", "pytest", "six", "-six<2"]
    assert requirements_of({"requirements": ["more.txt", "more.txt", "six"]}, world) == ["six"]


def test_what_a_list_and_its_files_say_together() -> None:
    world = World(texts={"a.txt": "x\nsix==1.0\n", "b.txt": "-e .\n"})
    assert refusals(["no.txt", "a.txt", "-r none/r.txt"], world) == [
        "requirements[0]: no.txt does not exist: create it, or name another",
        "requirements[2]: none/r.txt does not exist: create it, or name another",
    ]
    assert refusals(["a.txt", "six==2.0", "b.txt"], world) == [
        (
            "b.txt:1: the local package '-e .': it does not exist in the image; include its files and "
            "install them with `local_project_install_command`, or publish the package"
        ),
        "requirements[1]: six==2.0 contradicts six==1.0 at a.txt:2: keep one, or give each a marker",
    ]


def test_a_name_that_is_also_a_file_has_to_say_which_is_meant() -> None:
    world = World(texts={"discord.py": "", "deps": "click"})
    assert refusals(["discord.py", "deps", "six"], world) == [
        (
            "requirements[0]: 'discord.py' is a file of the project, and could be a package: "
            'write "-r discord.py" for the file, or "discord.py>=0" for the package'
        ),
        (
            "requirements[1]: 'deps' is a file of the project, and could be a package: "
            'write "-r deps" for the file, or "deps>=0" for the package'
        ),
    ]
    assert requirements_of({"requirements": ["discord.py>=0", "-r deps", "six"]}, world) == [
        "click", "discord-py>=0", "six",
    ]  # fmt: skip


def test_a_requirement_where_a_path_belongs() -> None:
    with pytest.raises(
        PlannerError, match=r'requirements: a requirement, where .*: write a list: \["six==1\.16"\]$'
    ):
        spec_of({"requirements": "six==1.16"})
    with pytest.raises(
        PlannerError, match=r'six does not exist: .*; a requirement is written in a list: \["six"\]$'
    ):
        spec_of({"requirements": "six"})


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("hg+https://h/x", "uv cannot install from hg+https://"),
        ("x @ svn+ssh://h/x", "uv cannot install from svn+ssh://"),
        ("git+git://h/x", "uv cannot install from git+git://"),
        ("x @ https://h/x", "uv cannot tell what kind of file it is"),
        ("https://h/x.tar.bz2?a.zip", "uv cannot tell what kind of file it is"),
    ],
)
def test_what_uv_cannot_install_pip_can(requirement: str, found: str) -> None:
    with pytest.raises(PlannerError) as refused:
        spec_of({"requirements": ["six>=1", requirement]})
    (problem,) = refused.value.problems
    assert problem.where.dotted == "pipeline.training.settings.docker.requirements"
    assert problem.found == f"{requirement}: {found}"
    assert problem.fix.endswith(", or install with pip")
    assert requirements_of({"requirements": [requirement], "python_package_installer": "pip"}, World()) == [
        requirement
    ]


def test_what_uv_installs_from() -> None:
    given = [
        "git+https://h/x@v1",
        "git+ssh://git@h/y",
        "https://h/z-1.tar.gz",
        "w @ https://h/a.zip?x#sha256=0",
    ]
    assert requirements_of({"requirements": given}, World()) == sorted(given)


# --- the files that are copied --------------------------------------------------------------------------


def paths(table: dict[str, Any], world: World) -> list[str]:
    """The paths that are copied."""
    return list(image_of(table, world=world).checkout.trees[FILES].paths())


def test_ignore_files_and_our_own_files_are_no_part_of_the_context() -> None:
    world = World(
        texts={".dockerignore": "*.csv\n", "docker/my.ignore": "*.py\n"},
        entries=tuple(
            file(path)
            for path in (
                "train.py", "data.csv", "stowplan.lock", "stowplan.toml", ".stowplan/x.db", "Dockerfile",
            )
        ),
    )  # fmt: skip

    # The tree of the builder leaves out exact paths; that a directory goes whole is the observer's part.
    assert [path for path in paths({}, world) if not path.startswith(".stowplan")] == [
        "Dockerfile", "docker/my.ignore", "train.py",
    ]  # fmt: skip
    for spelled in ("docker/my.ignore", "./docker//my.ignore"):
        found = paths({"build_config": {"dockerignore": spelled}}, world)
        assert [path for path in found if not path.startswith(".stowplan")] == ["Dockerfile", "data.csv"]


def test_a_comment_in_the_configuration_rebuilds_nothing() -> None:
    one, two = (World(texts={"stowplan.toml": text, ".dockerignore": ""}) for text in ("", "# edited\n"))
    assert image_of(world=one).hash == image_of(world=two).hash


def test_without_an_ignore_file_version_control_and_environments_stay_outside() -> None:
    world = World(entries=tuple(file(path) for path in (".git/HEAD", ".venv/bin/python", "train.py")))
    assert paths({}, world) == ["train.py"]
    # Whoever has an ignore file has said what is left out.
    assert paths({}, World(entries=world.entries, texts={".dockerignore": ".git\n"})) == [
        ".venv/bin/python",
        "train.py",
    ]


def test_a_missing_ignore_file_is_a_problem_only_when_it_was_named() -> None:
    assert image_of({}).checkout.trees
    with pytest.raises(PlannerError) as refused:
        plan_of({"build_config": {"dockerignore": "no.ignore"}})
    (problem,) = refused.value.problems
    assert problem.where.dotted == "pipeline.training.settings.docker.build_config.dockerignore"
    assert problem.found == "no.ignore does not exist"


def test_a_malformed_ignore_file_has_its_name_and_line() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of(world=World(texts={".dockerignore": "a\n[\n"}))
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == (".dockerignore", 2)


def test_planning_without_an_answer_names_the_need() -> None:
    pipeline = pipeline_of()
    with pytest.raises(PlannerError, match="not observed: ImageDigest"):
        make_plan(pipeline, Stack(), Facts())
    with pytest.raises(PlannerError, match="not observed: ImageDigest"):
        make_spec(pipeline, Stack(), Facts())


# --- one traversal --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"requirements": "r.txt", "parent_image": None},
        {"environment": {"A": "${X}"}, "build_config": {"dockerignore": "x.ignore"}},
        {"parent_image": "localhost/base:1", **NOT_INCLUDED, "user": "1"},
        {"build_config": {"build_options": {"platform": "linux/arm64"}}},
        {"skip_build": True},
    ],
)
def test_what_is_needed_is_what_planning_asks_for_and_no_less(table: dict[str, Any]) -> None:
    """With any one answer missing there is no plan; with all of them there is."""
    world = World(texts={"r.txt": "six\n", "x.ignore": ""}, variables={"X": "x"})
    pipeline = pipeline_of(table)
    answers = {need: world.answer(need) for need in asked(table, world)}
    assert make_plan(pipeline, Stack(), Facts(answers)).images
    assert needs(pipeline, Stack(), Facts(answers)) == ()
    for left_out in answers:
        fewer = Facts({need: answer for need, answer in answers.items() if need != left_out})
        assert left_out in needs(pipeline, Stack(), fewer)
        with pytest.raises(PlannerError, match="not observed"):
            make_plan(pipeline, Stack(), fewer)


def test_a_spec_is_that_of_the_plan() -> None:
    """Made from fewer facts, it is the same value."""
    table = {"environment": {"A": "${X}"}, "requirements": "r.txt"}
    steps = {"a": {}, "b": {"user": "1"}, "c": {"build_config": {"dockerignore": "x.ignore"}}}
    world = World(texts={"r.txt": "six\n", "x.ignore": ""}, variables={"X": "x"})
    assert spec_of(table, steps, world=world) == plan_of(table, steps, world=world).spec
    assert asked(table, world, checkout=False).isdisjoint(
        {HostPlatform(), Variable("X"), FileText(".dockerignore")}
    )
    assert not any(isinstance(need, FileTree) for need in asked(table, world, checkout=False))
    assert spec_of(parent := {"parent_image": PARENT}).images == plan_of(parent).spec.images


# --- rounds

SHARING = Pipeline(
    name="p",
    steps=[Step(name=f"s{number}", settings={"docker": {"environment": {"STEP": f"{number} ${{A}}"}}})
           for number in range(3)],
    settings={"docker": {"requirements": "r.txt"}},
)  # fmt: skip


def in_rounds(world: World, planning: Planning, facts: Facts = Facts()) -> Facts:  # noqa: B008  # frozen
    """The facts that a planning asks for."""
    while missing := planning.needs(facts):
        facts = facts.also({need: world.answer(need) for need in missing})
    return facts


def test_a_plan_made_in_rounds_is_that_made_at_once() -> None:
    world = World({"r.txt": "six"}, variables={"A": "1"})
    planning = Planning(SHARING, Stack())
    facts = in_rounds(world, planning)
    at_once = make_plan(SHARING, Stack(), facts)
    assert planning.plan(facts) == at_once
    assert [image.hash for image in planning.plan(facts).images] == [image.hash for image in at_once.images]


def test_nothing_is_kept_of_a_round_with_other_facts() -> None:
    planning = Planning(SHARING, Stack())
    for text in ("six", "attrs"):
        facts = in_rounds(World({"r.txt": text}, variables={"A": text}), planning)
        assert planning.plan(facts) == make_plan(SHARING, Stack(), facts)


def test_what_no_builder_takes_is_a_problem_of_each_round() -> None:
    """Also once all else is known."""
    pipeline = pipeline_of({"build_config": {"build_options": {"userns": "host"}}})
    planning = Planning(pipeline, Stack(), builders=frozenset({"buildkit"}))
    facts = observed(pipeline)
    for _ in range(2):
        with pytest.raises(PlannerError, match="userns"):
            planning.plan(facts)
