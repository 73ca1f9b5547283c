"""Images of custom Dockerfiles as plans: one image or two, pins, what counts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from planner import (
    BuildPlan,
    Change,
    Digest,
    ExternalImage,
    FileTree,
    ImageDigest,
    ImagePlan,
    ImageSpec,
    Lock,
    Pin,
    Pins,
    PlannerError,
    PythonOf,
    diff,
    dockerfile,
    dumps,
    loads,
)
from planner.image.instructions import BuildDockerfile
from planner.lock.repair import repair
from tests.builders import World, asked, digest, file, link, plan_of, ref, spec_of

TEXT = """\
# The base of both stages.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
ARG VERSION=1
RUN echo \\
    # a comment inside
    ${VERSION} > /version

FROM golang:1.22 AS unused
COPY nowhere /
FROM python:3.11-slim
COPY --from=build /version /version
COPY --from=ghcr.io/astral-sh/uv:0.5 /uv /usr/bin/uv
COPY src/*.py conf/ /app/
USER app
"""
ENTRIES = (
    file("src/a.py", "a"),
    file("src/b.txt", "b"),
    file("conf/x.toml", "x"),
    file("other.txt", "o"),
)
ALONE: Mapping[str, Any] = {
    "dockerfile": "Dockerfile",
    "build_context_root": ".",
    "allow_including_files_in_images": False,
    "parent_image": None,
}
MORE: Mapping[str, Any] = {**ALONE, "environment": {"A": "1"}}


def world(text: str = TEXT, entries: tuple[Any, ...] = ENTRIES, **texts: str) -> World:
    """A project with this Dockerfile; `texts` are other files of text, by path with `__` for `/`."""
    named = {path.replace("__", "/"): value for path, value in texts.items()}
    return World(texts={"Dockerfile": text, **named}, entries=entries)


def only(settings: Mapping[str, Any] = ALONE, text: str = TEXT, **more: Any) -> ImagePlan:
    """The one image of these settings."""
    (image,) = plan_of(settings, world=world(text, **more)).images
    return image


def problems(settings: Mapping[str, Any], text: str = TEXT, **more: Any) -> list[str]:
    """What is wrong, each as `place: what`."""
    with pytest.raises(PlannerError) as caught:
        plan_of(settings, world=world(text, **more))
    inside = "pipeline.training.settings.docker."
    return [f"{problem.where}: {problem.found}".removeprefix(inside) for problem in caught.value.problems]


def custom(image: ImagePlan) -> BuildDockerfile:
    """The Dockerfile of an image."""
    assert image.spec.dockerfile is not None
    return image.spec.dockerfile


def test_nothing_else_asked_for_is_one_image_and_anything_else_is_two() -> None:
    (alone,) = plan_of(ALONE, world=world()).images
    assert (alone.name, alone.steps, alone.parent) == ("training", ("train",), None)
    for more in (
        {"environment": {"A": "1"}},
        {"runtime_environment": {"A": "1"}},
        {"requirements": ["six"]},
        {"apt_packages": ["git"]},
        {"user": "1000"},
        {"allow_including_files_in_images": True},
        {"build_config": {"build_options": {"labels": {"a": "b"}}}},
    ):
        first, second = plan_of({**ALONE, **more}, world=world()).images
        assert (first.name, first.steps) == ("training/dockerfile", ())
        assert (second.name, second.steps) == ("training", ("train",))
        assert second.parent is first
        assert (first.hash, first.spec) == (alone.hash, alone.spec)
        assert second.spec.parent == first.spec
        assert second.hash != first.hash
        # Whoever needs it builds it.
        assert not first.destination.push


def test_equal_images_are_one_image_and_a_step_in_it_gives_it_its_name() -> None:
    plan = plan_of(
        MORE,
        {"a": {}, "b": {"environment": {"B": "1"}}, "plain": {"environment": {}}},
        world=world(),
    )
    names = {image.name: image.steps for image in plan.images}
    assert names == {"training/plain": ("plain",), "training": ("a",), "training/b": ("b",)}
    below = plan.images[0]
    assert [image.parent for image in plan.images] == [None, below, below]

    plan = plan_of(MORE, {"a": {}, "b": {"environment": {"B": "1"}}}, world=world())
    assert [image.name for image in plan.images] == ["training/dockerfile", "training", "training/b"]
    # Another target is another image, named after the first that is built on it.
    other = {"parent_image_build_config": {"build_options": {"target": "build"}}}
    plan = plan_of(MORE, {"a": {}, "dockerfile": {}, "b": other}, world=world())
    assert [image.name for image in plan.images] == [
        "training/dockerfile",
        "training",
        "training/b-dockerfile",
        "training/b",
    ]


def test_a_step_of_the_name_that_a_dockerfile_would_have_keeps_it() -> None:
    other = {"environment": {"B": "1"}}
    plan = plan_of(MORE, {"a": {}, "dockerfile": other}, world=world())
    assert [image.name for image in plan.images] == [
        "training/dockerfile-image",
        "training",
        "training/dockerfile",
    ]
    assert loads(dumps(Lock([plan.spec]))).plans == (plan.spec,)


def test_what_is_built_is_what_the_target_needs_with_pins_in_place() -> None:
    image = only()
    base, uv = (digest(str(ref(name))) for name in ("python:3.11-slim", "ghcr.io/astral-sh/uv:0.5"))
    assert dockerfile(image.spec) == (
        "ARG BASE=python:3.11-slim\n"
        f"FROM docker.io/library/python@{base} AS build\n"
        "ARG VERSION=1\n"
        "RUN echo     ${VERSION} > /version\n"
        f"FROM docker.io/library/python@{base}\n"
        "COPY --from=build /version /version\n"
        f"COPY --from=ghcr.io/astral-sh/uv@{uv} /uv /usr/bin/uv\n"
        "COPY src/*.py conf/ /app/\n"
        "USER app\n"
    )
    assert custom(image).numbers == (2, 3, 4, 5, 11, 12, 13, 14, 15)
    assert image.spec.external == ExternalImage(ref("python:3.11-slim"), base)
    assert [each.image.reference.familiar for each in custom(image).images] == ["ghcr.io/astral-sh/uv:0.5"]


def test_a_stage_that_is_left_out_moves_the_numbers_of_those_after_it() -> None:
    text = "FROM scratch\nCOPY a /\nFROM python:3.11-slim\nRUN true\nFROM scratch\nCOPY --from=1 /x /\n"
    assert custom(only(text=text)).lines == (
        "FROM python:3.11-slim",
        "RUN true",
        "FROM scratch",
        "COPY --from=0 /x /",
    )
    image = only(text="FROM scratch\nCOPY other.txt /\n")
    assert image.spec.external.is_empty
    assert image.parent_text == "scratch"
    assert plan_of(ALONE, world=world("FROM scratch\nCOPY other.txt /\n")).notes == (
        *(note for note in plan_of(ALONE, world=world()).notes if note.code != "unpinned"),
    )


def test_the_empty_image_is_called_scratch_in_what_changed() -> None:
    empty, python = (
        plan_of(ALONE, world=world(f"FROM {name}\nCOPY other.txt /\n"))
        for name in ("scratch", "python:3.11-slim")
    )
    changes = [
        (each.before, each.after, each.text) for each in diff(empty, python) if each.field == "parent_image"
    ]
    after = "docker.io/library/python:3.11-slim"
    assert changes == [("scratch", after, "parent image: scratch → python:3.11-slim")]


def test_only_what_can_be_copied_is_part_of_the_context() -> None:
    image = only()
    assert tuple(image.checkout.trees["context"].paths()) == ("conf/x.toml", "src/a.py")
    outside = only(entries=(*ENTRIES[:-1], file("other.txt", "changed"), file("new.txt")))
    assert outside.hash == image.hash
    inside = only(entries=(*ENTRIES[1:], file("src/a.py", "changed")))
    assert inside.hash != image.hash
    assert inside.spec == image.spec
    # What no stage copies is not even looked at.
    needs = asked({**ALONE}, world("FROM python:3.11-slim\nRUN true\n"))
    assert not any(isinstance(need, FileTree) for need in needs)


def test_two_images_move_together_and_neither_moves_for_a_comment() -> None:
    before = plan_of(MORE, world=world())
    for text in (
        "\n# another comment\n" + TEXT,
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.replace("nowhere", "elsewhere"),  # in a stage that the target does not need
        TEXT.replace("FROM golang:1.22 AS unused\n", "FROM golang:1.23 AS unused\nRUN date\n"),
    ):
        assert plan_of(MORE, world=world(text)).images == before.images
    moved = plan_of(MORE, world=world(TEXT.replace("USER app", "USER other")))
    assert [a.hash != b.hash for a, b in zip(before.images, moved.images, strict=True)] == [True, True]


@pytest.mark.parametrize(
    "options",
    [
        {"build_args": {"VERSION": "2"}},
        {"build_args": {"BASE": "python:3.12-slim"}},
        {"target": "build"},
        {"platform": "linux/arm64"},
        {"labels": {"a": "b"}},
        {"network": "none"},
    ],
)
def test_options_of_the_dockerfile_count(options: Mapping[str, Any]) -> None:
    changed = {**ALONE, "parent_image_build_config": {"build_options": options}}
    assert only(changed).hash != only().hash
    # Those of the image on top are another matter.
    on_top = plan_of({**MORE, "build_config": {"build_options": {"build_args": {"X": "1"}}}}, world=world())
    assert on_top.images[0].hash == only().hash


def test_a_build_argument_that_nothing_declares_is_a_note_and_counts_nothing() -> None:
    given = {"build_options": {"build_args": {"VERSOIN": "2"}}}
    plan = plan_of({**ALONE, "parent_image_build_config": given}, world=world())
    assert plan.images[0].hash == only().hash
    (note,) = (note for note in plan.notes if note.code == "build-argument-unused")
    assert "Dockerfile has no ARG for the build argument VERSOIN" in note.text


def test_a_parent_image_beside_a_dockerfile_is_a_note() -> None:
    plan = plan_of({**ALONE, "parent_image": "debian:12"}, world=world())
    assert plan.images[0].hash == only().hash
    (note,) = (note for note in plan.notes if note.code == "parent-image-unused")
    assert note.text == ("training: parent_image debian:12 is not used: Dockerfile says what it is built on")


def test_skip_build_uses_the_parent_image_and_says_that_the_dockerfile_is_left_out() -> None:
    settings = {**ALONE, "skip_build": True, "parent_image": "debian:12"}
    plan = plan_of(settings, world=world())
    (image,) = plan.images
    assert not image.builds
    assert [note.text for note in plan.notes if note.code == "skip-build"] == [
        "skip_build uses debian:12 as it is, without dockerfile"
    ]
    assert problems({**ALONE, "skip_build": True}) == ["skip_build: no parent_image to use as it is"]


def test_every_image_that_is_named_is_a_need_once() -> None:
    found = {need.ref.familiar for need in asked(MORE, world()) if isinstance(need, ImageDigest)}
    assert found == {"python:3.11-slim", "ghcr.io/astral-sh/uv:0.5"}
    text = (
        "# syntax=docker/dockerfile:1.7\n"
        "FROM --platform=$BUILDPLATFORM golang:1.22 AS go\n"
        "FROM python:3.11-slim@sha256:" + "1" * 64 + "\n"
        "COPY --from=go /a /a\n"
        "RUN --mount=type=bind,from=busybox:1,target=/b cat /b/x\n"
    )
    needs = {need for need in asked(ALONE, world(text)) if isinstance(need, ImageDigest)}
    names = ("docker/dockerfile:1.7", "golang:1.22", "busybox:1")
    assert needs == {ImageDigest(ref(name)) for name in names}
    on_arm = {"parent_image_build_config": {"build_options": {"platform": "linux/arm64"}}}
    needs = {need for need in asked({**ALONE, **on_arm}, world(text)) if isinstance(need, ImageDigest)}
    assert needs == {
        ImageDigest(ref("docker/dockerfile:1.7")),
        ImageDigest(ref("golang:1.22")),
        ImageDigest(ref("busybox:1"), "linux/arm64"),
    }
    pinned = dockerfile(only(text=text).spec)
    assert pinned.startswith(f"# syntax=docker.io/docker/dockerfile@{digest(str(ref(names[0])))}\n")
    assert f"from=docker.io/library/busybox@{digest(str(ref('busybox:1')))}," in pinned
    assert f"FROM docker.io/library/python@sha256:{'1' * 64}\n" in pinned


def moving(**pins: str) -> World:
    """A world in which images have moved to other digests."""
    known = {name: Pin(digest(text), "index", "linux/amd64") for name, text in pins.items()}
    return evolve(world(), pins={name.replace("__", ":"): pin for name, pin in known.items()})


def test_the_lock_holds_the_pins_of_all_images_that_are_named() -> None:
    names = {"python:3.11-slim": "one", "ghcr.io/astral-sh/uv:0.5": "one"}
    first = evolve(world(), pins={name: Pin(digest(text), "index") for name, text in names.items()})
    later = evolve(world(), pins={name: Pin(digest("two"), "index") for name in names})
    spec = spec_of(MORE, world=first)
    text = dumps(Lock([spec]))
    lock = loads(text)
    assert lock.plans == (spec,)
    assert dumps(lock) == text
    # Nothing is asked of a registry.
    pins = Pins(lock)
    assert not any(isinstance(need, ImageDigest) for need in asked(MORE, later, pins=pins))
    assert spec_of(MORE, world=later, pins=pins) == spec
    # One of them is released, and moves alone.
    released = Pins(lock, frozenset([ref("ghcr.io/astral-sh/uv:0.5")]))
    moved = spec_of(MORE, world=later, pins=released)
    one, two = digest("one").short, digest("two").short
    assert [change.text for change in diff(spec, moved) if change.image == "training/dockerfile"] == [
        f"dockerfile: digest of ghcr.io/astral-sh/uv:0.5 moved ({one} → {two})"
    ]
    assert moved.images[0].spec.external == spec.images[0].spec.external


def test_a_locked_plan_is_built_from_what_the_lock_says() -> None:
    made = plan_of(MORE, world=world())
    lock = loads(dumps(Lock([made.spec])))
    changed = world(TEXT.replace("USER app", "USER other"))
    frozen = frozen_plan(MORE, changed, Pins(lock))
    assert [image.hash for image in frozen.images] == [image.hash for image in made.images]
    assert [image.name for image in frozen.images] == [image.name for image in made.images]
    assert [dockerfile(each.spec, each.base) for each in frozen.images] == [
        dockerfile(each.spec, each.base) for each in made.images
    ]


def frozen_plan(settings: Mapping[str, Any], of: World, pins: Pins) -> BuildPlan:
    """The plan of a lock that is taken as it is."""
    from planner import Facts, Stack, make_plan, needs  # noqa: PLC0415  # one test plans like this
    from tests.builders import pipeline_of  # noqa: PLC0415  # as above

    pipeline = pipeline_of(settings)
    facts = Facts()
    while missing := needs(pipeline, Stack(), facts, pins=pins, frozen=True):
        facts = facts.also({need: of.answer(need) for need in missing})
    return make_plan(pipeline, Stack(), facts, pins=pins, frozen=True)


def test_a_lock_whose_dockerfile_was_edited_is_refused_and_repaired_without_it() -> None:
    text = dumps(Lock([spec_of(MORE, world=world())]))
    assert '"USER app"' in text
    for before, after in (
        ('"USER app"', '"USER root"'),
        (str(digest(str(ref("ghcr.io/astral-sh/uv:0.5")))), str(digest("another"))),
    ):
        edited = text.replace(before, after)
        assert edited != text
        with pytest.raises(PlannerError, match="its hash is not that of its content"):
            loads(edited)
        repaired = repair(edited)
        assert repaired.lock.plans == ()
        assert any("training/dockerfile" in dropped for dropped in repaired.dropped)


def test_a_lock_may_hold_no_dockerfile_that_planning_does_not_make() -> None:
    spec = spec_of(ALONE, world=world())
    (image,) = spec.images
    item = image.spec.dockerfile
    assert item is not None
    for made, found in (
        (evolve(item, lines=(*item.lines, "FROBNICATE x")), "its Dockerfile cannot be read"),
        (evolve(item, lines=("# comment", *item.lines)), "its Dockerfile is not written as it is planned"),
        (evolve(item, images=()), "the images that its Dockerfile names are not those that are pinned"),
    ):
        forged = evolve(spec, images=[evolve(image, spec=evolve(image.spec, instructions=(made,)))])
        with pytest.raises(PlannerError, match=found):
            loads(dumps(Lock([forged])))


def changes(before: World, after: World, settings: Mapping[str, Any] = MORE) -> dict[str, list[str]]:
    """What `diff` says of each image."""
    found: dict[str, list[str]] = {}
    for change in diff(plan_of(settings, world=before), plan_of(settings, world=after)):
        found.setdefault(change.image, []).append(change.text)
    return found


def test_diff_names_the_instruction_with_its_line() -> None:
    after = world(TEXT.replace("USER app", "USER other"))
    found = changes(world(), after)
    assert found["training/dockerfile"] == ["Dockerfile:15: USER app → USER other"]
    assert len(found["training"]) == 1
    assert found["training"][0].startswith("parent image: the image of the Dockerfile changed (")
    replaced = world(TEXT.replace("USER app", "WORKDIR /srv\nUSER other"))
    assert changes(world(), replaced)["training/dockerfile"] == [
        "Dockerfile:15: + WORKDIR /srv",
        "Dockerfile:16: USER app → USER other",
    ]
    added = world("# a line above\n" + TEXT + 'RUN true\nCMD ["python"]\n')
    assert changes(world(), added)["training/dockerfile"] == [
        "Dockerfile:17: + RUN true",
        'Dockerfile:18: + CMD ["python"]',
    ]
    assert changes(added, world())["training/dockerfile"] == [
        "Dockerfile:17: - RUN true",
        'Dockerfile:18: - CMD ["python"]',
    ]
    # A lock knows no lines of the file before.
    text = TEXT.replace("USER app", "USER other")
    lock = loads(dumps(Lock([spec_of(MORE, world=world())])))
    plan = lock.plan("training", "default")
    (change,) = (c for c in diff(plan, spec_of(MORE, world=world(text))) if c.image.endswith("dockerfile"))
    assert (change.code, change.key, change.before, change.after) == (
        "changed",
        "Dockerfile:15",
        "USER app",
        "USER other",
    )


def test_diff_shows_long_and_odd_instructions_where_they_differ() -> None:
    start = "FROM python:3.11-slim\n"

    def told(old: str, new: str) -> str:
        (text,) = changes(world(start + old), world(start + new), ALONE)["training"]
        assert text.isprintable()
        return text.removeprefix("Dockerfile:2: ")

    heredoc = "RUN <<EOF\nset -e\necho {}\nEOF\n"
    assert told(heredoc.format(1), heredoc.format(2)) == "… echo 1 → … echo 2"
    assert told("RUN true\n", heredoc.format(2)) == "RUN true → RUN <<EOF …"
    assert told("RUN a\tb\n", "RUN a\x1b[31mb\n") == "RUN a\\tb → RUN a\\x1b[31mb"
    long = "RUN " + " && ".join(f"echo {number}" for number in range(200)) + "\n"
    text = told(long, long.replace("echo 150", "echo other"))
    assert len(text) < 250
    assert "echo 150" in text
    assert "echo other" in text
    # Where there are very many, to say which would take longer than anyone waits.
    many = "RUN true\n" * 3000
    assert changes(world(start + many), world(start + many + "RUN false\n"), ALONE)["training"] == [
        "Dockerfile: changed, of 3001 instructions and now 3002"
    ]


def test_diff_names_files_of_the_context_and_build_arguments() -> None:
    after = world(entries=(file("src/a.py", "changed"), *ENTRIES[1:]))
    assert changes(world(), after)["training/dockerfile"] == ["build context: 1 changed (src/a.py)"]
    before = plan_of(ALONE, world=world())
    given = {**ALONE, "parent_image_build_config": {"build_options": {"build_args": {"VERSION": "2"}}}}
    assert [change.text for change in diff(before, plan_of(given, world=world()))] == [
        "build argument: + VERSION=2"
    ]


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        ({}, ["conf/x.toml", "other.txt", "src/a.py", "src/b.txt"]),
        ({".dockerignore": "src"}, ["conf/x.toml", "other.txt"]),
        ({".dockerignore": "src", "Dockerfile.dockerignore": "conf"}, ["other.txt", "src/a.py", "src/b.txt"]),
        (
            {".dockerignore": "src", "Dockerfile.dockerignore": "conf", "ignore/mine": "other.txt"},
            ["conf/x.toml", "src/a.py", "src/b.txt"],
        ),
    ],
)
def test_which_ignore_file_counts(ignored: Mapping[str, str], expected: list[str]) -> None:
    text = "FROM scratch\nCOPY . /\n"
    settings = dict(ALONE)
    if "ignore/mine" in ignored:
        settings["parent_image_build_config"] = {"dockerignore": "ignore/mine"}
    made = World(texts={"Dockerfile": text, **ignored}, entries=ENTRIES)
    (image,) = plan_of(settings, world=made).images
    found = set(image.checkout.trees["context"].paths())
    # The Dockerfile is a file of the context like any other, and so are ignore files that are not in effect.
    assert sorted(found - {"Dockerfile", *ignored}) == expected
    assert ".dockerignore" not in found


def test_a_context_of_its_own_is_a_directory_of_the_project() -> None:
    text = "FROM scratch\nCOPY a.txt sub/ /\n"
    entries = (file("images/ctx/a.txt"), file("images/ctx/sub/b"), file("a.txt", "not this one"))
    settings = {**ALONE, "dockerfile": "docker/Dockerfile", "build_context_root": "./images/ctx/"}
    made = World(texts={"docker/Dockerfile": text}, entries=entries)
    (image,) = plan_of(settings, world=made).images
    assert tuple(image.checkout.trees["context"].paths()) == ("a.txt", "sub/b")
    assert image.checkout.context_root == "images/ctx"
    # Where it is in the project says nothing of the image.
    moved = World(
        texts={"Dockerfile": text},
        entries=tuple(evolved._replace(path=evolved.path.replace("images/ctx", "c")) for evolved in entries),
    )
    (other,) = plan_of({**ALONE, "build_context_root": "c"}, world=moved).images
    assert other.hash == image.hash


def test_without_a_root_the_context_has_the_dockerfile_alone() -> None:
    settings = {**ALONE, "build_context_root": None, "dockerfile": "docker/My.Dockerfile"}
    text = "FROM scratch\nCOPY . /\n"
    made = World(texts={"docker/My.Dockerfile": text, "docker/other": "x"})
    (image,) = plan_of(settings, world=made).images
    assert tuple(image.checkout.trees["context"].paths()) == ("My.Dockerfile",)
    assert not any(note.code == "default-ignore-rules" for note in plan_of(settings, world=made).notes)
    lonely = World(texts={"docker/My.Dockerfile": "FROM scratch\nCOPY other /\n", "docker/other": "x"})
    with pytest.raises(PlannerError) as caught:
        plan_of(settings, world=lonely)
    (problem,) = caught.value.problems
    assert str(problem.where) == "docker/My.Dockerfile:2"
    assert problem.found == "COPY: other is not in the context, which has the Dockerfile alone"
    assert "build_context_root" in problem.fix


def test_a_link_is_followed_to_what_it_leads_to_in_the_context() -> None:
    text = "FROM scratch\nCOPY linked /\n"
    entries = (link("linked", "real/file"), file("real/file", "1"), file("real/other", "1"))
    image = only(text=text, entries=entries)
    assert tuple(image.checkout.trees["context"].paths()) == ("linked", "real/file")


def test_each_mistake_is_said_with_its_line_and_all_at_once() -> None:
    text = "FROM python:3.11-slim\nCOPY nope.txt /\nCOPY gone/*.md other.txt /\nCOPY ignored.txt /\n"
    made = World(
        texts={"Dockerfile": text, ".dockerignore": "ignored.txt"},
        entries=(*ENTRIES, file("ignored.txt")),
    )
    with pytest.raises(PlannerError) as caught:
        plan_of(ALONE, world=made)
    assert [f"{problem.where}: {problem.found}" for problem in caught.value.problems] == [
        "Dockerfile:2: COPY: nope.txt does not exist in the project, or holds no files",
        "Dockerfile:3: COPY: no file of the context matches gone/*.md",
        "Dockerfile:4: COPY: ignored.txt is left out of the context by .dockerignore",
    ]
    assert {problem.code for problem in caught.value.problems} == {"dockerfile-copy"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dockerfile": "nope"}, ["dockerfile: nope does not exist"]),
        (
            {"parent_image_build_config": {"dockerignore": "nope"}},
            ["parent_image_build_config.dockerignore: nope does not exist"],
        ),
        (
            {"build_config": {"build_options": {"target": "build"}}},
            ["build_config.build_options.target: only a custom Dockerfile has stages"],
        ),
        (
            {"parent_image_build_config": {"build_options": {"target": "biuld"}}},
            ["Dockerfile: no stage biuld"],
        ),
        (
            {"build_context_root": "/srv", "dockerfile": "/srv/Dockerfile"},
            ["dockerfile: is an absolute path", "build_context_root: is an absolute path"],
        ),
        (
            {
                "build_config": {"build_options": {"platform": "linux/amd64"}},
                "parent_image_build_config": {"build_options": {"platform": "linux/arm64"}},
            },
            ["parent_image_build_config.build_options.platform: the image on top of it is for linux/amd64"],
        ),
    ],
)
def test_mistakes_of_settings(settings: Mapping[str, Any], expected: list[str]) -> None:
    assert problems({**MORE, **settings}) == expected


def test_both_images_are_for_one_platform() -> None:
    asked_for = {"build_options": {"platform": "linux/arm64"}}
    for config in ("build_config", "parent_image_build_config"):
        images = plan_of({**MORE, config: asked_for}, world=world()).images
        assert [image.platform for image in images] == ["linux/arm64"] * 2
    literal = "FROM --platform=linux/arm64 python:3.11-slim\nRUN true\n"
    images = plan_of(MORE, world=world(literal)).images
    assert [image.platform for image in images] == ["linux/arm64"] * 2
    found = problems({**MORE, "build_config": {"build_options": {"platform": "linux/amd64"}}}, literal)
    assert [text.partition(": ")[2] for text in found] == [
        "the last stage of Dockerfile is for the platform of linux/arm64"
    ]


def test_what_depends_on_the_machine_has_to_name_a_platform() -> None:
    text = "ARG TARGETARCH\nFROM base-${TARGETARCH}:1\n"
    (found,) = problems(MORE, text)
    assert found.endswith("what Dockerfile takes depends on the platform of the machine that builds")
    named = {**MORE, "parent_image_build_config": {"build_options": {"platform": "linux/arm64"}}}
    image = plan_of(named, world=world(text)).images[0]
    assert image.spec.external.reference.familiar == "base-arm64:1"


def test_the_python_of_the_last_stage_is_what_requirements_are_resolved_for() -> None:
    settings = {**ALONE, "requirements": ["six"]}
    needs = [need for need in asked(settings, world()) if isinstance(need, PythonOf)]
    pinned = ref("python:3.11-slim").pinned(digest(str(ref("python:3.11-slim"))))
    assert needs == [PythonOf(pinned)]
    needs = [
        need for need in asked({**settings, "python_version": "3.12"}, world()) if isinstance(need, PythonOf)
    ]
    assert needs == [PythonOf(pinned, None, "3.12")]


def test_commands_run_as_root_on_a_dockerfile_that_ends_as_somebody_else() -> None:
    settings = {**ALONE, "apt_packages": ["git"]}
    text = dockerfile(plan_of(settings, world=world()).images[1].spec, "below")
    assert text.splitlines()[1:3] == ["FROM below", "USER 0"]
    assert text.splitlines()[-1] == "USER app"
    # `user` says who runs it in the end.
    text = dockerfile(plan_of({**settings, "user": "1000"}, world=world()).images[1].spec, "below")
    assert [line for line in text.splitlines() if line.startswith("USER")] == ["USER 0", "USER 1000"]
    # Of a Dockerfile that says nothing it is the user of the image that it stands on.
    silent = world("FROM python:3.11-slim\nRUN true\n")
    assert "USER" not in dockerfile(plan_of(settings, world=silent).images[1].spec, "below")


def test_a_dockerfile_that_some_builder_does_not_know_is_refused_for_it() -> None:
    from planner import Stack, make_plan  # noqa: PLC0415  # one test asks for builders
    from tests.builders import observed, pipeline_of  # noqa: PLC0415  # as above

    def refused(text: str, *builders: str) -> list[str]:
        pipeline = pipeline_of(ALONE)
        facts = observed(pipeline, Stack(), world(text))
        try:
            make_plan(pipeline, Stack(), facts, builders=frozenset(builders))
        except PlannerError as error:
            return [f"{problem.where}: {problem.found}" for problem in error.problems]
        return []

    mount = "FROM python:3.11-slim\n\nRUN --mount=type=cache,target=/c true\n"
    (found,) = refused(mount, "classic")
    assert found.startswith("Dockerfile:3: ")
    assert "RUN --mount=type=cache" in found
    assert refused(mount, "classic", "podman") == refused(mount, "podman") == []
    heredoc = "FROM python:3.11-slim\nRUN <<EOF\ntrue\nEOF\n"
    assert len(refused(heredoc, "podman")) == len(refused(heredoc, "classic")) == 1
    assert refused(heredoc, "buildkit") == []
    # Others leave the line aside, which does no harm.
    assert refused("# syntax=docker/dockerfile:1\nFROM python:3.11-slim\n", "classic") == []


def test_an_image_of_another_kind_is_none_of_a_dockerfile() -> None:
    with pytest.raises(PlannerError, match="a Dockerfile is not the only instruction"):
        ImageSpec(
            ExternalImage(ref("a"), Digest("0" * 64)),
            (BuildDockerfile(("FROM a",)), BuildDockerfile(("FROM b",))),
        )


def test_reuse_that_is_prevented_is_prevented_of_both() -> None:
    images = plan_of({**MORE, "prevent_build_reuse": True}, world=world()).images
    assert [image.destination.prevent_reuse for image in images] == [True, True]
    # One step that asks for it has the image below built again, for the others too.
    images = plan_of(
        MORE, {"a": {}, "b": {"environment": {"B": "1"}, "prevent_build_reuse": True}}, world=world()
    ).images
    assert {image.name: image.destination.prevent_reuse for image in images} == {
        "training/dockerfile": True,
        "training": False,
        "training/b": True,
    }


def test_a_lock_with_a_dockerfile_needs_one_in_the_settings() -> None:
    lock = loads(dumps(Lock([spec_of(MORE, world=world())])))
    with pytest.raises(PlannerError) as caught:
        frozen_plan({"environment": {"A": "1"}}, world(), Pins(lock))
    (problem,) = caught.value.problems
    assert str(problem.where) == "stowplan.lock"
    assert problem.found == "it has an image of a Dockerfile, and the settings name none"


def test_secrets_that_are_mounted_are_those_that_are_declared() -> None:
    text = (
        "FROM python:3.11-slim\nRUN --mount=type=secret,id=pypi true\nRUN --mount=type=secret,id=npm true\n"
    )
    assert problems(ALONE, text) == [
        "Dockerfile:2: mounts the secret pypi, which is not declared",
        "Dockerfile:3: mounts the secret npm, which is not declared",
    ]
    declared = {name: {"env": name.upper()} for name in ("pypi", "npm", "other")}
    image = only({**ALONE, "secrets": declared}, text)
    assert image.spec.secrets == {"pypi": 1, "npm": 1}
    assert image.secrets.keys() == {"pypi", "npm"}
    # Where the value is found is no difference, and what a builder calls a secret has its version.
    elsewhere = {**declared, "pypi": {"file": "~/.netrc"}}
    assert only({**ALONE, "secrets": elsewhere}, text).hash == image.hash
    newer = only({**ALONE, "secrets": {**declared, "pypi": {"env": "PYPI", "version": 2}}}, text)
    assert newer.spec.hash != image.spec.hash
    assert dockerfile(newer.spec).splitlines()[1:] == [
        "RUN --mount=type=secret,id=pypi@2,target=/run/secrets/pypi true",
        "RUN --mount=type=secret,id=npm true",
    ]
    assert [change.text for change in diff_of(image, newer)] == [
        "dockerfile: version of the secret pypi: 1 → 2"
    ]


def diff_of(old: ImagePlan, new: ImagePlan) -> tuple[Change, ...]:
    """What `diff` says of two plans of one image."""
    return diff(BuildPlan("p", "s", (old,)), BuildPlan("p", "s", (new,)))


def test_a_file_with_a_secret_is_not_copied() -> None:
    text = "FROM python:3.11-slim\nCOPY . /\n"
    settings = {**ALONE, "secrets": {"pypi": {"file": "token.txt"}}}
    (found,) = problems(settings, text, entries=(file("token.txt", "hunter22"),))
    assert found == "secrets.pypi.file: token.txt is copied into the image, where everybody can read it"
    kept = world("FROM python:3.11-slim\nCOPY other.txt /\n", entries=(*ENTRIES, file("token.txt")))
    assert plan_of(settings, world=kept).images


def test_what_a_dockerfile_leaves_to_whoever_builds_on_it_is_refused_where_we_do() -> None:
    text = "FROM python:3.11-slim\nONBUILD COPY . /src\n"
    assert only(text=text).builds
    (found,) = problems(MORE, text)
    assert found.startswith("Dockerfile:2: ONBUILD would be carried out in the image on top")


def test_default_rules_and_suspicious_files_are_notes_of_a_context_too() -> None:
    text = "FROM scratch\nCOPY . /\n"
    entries = (file("a"), file(".env", "TOKEN=1"), file("id_rsa", "key"))
    plan = plan_of(ALONE, world=world(text, entries=entries))
    assert set(plan.images[0].checkout.trees["context"].paths()) == {"Dockerfile", "a", "id_rsa"}
    codes = {note.code: note.text for note in plan.notes}
    assert "default-ignore-rules" in codes
    assert codes["suspicious-files"].startswith("id_rsa is copied")
