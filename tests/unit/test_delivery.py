"""How the code of a project reaches containers: the decision, and what it does to an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from attrs import evolve

from executor.bootstrap_file import bootstrap_digest
from planner import (
    BuildPlan,
    Facts,
    ImagePlan,
    Lock,
    Pins,
    Pipeline,
    PlannerError,
    Stack,
    Step,
    make_plan,
    make_spec,
    needs,
)
from planner.entrypoint import Command, Function
from planner.facts.code_state import CodeState, Remote
from planner.facts.needs import Bootstrap, CheckoutState, FileTree
from planner.image.delivery import RepositoryCode, Way
from planner.image.instructions import CopyBootstrap, MakeDirectory, SetUser
from planner.render.dockerfile import context_directories, planned_dockerfile
from tests.builders import World, observed, pipeline_of

COMMIT: Final = "3f2a1b4c5d6e" + "0" * 28
ROOT: Final = "7" * 40
CLEAN: Final = CodeState(
    commit=COMMIT,
    tree=ROOT,
    branch="main",
    remotes=(Remote("origin", "github.com:team/code.git", has_commit=True),),
)
TEAM: Final[Mapping[str, Any]] = {"team": {"type": "github", "url": "https://github.com/team/code"}}
NOT_INCLUDED: Final = {"allow_including_files_in_images": False}
LOCAL: Final = Stack()


def made(
    settings: Mapping[str, Any] | None = None,
    code: CodeState = CLEAN,
    *,
    steps: tuple[str, ...] | Mapping[str, Mapping[str, Any]] = ("train",),
    repositories: Mapping[str, Any] = TEAM,
    stack: Stack = LOCAL,
) -> BuildPlan:
    """The plan of a project that registers a repository, in a checkout of this state."""
    pipeline = evolve(pipeline_of(settings, steps), code_repositories=repositories)
    return make_plan(pipeline, stack, observed(pipeline, stack, World(code=code)))


def one(settings: Mapping[str, Any] | None = None, code: CodeState = CLEAN, **others: Any) -> ImagePlan:
    (image,) = made(settings, code, **others).images
    return image


def way(image: ImagePlan) -> Way:
    assert image.delivery is not None
    return image.delivery.kind


def reason(image: ImagePlan) -> str:
    assert image.delivery is not None
    return image.delivery.reason


def refused(settings: Mapping[str, Any], code: CodeState = CLEAN, **others: Any) -> list[str]:
    with pytest.raises(PlannerError) as caught:
        made(settings, code, **others)
    return [str(problem) for problem in caught.value.problems]


def test_code_of_a_clean_and_pushed_checkout_is_downloaded() -> None:
    image = one()
    assert way(image) is Way.REPOSITORY
    assert reason(image) == "it is committed and pushed"
    assert image.delivery is not None
    assert image.delivery.repository == RepositoryCode(
        "team", "github", "https://github.com/team/code", COMMIT, ROOT, branch="main"
    )


def test_without_a_repository_and_a_store_code_is_copied() -> None:
    image = one(repositories={})
    assert way(image) is Way.IMAGE
    assert reason(image) == "no code repository is registered; the stack default has no artifact store"
    assert image.built == image.spec
    assert image.checkout.bootstrap is None


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"changed": ("a.py",)}, "not committed: a.py"),
        ({"changed": tuple("abcde")}, "not committed: a, b, c and 2 more"),
        ({"untracked": ("new.py",)}, "not tracked: new.py"),
        ({"unseen": ("a.py",)}, "git was told not to look at: a.py"),
        ({"submodules": ("lib",)}, "a download leaves out submodules: lib"),
        ({"converted": ("x.bin",)}, "changed by .gitattributes in a download: x.bin"),
        ({"remotes": (Remote("origin", "github.com:team/code", has_commit=False),)},
         "the commit 3f2a1b4c5d6e of main is not pushed to origin"),
        ({"remotes": (Remote("origin", "github.com:team/other", has_commit=True),)},
         "no remote of the checkout is the code repository team (origin is github.com/team/other)"),
        ({"remotes": ()}, "no remote of the checkout is the code repository team (there are none)"),
        ({"commit": None, "tree": None}, "nothing is committed yet"),
        ({"tree": None}, "the commit 3f2a1b4c5d6e does not have the project"),
        ({"changed": ("a",), "untracked": ("b",)}, "not committed: a and not tracked: b"),
    ],
)  # fmt: skip
def test_why_code_is_copied_although_a_repository_is_registered(edit: dict[str, Any], why: str) -> None:
    image = one(code=evolve(CLEAN, **edit))
    assert way(image) is Way.IMAGE
    assert reason(image) == f"{why}; the stack default has no artifact store"


def test_what_git_cannot_tell_is_said() -> None:
    image = one(code=CodeState("git is not installed", "install it"))
    assert (way(image), reason(image).partition(";")[0]) == (Way.IMAGE, "git is not installed")


def test_of_two_remotes_the_one_that_has_the_commit_counts() -> None:
    fork = Remote("fork", "git@github.com:me/code.git", has_commit=True)
    upstream = Remote("upstream", "https://github.com/team/code", has_commit=False)
    both = {**TEAM, "mine": {"type": "github", "url": "https://github.com/me/code"}}
    image = one(code=evolve(CLEAN, remotes=(fork, upstream)), repositories=both)
    assert image.delivery is not None
    assert image.delivery.repository is not None
    assert image.delivery.repository.name == "mine"
    assert way(one(code=evolve(CLEAN, remotes=(fork, upstream)))) is Way.IMAGE


def test_a_project_that_is_installed_is_in_the_image() -> None:
    image = one({"local_project_install_command": "pip install ."})
    assert way(image) is Way.IMAGE
    assert reason(image) == "local_project_install_command installs it"


def test_a_way_that_is_forbidden_is_not_taken() -> None:
    image = one({"allow_download_from_code_repository": False})
    assert way(image) is Way.IMAGE
    assert reason(image).startswith("allow_download_from_code_repository is false; ")
    image = one({"allow_download_from_artifact_store": False}, code=evolve(CLEAN, changed=("a",)))
    assert reason(image) == "not committed: a; allow_download_from_artifact_store is false"


STORE: Final = Stack(components={"artifact_store": {"uri": "s3://bucket/code"}})


def test_what_is_not_pushed_is_uploaded_where_there_is_a_store() -> None:
    edited = evolve(CLEAN, changed=("train.py",))
    image = one(code=edited, stack=STORE)
    assert (way(image), reason(image)) == (Way.ARTIFACT_STORE, "not committed: train.py")
    assert str(image.delivery) == "downloaded from the artifact store"
    assert one(stack=STORE).hash == image.hash
    assert way(one(stack=STORE)) is Way.REPOSITORY
    image = one(repositories={}, stack=STORE)
    assert (way(image), reason(image)) == (Way.ARTIFACT_STORE, "no code repository is registered")
    assert way(one({"allow_download_from_artifact_store": False}, edited, stack=STORE)) is Way.IMAGE
    assert way(one({"allow_download_from_code_repository": False}, stack=STORE)) is Way.ARTIFACT_STORE
    assert way(one({"local_project_install_command": "make"}, edited, stack=STORE)) is Way.IMAGE
    assert way(one({"skip_build": True}, edited, stack=STORE)) is Way.ARTIFACT_STORE
    assert way(one(NOT_INCLUDED, edited, stack=STORE)) is Way.ARTIFACT_STORE


def test_a_store_without_an_address_stores_no_code() -> None:
    stack = Stack(components={"artifact_store": {"flavor": "s3"}})
    assert way(one(repositories={}, stack=stack)) is Way.IMAGE


def test_all_ways_forbidden_is_a_note_and_no_error() -> None:
    nothing = {
        **NOT_INCLUDED,
        "allow_download_from_code_repository": False,
        "allow_download_from_artifact_store": False,
        "user": "1",
    }
    plan = made(nothing, stack=STORE)
    (note,) = [note for note in plan.notes if note.code == "no-code"]
    assert note.text == (
        "training: its containers have only the code of the parent image: "
        "allow_download_from_code_repository is false; allow_download_from_artifact_store is false; "
        "allow_including_files_in_images is false"
    )
    (image,) = plan.images
    assert image.built == image.spec


def test_untracked_files_that_are_ignored_are_said() -> None:
    image = one(code=evolve(CLEAN, ignores_untracked=True))
    assert reason(image) == "it is committed and pushed, and files that are not tracked are ignored"


def test_what_is_written_down_does_not_depend_on_the_checkout() -> None:
    pipeline = evolve(pipeline_of({"user": "1000"}), code_repositories=TEAM)
    facts = observed(pipeline, LOCAL, World(), checkout=False)
    assert not any(isinstance(need, CheckoutState | Bootstrap | FileTree) for need in facts.needs)
    written = make_spec(pipeline, LOCAL, facts)
    for code in (CLEAN, evolve(CLEAN, changed=("a",)), CodeState("git is not installed", "install it")):
        assert made({"user": "1000"}, code).spec.hash == written.hash


def test_a_lock_that_is_taken_as_it_is_is_delivered_likewise() -> None:
    settings = {"user": "1000", "apt_packages": ["git"]}
    pipeline = evolve(pipeline_of(settings), code_repositories=TEAM)
    written = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, World(), checkout=False))
    pins = Pins(Lock((written,)))
    for code in (CLEAN, evolve(CLEAN, changed=("a",))):
        facts = Facts()
        while missing := needs(pipeline, LOCAL, facts, pins=pins, frozen=True):
            facts = facts.also({need: World(code=code).answer(need) for need in missing})
        (image,) = make_plan(pipeline, LOCAL, facts, pins=pins, frozen=True).images
        assert image.hash == one(settings, code).hash
        assert image.built == one(settings, code).built


def test_an_edit_moves_an_image_only_where_the_code_is_inside() -> None:
    def hashes(code: CodeState) -> set[str]:
        pipeline = evolve(pipeline_of(), code_repositories=TEAM)
        worlds = (World(code=code, texts={"train.py": text}) for text in ("print(1)", "print(2)"))
        plans = (make_plan(pipeline, LOCAL, observed(pipeline, LOCAL, world)) for world in worlds)
        return {plan.images[0].hash.hex for plan in plans}

    assert len(hashes(CLEAN)) == 1
    assert len(hashes(evolve(CLEAN, changed=("train.py",)))) == 2


def test_another_commit_is_the_same_image() -> None:
    later = evolve(CLEAN, commit="5" * 40, tree="6" * 40)
    assert one(code=later).hash == one().hash


@pytest.mark.parametrize(
    ("edit", "known"),
    [
        ({}, True),
        ({"remotes": (Remote("origin", "github.com:team/code"),)}, True),
        ({"submodules": ("lib",)}, False),
        ({"ignores_untracked": True}, True),
        ({"changed": ("a",)}, False),
        ({"untracked": ("a",)}, False),
        ({"unseen": ("a",)}, False),
        ({"remotes": (Remote("origin", "github.com:x/y", has_commit=True),)}, False),
    ],
)
def test_the_commit_is_kept_where_the_code_is_just_that(edit: dict[str, Any], known: bool) -> None:
    """Whether it is pushed does not matter for that, nor how the code is delivered."""
    assert made(code=evolve(CLEAN, **edit)).commit == (COMMIT if known else None)


def test_without_a_repository_no_commit_is_known() -> None:
    assert made(repositories={}).commit is None


def test_files_are_not_looked_at_that_are_not_copied() -> None:
    pipeline = evolve(pipeline_of(), code_repositories=TEAM)
    needs = observed(pipeline, LOCAL, World(code=CLEAN)).needs
    assert not any(isinstance(need, FileTree) for need in needs)
    assert sum(isinstance(need, CheckoutState) for need in needs) == 1


@pytest.mark.parametrize(
    ("settings", "repositories"),
    [
        ({}, {}),
        ({"allow_download_from_code_repository": False}, TEAM),
        ({"local_project_install_command": "pip install ."}, TEAM),
    ],
)
def test_git_is_only_asked_where_that_means_something(
    settings: dict[str, Any], repositories: Mapping[str, Any]
) -> None:
    pipeline = evolve(pipeline_of(settings), code_repositories=repositories)
    needs = observed(pipeline, LOCAL, World(code=CLEAN)).needs
    assert not any(isinstance(need, CheckoutState) for need in needs)


# --- what it does to an image ---------------------------------------------------------------------------


def test_in_place_of_files_there_is_a_directory_and_the_bootstrap() -> None:
    image = one({"user": "1000:1000", "apt_packages": ["git"], "runtime_environment": {"A": "1"}})
    assert [item.kind for item in image.spec.instructions] == ["apt", "files", "user", "environment"]
    assert [item.kind for item in image.built.instructions] == [
        "apt", "directory", "bootstrap", "user", "environment",
    ]  # fmt: skip
    assert MakeDirectory(owner="1000:1000") in image.built.instructions
    assert CopyBootstrap(bootstrap_digest()) in image.built.instructions
    assert image.checkout.trees == {}
    assert image.checkout.bootstrap == bootstrap_digest()


def test_the_directory_is_the_user_s() -> None:
    assert planned_dockerfile(one({"user": "1000"})).splitlines()[-4:] == [
        "COPY --chown=1000:0 directories/755+app/ /",
        "WORKDIR /app",
        "COPY --chown=0:0 bootstrap/ /",
        "USER 1000",
    ]
    image = one({"writable_by_any_user": True})
    assert "COPY --chown=0:0 directories/775+app/ /" in planned_dockerfile(image)
    assert context_directories(image.built) == {"directories/775+app/app": 0o775}
    assert context_directories(one().built) == {"directories/755+app/app": 0o755}


def test_an_image_that_may_not_have_the_code_has_the_directory_as_well() -> None:
    image = one({**NOT_INCLUDED, "user": "app", "writable_by_any_user": True})
    assert image.spec.instructions == (SetUser("app"),)
    assert [item.kind for item in image.built.instructions] == ["directory", "bootstrap", "user"]
    assert image.checkout.directory == MakeDirectory(owner="app", group_writes=True)


def test_an_image_that_is_used_as_it_is_stays_so() -> None:
    for settings in (NOT_INCLUDED, {"skip_build": True}):
        image = one(settings)
        assert way(image) is Way.REPOSITORY
        assert not image.builds
        assert image.checkout.bootstrap is None
        assert image.reference == image.base


def step(name: str, source: str = "") -> Step:
    return Step(name=name, entrypoint=Function(source) if source else Command(("true",)))


@pytest.mark.parametrize(
    ("steps", "there"),
    [
        ((step("a"), step("b")), False),
        ((step("a", "m:f"), step("b")), True),
        ((step("a"), step("b", "m:f")), True),
    ],
)
def test_a_function_brings_the_bootstrap_along(steps: tuple[Step, ...], there: bool) -> None:
    """With the code in the image, a command needs nothing of ours."""
    plain = pipeline_of()
    pipeline = Pipeline(name="training", steps=steps, settings=plain.settings)
    (image,) = make_plan(pipeline, LOCAL, observed(pipeline, LOCAL)).images
    assert (image.checkout.bootstrap is not None) is there
    assert way(image) is Way.IMAGE
    kinds = ["files", "bootstrap"] if there else ["files"]
    assert [item.kind for item in image.built.instructions] == kinds
    assert [item.kind for item in image.spec.instructions] == ["files"]


def test_steps_of_which_one_may_not_download_are_in_two_images() -> None:
    steps: dict[str, dict[str, Any]] = {"load": {}, "train": {"allow_download_from_code_repository": False}}
    load, train = made(steps=steps).images
    assert (way(load), way(train)) == (Way.REPOSITORY, Way.IMAGE)
    assert (load.name, train.name) == ("training", "training/train")
    # A lock, which does not know the checkout, names the same images.
    pipeline = evolve(pipeline_of(None, steps), code_repositories=TEAM)
    spec = make_spec(pipeline, LOCAL, observed(pipeline, LOCAL, checkout=False))
    assert [image.name for image in spec.images] == ["training", "training/train"]
    # Where nothing is registered, what may be downloaded makes no difference.
    assert len(made(steps=steps, repositories={}).images) == 1


# --- no way at all --------------------------------------------------------------------------------------


def test_what_cannot_be_downloaded_and_may_not_be_copied_is_an_error() -> None:
    code = evolve(CLEAN, changed=tuple(f"f{number}.py" for number in range(12)))
    (problem,) = refused(NOT_INCLUDED, code)
    where, _, words = problem.partition(": ")
    assert where == "pipeline.training.settings.docker.allow_download_from_code_repository"
    assert words == (
        "the code cannot be downloaded: "
        "not committed: f0.py, f1.py, f2.py, f3.py, f4.py, f5.py, f6.py, f7.py, f8.py, f9.py and 2 more: "
        "commit and push, or stash, or allow another way, as allow_including_files_in_images does"
    )


def test_all_that_keeps_code_from_being_downloaded_is_said() -> None:
    code = evolve(CLEAN, changed=("a",), untracked=("b",), remotes=(Remote("origin", "github.com:x/y"),))
    assert len(refused(NOT_INCLUDED, code)) == 3


@pytest.mark.parametrize("name", ["code_repository", "artifact_store"])
def test_a_way_that_is_asked_for_and_not_there_is_an_error(name: str) -> None:
    name = f"allow_download_from_{name}"
    (problem,) = refused({**NOT_INCLUDED, name: True}, repositories={})
    assert problem.startswith(f"pipeline.training.settings.docker.{name}: ")
    # Another way will do.
    assert way(one({name: True}, repositories={})) is Way.IMAGE


def test_an_image_that_is_used_as_it_is_may_have_the_code_already() -> None:
    image = one({"skip_build": True}, code=evolve(CLEAN, changed=("a",)))
    assert way(image) is Way.NONE
    assert "not committed: a" in reason(image)
