"""A page of a plan: what its picture draws, what it says, what is encoded, and how its file is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from executor.cli.render.page.document import image_page, report_page
from executor.cli.render.page.picture import ROWS, Picture, State, picture
from executor.cli.render.page.rails import Rail, rails
from executor.errors import ExecutorError
from executor.workflow.copied import is_copied
from executor.workflow.pages import tree_sizes, write_page
from planner import Pipeline
from planner.compare.actions import Action, decide
from planner.compare.change import Change
from planner.compare.layers import rebuilt_layers
from planner.compare.presence import Held, Presence
from planner.compare.report import Report
from planner.errors import Place, Problem
from planner.image.plan import BuildPlan, Note
from planner.pipeline import Step
from tests.builders import PARENT, World, file, observed, pipeline_of, plan_of

SETTINGS = {"requirements": ["six", "attrs"], "apt_packages": ["git"]}
STEPS: Mapping[str, Mapping[str, Any]] = {
    "load": {},
    "left": {"environment": {"A": "very secret"}},
    "right": {"apt_packages": ["curl"]},
    "join": {},
}
GIT = {"apt_packages": ["git"]}
FILES = World(entries=(file("load.py", "12345"), file("src/é.py")))


def reported(plan: BuildPlan, **present: Presence) -> Report:
    """What there is to say of a plan of which nothing was built before, but for what is present."""
    decisions = decide(plan, present)
    rebuilt = {
        image.name: rebuilt_layers(None, image)
        for image in plan.images
        if decisions[image.name].action is Action.BUILD
    }
    return Report(plan, decisions, rebuilt=rebuilt)


def drawn(steps: Mapping[str, Mapping[str, Any]] = STEPS, **present: Presence) -> Picture:
    pipeline = pipeline_of(SETTINGS, steps)
    return picture(reported(plan_of(SETTINGS, steps, world=FILES), **present), pipeline)


# --- rails


def test_a_chain_is_one_line() -> None:
    assert rails([(), (0,), (1,)]) == (
        Rail(0, goes_on=True),
        Rail(0, into=(0,), goes_on=True),
        Rail(0, into=(0,)),
    )


def test_what_comes_after_one_hangs_on_one_rail_and_what_comes_after_all_joins_them() -> None:
    start, left, right, join = rails([(), (0,), (0,), (1, 2)])
    assert start == Rail(0, goes_on=True)
    # The rail of the first passes by the second, which has one of its own, and ends in the third.
    assert left == Rail(1, into=(0,), through=(0,), goes_on=True)
    assert right == Rail(0, into=(0,), through=(1,), goes_on=True)
    assert join == Rail(0, into=(0, 1))


def test_a_thousand_that_come_after_one_take_two_columns() -> None:
    made = rails([(), *[(0,)] * 1000])
    assert max(rail.width for rail in made) == 2


def test_no_line_begins_or_ends_in_the_air() -> None:
    made = rails([(), (), (0,), (1,), (0, 3), (2, 4), ()])
    below: set[int] = set()
    for rail in made:
        assert {*rail.into, *rail.through} == below
        below = {*rail.through, *([rail.column] if rail.goes_on else [])}
    assert below == set()


# --- the picture


def test_a_layer_that_several_images_share_is_drawn_once() -> None:
    made = drawn()
    assert [image.name for image in made.images] == ["training", "training/left", "training/right"]
    parents = [layer for layer in made.layers if layer.item is None]
    assert [layer.images for layer in parents] == [(0, 1, 2)]
    # `left` sets its environment below the packages, `right` has others: nothing above the parent is shared.
    assert [layer.name for layer in made.layers].count("requirements") == 3
    for number, image in enumerate(made.images):
        names = [made.layers[each].name for each in made.layers_of(number)[1:]]
        assert names == [*rebuilt_layers(None, image)]


def test_layers_are_shared_up_to_the_first_that_differs() -> None:
    made = drawn({"load": {}, "serve": {"local_project_install_command": "pip install ."}})
    shared = [layer.name for layer in made.layers if layer.images == (0, 1)]
    assert shared[1:] == ["apt packages", "requirements", "files"]
    assert [(layer.name, layer.images) for layer in made.layers if layer.images == (1,)] == [
        ("project", (1,))
    ]


def test_a_parent_is_drawn_once_whatever_arguments_are_given_to_what_is_built_on_it() -> None:
    def built(value: str) -> dict[str, Any]:
        options = {"build_options": {"build_args": {"A": value}}}
        return {"parent_image": None, "dockerfile": "Dockerfile", "parent_image_build_config": options}

    steps = {"load": {}, "serve": built("1"), "more": built("2")}
    world = World(texts={"Dockerfile": f"FROM {PARENT}\nARG A\nRUN echo $A\n"}, entries=(file("train.py"),))
    plan = plan_of({}, steps, world=world)
    made = picture(reported(plan), pipeline_of({}, steps))
    assert [layer.name for layer in made.layers].count(made.layers[0].name) == 1
    assert [layer.name for layer in made.layers].count("dockerfile") == 2


def test_an_image_on_another_of_the_plan_stands_on_its_layers() -> None:
    settings = {"parent_image": None, "dockerfile": "Dockerfile", "requirements": ["six"]}
    world = World(texts={"Dockerfile": f"FROM {PARENT}\nRUN true\n"}, entries=(file("train.py"),))
    pipeline = pipeline_of(settings)
    plan = plan_of(settings, world=world)
    made = picture(reported(plan), pipeline)
    below, above = plan.images
    assert above.parent is not None
    assert [made.layers[each].name for each in made.layers_of(1)][1:] == [
        "dockerfile",
        "requirements",
        "files",
    ]
    assert {layer.images for layer in made.layers if layer.name == "dockerfile"} == {(0, 1)}
    assert all(layer.state is State.NEW for layer in made.layers if layer.item is not None)
    # The page of the upper one has the lower one too.
    assert below.name in image_page(reported(plan), pipeline, above, {})


def test_a_layer_of_an_image_that_is_there_is_not_new() -> None:
    made = drawn(
        {"load": {}, "serve": {"local_project_install_command": "pip install ."}},
        training=Presence(engine=Held()),
    )
    states = {layer.name: layer.state for layer in made.layers if layer.item is not None}
    assert states == {
        "apt packages": State.THERE,
        "requirements": State.THERE,
        "files": State.THERE,
        "project": State.NEW,
    }


def test_steps_are_in_the_order_of_their_data() -> None:
    steps = [Step(name="c", after=("a", "b")), Step(name="a", after=()), Step(name="b", after=())]
    pipeline = Pipeline(name="training", steps=steps, settings={"docker": {"parent_image": PARENT}})
    made = picture(reported(plan_of({}, ["c", "a", "b"])), pipeline)
    assert made.steps == ("a", "b", "c")
    assert [row.before for row in made.of_steps] == [(), (), (0, 1)]


@pytest.mark.parametrize("kinds", [1, 26, 1000])
def test_a_plan_of_a_thousand_steps_is_few_rows(kinds: int) -> None:
    steps = {f"s{n}": {"environment": {"KIND": str(n % kinds)}} for n in range(1000)}
    made = drawn(steps)
    assert len(made.images) == kinds
    for rows, members in (
        (made.of_steps, len(made.steps)),
        (made.of_images, len(made.images)),
        (made.of_layers, len(made.layers)),
    ):
        assert 1 <= len(rows) <= ROWS
        # Each is in one row.
        assert sorted(member for row in rows for member in row.members) == list(range(members))
        assert all(other < number for number, row in enumerate(rows) for other in row.before)
    assert {to for row in made.of_steps for to in row.to} == {*range(len(made.of_images))}


def test_steps_that_differ_in_nothing_but_their_names_are_one_row() -> None:
    many = [f"part-{n}" for n in range(998)]
    steps = [Step(name="split", after=())]
    steps += [Step(name=name, after=("split",)) for name in many]
    steps += [Step(name="join", after=tuple(many))]
    pipeline = Pipeline(name="training", steps=steps, settings={"docker": {"parent_image": PARENT}})
    made = picture(reported(plan_of({}, [step.name for step in steps])), pipeline)
    assert [len(row.members) for row in made.of_steps] == [1, 998, 1]
    assert [row.before for row in made.of_steps] == [(), (0,), (1,)]


# --- the page


class Parsed(HTMLParser):
    """The elements of a page, and what stands between them, but for its style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [value for _, value in attrs if value]
        if tag not in ("meta", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)


def hostile_report(text: str) -> tuple[Report, Pipeline]:
    """A report with a text wherever one may come from outside."""
    pipeline = pipeline_of(SETTINGS)
    # No plan has a name that UTF-8 cannot hold; what others say may have.
    name = text.encode(errors="replace").decode()
    # What is a login in a URL is none in the name of a file. With its ending it is one that nothing ignores.
    world = World(entries=(file("x.py" if "@" in name else f"x{name.replace('/', '')}.py"),))
    (image,) = plan_of({**SETTINGS, "local_project_install_command": "true"}, world=world).images
    image = evolve(image, name=name)
    plan = BuildPlan("training", name, (image,), (Note("n", "k", text, Place(file=text)),), commit=text)
    report = reported(plan)
    blocked = Problem(Place(file=text), text, text, "c")
    decision = evolve(report.decisions[name], reason=text, blocked=blocked)
    change = Change(name, "f", text, "c", text, text, text)
    return evolve(report, decisions={name: decision}, since_lock=(change,)), pipeline


HOSTILE = (
    "</script><script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>", '"><b>',
    "' onclick='x", "<!--", "]]>", "&lt;b&gt;", "</style>", "javascript:window.hit=1", "\u202eevil",
    "\x1b[31m", "a\u200bb", "\udcff", "</details></main>", "<svg onload=window.hit=1>", "\u2028", "\0",
    "`<b>`", "x" * 3000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_text_on_the_page(text: str) -> None:
    harmless = Parsed(report_page(*hostile_report("x"), {}))
    page = report_page(*hostile_report(text), {})
    found = Parsed(page)
    if "`" not in text:  # between which is code
        assert found.elements == harmless.elements
    page.encode()
    for character in "\u202e\x1b\u200b\u2028\0\udcff":
        assert character not in page


def test_the_same_plan_is_the_same_page() -> None:
    pipeline, report = pipeline_of(SETTINGS, STEPS), reported(plan_of(SETTINGS, STEPS, world=FILES))
    assert report_page(report, pipeline, {}) == report_page(report, pipeline, {})


def test_no_value_of_a_variable_is_on_a_page() -> None:
    pipeline, report = pipeline_of(SETTINGS, STEPS), reported(plan_of(SETTINGS, STEPS, world=FILES))
    page = report_page(report, pipeline, {})
    assert "very secret" not in page
    assert "<code>A</code>" in page


def test_a_page_names_nothing_that_is_loaded() -> None:
    pipeline, report = pipeline_of(SETTINGS, STEPS), reported(plan_of(SETTINGS, STEPS, world=FILES))
    found = Parsed(report_page(report, pipeline, {}))
    names = {name for _, attributes in found.elements for name in attributes}
    assert names.isdisjoint({"src", "srcset", "action", "data", "style", "onclick", "onload"})
    assert {tag for tag, _ in found.elements}.isdisjoint({"img", "link", "iframe", "object", "base", "form"})
    assert not [value for value in found.attributes if "://" in value]


def test_the_page_says_the_words_of_the_plan() -> None:
    pipeline, plan = pipeline_of(SETTINGS, STEPS), plan_of(SETTINGS, STEPS, world=FILES)
    change = Change("training", "apt_packages", "git", "added", None, "git", "apt_packages: git added")
    report = evolve(reported(plan, training=Presence(engine=Held())), since_build=(change,))
    tree = next(iter(plan.images[0].checkout.trees.values()))
    texts = "".join(Parsed(report_page(report, pipeline, {tree.digest: 1234})).texts)
    for words in (
        "training on default", "+ build 2", "= reuse 1", "the engine has it", "never built here",
        "apt_packages: git added since its last build", "2 files, 1.2 kB", "after right", "load.py",
        "src/é.py", plan.hash.short, *(image.hash.short for image in plan.images),
    ):  # fmt: skip
        assert words in texts


def test_the_page_of_one_image_has_its_dockerfile_and_nothing_of_the_others() -> None:
    pipeline, plan = pipeline_of(SETTINGS, STEPS), plan_of(SETTINGS, STEPS, world=FILES)
    page = image_page(reported(plan), pipeline, plan.images[2], {})
    assert "apt-get install" in page
    assert "training/right" in page
    assert "training/left" not in page
    # What is counted is what is drawn.
    assert "+ build 1" in "".join(Parsed(page).texts)


def test_a_step_of_one_image_does_not_come_first_because_it_is_alone() -> None:
    steps = [Step(name="load", after=()), Step(name="train", after=("load",), settings={"docker": GIT})]
    pipeline = Pipeline(name="training", steps=steps, settings={"docker": {"parent_image": PARENT}})
    plan = plan_of({}, {"load": {}, "train": GIT}, world=FILES)
    texts = "".join(Parsed(image_page(reported(plan), pipeline, plan.images[1], {})).texts)
    assert "; after load" in texts
    assert "comes first" not in texts


def test_steps_of_a_row_are_said_to_run_in_their_own_images_and_in_no_others() -> None:
    steps = {f"s{number}": {"environment": {"A": str(number)}} for number in range(64)}
    pipeline = Pipeline(
        name="training",
        steps=[Step(name=name, settings={"docker": each}) for name, each in steps.items()],
        settings={"docker": {"parent_image": PARENT}},
    )
    report = reported(plan_of({}, steps, world=FILES))
    # The images are one row, and each row of steps leads to it.
    assert [len(row.members) for row in picture(report, pipeline).of_images] == [64]
    texts = Parsed(report_page(report, pipeline, {})).texts
    said = [text for text in texts if text.startswith("in images ")]
    assert said == [f"in images {number}, {number + 1}" for number in range(1, 64, 2)]


def test_the_legend_is_of_what_is_on_the_page() -> None:
    pipeline, plan = pipeline_of(SETTINGS, STEPS), plan_of(SETTINGS, STEPS, world=FILES)
    new = "".join(Parsed(report_page(reported(plan), pipeline, {})).texts)
    assert "an image to build" in new
    assert "an image to push" not in new
    assert "an image that exists" not in new
    held = {image.name: Presence(engine=Held()) for image in plan.images}
    there = "".join(Parsed(report_page(reported(plan, **held), pipeline, {})).texts)
    assert "an image that exists" in there
    assert "an image to build" not in there


def test_a_parent_is_called_what_people_call_it_and_said_in_full_below() -> None:
    made = drawn()
    assert made.layers[0].name == "python:3.11-slim"
    pipeline, plan = pipeline_of(SETTINGS, STEPS), plan_of(SETTINGS, STEPS, world=FILES)
    page = Parsed(report_page(reported(plan), pipeline, {}))
    assert str(plan.images[0].spec.external) in page.texts
    by_digest = {"parent_image": f"python@sha256:{'0' * 64}"}
    plan = plan_of(by_digest, world=FILES)
    assert picture(reported(plan), pipeline_of(by_digest)).layers[0].name == "python@000000000000"


def test_images_that_are_no_longer_in_the_plan_are_named() -> None:
    pipeline, plan = pipeline_of(SETTINGS, STEPS), plan_of(SETTINGS, STEPS, world=FILES)
    change = Change("training/old", "image", None, "removed", "a", None, "image removed")
    report = evolve(reported(plan), since_lock=(change,))
    assert "training/old: image removed" in "".join(Parsed(report_page(report, pipeline, {})).texts)
    assert "training/old" not in image_page(report, pipeline, plan.images[0], {})


# --- its file


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(tmp_path: Path) -> None:
    page = report_page(reported(plan_of()), pipeline_of(), {})
    target = tmp_path / "plan.html"
    write_page(target, page)
    write_page(target, page)
    assert target.read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["plan.html"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()

    notes = tmp_path / "notes.html"
    notes.write_text("<!doctype html>\n<p>mine", encoding="utf-8")
    link, fifo, folder = tmp_path / "link.html", tmp_path / "fifo", tmp_path / "folder"
    link.symlink_to(target)
    os.mkfifo(fifo)
    folder.mkdir()
    for path, found in (
        (notes, "is not a page that stowplan wrote"),
        (link, "is a link"),
        (fifo, "is not a file"),
        (folder, "is not a file"),
    ):
        with pytest.raises(ExecutorError) as error:
            write_page(path, page)
        assert error.value.problems[0].found == found
    assert notes.read_text(encoding="utf-8").endswith("mine")
    assert link.is_symlink()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_page_that_cannot_be_written_leaves_nothing(unprivileged: Path) -> None:
    with pytest.raises(ExecutorError) as error:
        write_page(unprivileged / "no/plan.html", "x")
    assert str(error.value.problems[0].where) == str(unprivileged / "no")
    assert error.value.problems[0].found == "is not a directory"
    unprivileged.chmod(0o555)
    with pytest.raises(ExecutorError) as error:
        write_page(unprivileged / "plan.html", "x")
    assert error.value.problems[0].found == "cannot be written: Permission denied"
    assert not [*unprivileged.iterdir()]


def test_a_page_among_the_files_of_an_image_is_found(tmp_path: Path) -> None:
    pipeline = pipeline_of(SETTINGS)
    facts = observed(pipeline, world=World(texts={".dockerignore": "*.html\n!docs/*.html\n"}))
    for name, copied in (
        ("plan.html", False),
        ("docs/plan.html", True),
        ("plan.htm", True),
        (".stowplan/plan.htm", False),
        ("../plan.htm", False),
    ):
        assert is_copied(facts, tmp_path / "project", tmp_path / "project" / name) is copied, name


def test_the_size_of_a_tree_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "load.py").write_text("12345", encoding="utf-8")
    (tmp_path / "src/é.py").write_text("123", encoding="utf-8")
    plan = plan_of(SETTINGS, STEPS, world=FILES)
    (size,) = tree_sizes(tmp_path, plan.images).values()
    assert size == 8
    (tmp_path / "load.py").unlink()
    assert tree_sizes(tmp_path, plan.images) == {}
