"""A page of a plan in a real browser: at three widths, in both schemes, with the keyboard, and at full size.

Screenshots of a plan are in the temporary directory of the tests, to be looked at.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from attrs import evolve
from selenium.webdriver.common.keys import Keys

from benchmarks.pages import open_page, page_of_a_thousand
from executor.cli.render.page.document import image_page, report_page
from executor.workflow.pages import write_page
from planner import Pipeline
from planner.compare.actions import decide
from planner.compare.change import Change
from planner.compare.presence import Foreign, Held, Presence
from planner.compare.report import Report
from planner.pipeline import Step
from tests.browser import Browser, Scheme, browsing
from tests.builders import PARENT, World, file, plan_of
from tests.e2e.command import Project
from tests.unit.test_pages import HOSTILE, hostile_report, reported

WIDTHS: Final = (360, 800, 1440)
SCHEMES: Final[tuple[Scheme, ...]] = get_args(Scheme)
DOCKERFILE: Final = (
    f"FROM {PARENT}\nRUN apt-get update && apt-get install --yes a-package-with-quite-a-long-name\n"
)


def flow(steps: Mapping[str, tuple[str, ...]], settings: Mapping[str, Mapping[str, Any]]) -> Pipeline:
    """A pipeline of steps that come after others, with the settings of some."""
    made = [
        Step(name=name, after=after, settings={"docker": dict(settings.get(name, {}))})
        for name, after in steps.items()
    ]
    common = {"parent_image": PARENT, "requirements": ["numpy", "scikit-learn"]}
    return Pipeline(name="training", steps=made, settings={"docker": common})


def usual() -> tuple[Report, Pipeline]:
    """A report with what plans have: several images, shared layers, a Dockerfile, something that is there."""
    steps = {
        "load": (), "clean": ("load",), "features": ("clean",), "statistics": ("clean",),
        "train-small": ("features",), "train-large": ("features",), "compare": ("train-small", "train-large"),
        "a-step-with-a-name-that-is-a-good-deal-longer-than-all-others": ("compare", "statistics"),
    }  # fmt: skip
    settings: Mapping[str, Mapping[str, Any]] = {
        "train-large": {
            "apt_packages": ["libgomp1"],
            "requirements": ["torch"],
            "environment": {"THREADS": "4"},
        },
        "train-small": {"local_project_install_command": "pip install ."},
        "compare": {"dockerfile": "Dockerfile", "parent_image": None},
    }
    world = World(
        texts={"Dockerfile": DOCKERFILE},
        entries=tuple(file(f"src/package/module_{n}.py", str(n)) for n in range(40)),
    )
    pipeline = flow(steps, settings)
    plan = plan_of(pipeline.settings, {name: settings.get(name, {}) for name in steps}, world=world)
    report = reported(plan, **{plan.images[0].name: Presence(engine=Held())})
    large = next(image.name for image in plan.images if "train-large" in image.steps)
    foreign = Presence(engine=Foreign("it has no label"))
    report = evolve(report, decisions={**report.decisions, large: decide(plan, {large: foreign})[large]})
    name = plan.images[-1].name
    change = Change(name, "apt_packages", "git", "added", None, "git", "apt_packages: libgomp1 added")
    return evolve(report, since_lock=(change,)), pipeline


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Pages by their names."""
    place = tmp_path_factory.mktemp("pages")
    report, pipeline = usual()
    shown = report.plan.images[-1]
    made = {
        "plan": report_page(report, pipeline, {}),
        "image": image_page(report, pipeline, shown, {}),
        "long names": report_page(*hostile_report("long" * 1000), {}),
        "large": page_of_a_thousand(26),
    }
    for name, page in made.items():
        write_page(place / f"{name}.html", page)
    return {name: place / f"{name}.html" for name in made}


OPEN_ALL: Final = "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
# What does not fit on the page, but for names in the picture that are cut off, with three dots.
TOO_WIDE: Final = """
const wide = [...document.querySelectorAll('body *')].filter((each) => {
  if (each.closest('.unseen, .skip, svg') || !each.checkVisibility()) return false;
  const cut = each.parentElement.closest('.said > *');
  if (cut && getComputedStyle(cut).overflowX === 'hidden') return false;
  const box = each.getBoundingClientRect();
  return box.right > innerWidth + 0.5 || box.left < -0.5;
}).map((each) => each.outerHTML.slice(0, 200));
return [document.documentElement.scrollWidth, innerWidth, wide];
"""


@pytest.mark.parametrize("view", [*itertools.product(WIDTHS, SCHEMES)])
@pytest.mark.parametrize("name", ["plan", "image", "long names", "large"])
def test_nothing_overflows(
    browser: Browser, pages: Mapping[str, Path], tmp_path: Path, name: str, view: tuple[int, Scheme]
) -> None:
    width, scheme = view
    browser.open(pages[name], width=width, scheme=scheme)
    for script in ("", OPEN_ALL):
        scrolled, inner, wide = browser.ask(script + TOO_WIDE)
        assert inner == width
        assert scrolled <= width
        assert wide == []
    if name == "plan":
        browser.screenshot(tmp_path / "open.png")


# The contrast of each text with what is behind it, as WCAG 2 computes it.
CONTRASTS: Final = """
const channels = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  return {rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1};
};
const luminance = (rgb) => rgb.map((each) => each / 255)
  .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
  .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const {rgb, alpha} = channels(getComputedStyle(each).backgroundColor);
    if (alpha === 1) return rgb;
    if (alpha !== 0) throw new Error('half a background: ' + each.outerHTML.slice(0, 80));
  }
  throw new Error('no background');
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.tagName === 'SCRIPT') continue;
  const [one, other] = [luminance(channels(getComputedStyle(element).color).rgb), luminance(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  found.push([ratio, walker.currentNode.data.slice(0, 40)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_text_can_be_read_on_what_is_behind_it(
    browser: Browser, pages: Mapping[str, Path], scheme: Scheme
) -> None:
    for name in ("plan", "image"):
        browser.open(pages[name], scheme=scheme)
        found = browser.ask(OPEN_ALL + CONTRASTS)
        assert len(found) > 50
        assert [text for ratio, text in found if ratio < 4.5] == []


def test_the_schemes_differ(browser: Browser, pages: Mapping[str, Path]) -> None:
    papers = []
    for scheme in SCHEMES:
        browser.open(pages["plan"], scheme=scheme)
        papers.append(browser.ask("return getComputedStyle(document.documentElement).backgroundColor"))
    assert papers == ["rgb(255, 255, 255)", "rgb(15, 19, 24)"]


def test_a_page_asks_for_nothing_and_the_browser_has_no_complaint(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.complaints()
    for name in ("plan", "image"):
        browser.requests()
        browser.open(pages[name])
        assert browser.requests() == [pages[name].as_uri()]
        assert browser.complaints() == []


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_runs_nothing(browser: Browser, tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.html"
    write_page(page, report_page(*hostile_report(text), {}))
    browser.complaints()
    browser.open(page)
    assert browser.ask(OPEN_ALL + "return [window.hit === undefined, document.scripts.length]") == [True, 1]
    assert browser.complaints() == []


def test_a_script_that_got_into_a_page_would_be_refused(
    browser: Browser, pages: Mapping[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    text = pages["plan"].read_text(encoding="utf-8")
    page.write_text(
        text.replace(
            "<main>", "<main><script>window.hit = 1</script><img src='data:,' onerror='window.hit = 1'>"
        ),
        encoding="utf-8",
    )
    browser.complaints()
    browser.open(page)
    assert browser.ask("return window.hit === undefined")
    assert any("Content Security Policy" in each for each in browser.complaints())


def focused(browser: Browser) -> str:
    """What has the focus, in words."""
    return str(browser.ask("return document.activeElement.textContent"))


def test_the_keyboard_reaches_and_opens_everything(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["plan"])
    browser.press(Keys.TAB)
    assert focused(browser) == "Skip to the images"
    browser.press(Keys.ENTER, Keys.TAB)
    # Past the picture.
    assert focused(browser).startswith("1training")
    opened = "return document.activeElement.parentElement.open"
    assert browser.ask(opened) is False
    browser.press(Keys.ENTER)
    assert browser.ask(opened) is True
    browser.press(Keys.ESCAPE)
    assert browser.ask(opened) is False
    browser.press(Keys.ARROW_RIGHT)
    assert browser.ask(opened) is True
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_DOWN)
    assert focused(browser).startswith("2training/")
    browser.press(Keys.ARROW_UP)
    assert focused(browser).startswith("1training")
    # From inside of what is open, Escape leads back to what opened it.
    browser.press(Keys.ENTER, Keys.TAB, Keys.ESCAPE)
    assert focused(browser).startswith("1training")
    assert browser.ask(opened) is False


def test_the_keyboard_goes_along_the_lines_of_the_picture(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["plan"])
    browser.ask("document.querySelector('.steps a').focus()")
    passed = [focused(browser)]
    for key in (Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
        browser.press(key)
        passed.append(focused(browser))
    assert passed == [
        "load", "clean", "1training", "2training/train-small", "project", "2training/train-small",
    ]  # fmt: skip


def test_a_line_ends_where_its_rows_are(browser: Browser, pages: Mapping[str, Path]) -> None:
    for name in ("plan", "large"):
        browser.open(pages[name])
        lines = browser.ask("""
            const row = (key) => document.querySelector(`[data-row="${key}"]`);
            const dot = (key) => row(key).getBoundingClientRect().top + 16;
            return [...document.querySelectorAll('.strip path')].map((path) => {
              const [from, to] = path.dataset.line.split(' ');
              const top = path.ownerSVGElement.getBoundingClientRect().top;
              const begin = path.getPointAtLength(0), end = path.getPointAtLength(path.getTotalLength());
              return [top + begin.y - dot(from), top + end.y - dot(to), begin.x, end.x];
            });
        """)
        assert len(lines) > 10
        for line in lines:
            assert line == pytest.approx([0, 0, 0, 72], abs=0.6)


def test_the_focus_goes_down_the_page_and_is_seen(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["plan"])
    reachable = browser.ask("return document.querySelectorAll('a, summary, input, [tabindex]').length")
    places = []
    for _ in range(200):
        browser.press(Keys.TAB)
        place = browser.ask(
            "const at = document.activeElement; if (at === document.body) return null;"
            "const all = [...document.querySelectorAll('*')];"
            "return [all.indexOf(at), getComputedStyle(at).outlineStyle, at.matches(':focus-visible')]"
        )
        if place is None:
            break
        places.append(place)
    assert 20 < len(places) <= reachable
    assert [place[0] for place in places] == sorted(place[0] for place in places)
    assert {(style, seen) for _, style, seen in places} == {("solid", True)}


def test_what_is_found_is_shown_and_the_rest_is_not(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["large"])
    shown = "return [...document.querySelectorAll('.entry')].filter((each) => each.checkVisibility()).length"
    browser.ask("document.getElementById('find').focus()")
    browser.press(*"step-777")
    assert browser.ask("return document.getElementById('found').textContent") == "1 found"
    # It is one of many in a row that is folded, which opens.
    assert browser.ask(shown) == 1
    browser.press(Keys.ESCAPE)
    assert browser.ask("return document.getElementById('find').value") == ""
    assert browser.ask("return document.querySelectorAll('[hidden].entry').length") == 0


def test_a_row_of_the_picture_lights_up_what_belongs_to_it(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["plan"])
    lit = (
        "return [...document.querySelectorAll('.row.lit')].map((each) => each.querySelector('a').textContent)"
    )
    assert browser.ask(lit) == []
    browser.ask(
        "[...document.querySelectorAll('.steps a')]"
        ".find((each) => each.textContent === 'train-small').focus()"
    )
    names = browser.ask(lit)
    assert names[:2] == ["train-small", "2training/train-small"]
    assert names[2:] == [
        "python:3.11-slim", "requirements", "files", "project",
    ]  # fmt: skip
    browser.ask("document.activeElement.blur()")
    assert browser.ask(lit) == []


def test_a_link_opens_what_it_leads_to(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["large"])
    browser.ask("location.hash = 'step-500'")
    seen = "const at = document.getElementById('step-500'); const box = at.getBoundingClientRect();"
    seen += "return at.checkVisibility() && box.top >= 0 && box.bottom <= innerHeight"
    deadline = time.monotonic() + 20
    while not browser.ask(seen) and time.monotonic() < deadline:
        pass
    assert browser.ask(seen)


# What a screen reader is told: each control has a name, each name of another is there, headings are in order.
SAID: Final = """
const problems = [];
for (const each of document.querySelectorAll('a, summary, input, [role=region]')) {
  const name = each.getAttribute('aria-label') || each.labels?.[0]?.textContent || each.textContent;
  if (!name.trim()) problems.push('no name: ' + each.outerHTML);
}
const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
if (new Set(ids).size !== ids.length) problems.push('an id stands twice');
for (const each of document.querySelectorAll('a')) {
  if (!ids.includes(each.getAttribute('href').slice(1))) problems.push('leads nowhere: ' + each.outerHTML);
}
for (const each of document.querySelectorAll('[aria-labelledby], label[for]')) {
  const id = each.getAttribute('aria-labelledby') || each.getAttribute('for');
  if (!ids.includes(id)) problems.push('no such label: ' + id);
}
let level = 0;
for (const each of document.querySelectorAll('h1, h2, h3, h4')) {
  const next = Number(each.tagName[1]);
  if (next > level + 1 && !each.closest('details')) problems.push('a level is left out: ' + each.textContent);
  level = next;
}
for (const each of ['header', 'nav', 'main', 'h1', 'title']) {
  if (document.querySelectorAll(each).length !== 1) problems.push('not one ' + each);
}
for (const each of document.querySelectorAll('svg')) {
  if (each.getAttribute('aria-hidden') !== 'true') problems.push('a drawing is read');
}
if (document.documentElement.lang !== 'en') problems.push('no language');
return problems;
"""


@pytest.mark.parametrize("name", ["plan", "image", "large"])
def test_a_screen_reader_is_told_what_the_picture_shows(
    browser: Browser, pages: Mapping[str, Path], name: str
) -> None:
    browser.open(pages[name])
    assert browser.ask(OPEN_ALL + SAID) == []


def test_a_page_says_its_rows_in_words(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["plan"])
    rows = browser.ask("return [...document.querySelectorAll('.steps .row')].map((each) => each.textContent)")
    assert rows[0] == "loadin image 1; comes first"
    assert rows[6].endswith("; after train-small, train-large")
    images = browser.ask(
        "return [...document.querySelectorAll('.images .row')].map((each) => each.textContent)"
    )
    assert images[2] == "3training/train-large+ build ! will fail 4 new of 5 layers"
    layers = browser.ask(
        "return [...document.querySelectorAll('.layers .row')].map((each) => each.textContent)"
    )
    assert layers[3] == "project+ new in 1 image; on files"


def test_a_page_is_whole_without_its_script(
    browser: Browser, pages: Mapping[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    text = pages["plan"].read_text(encoding="utf-8")
    page.write_text(text[: text.index("<script>")] + "</body></html>", encoding="utf-8")
    browser.open(page)
    assert browser.ask("return document.getElementById('finder').checkVisibility()") is False
    browser.ask("document.querySelector('#images summary').click()")
    assert browser.ask("return document.querySelector('#images h4').checkVisibility()") is True


def test_what_is_closed_is_printed(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["plan"], media="print")
    assert browser.ask("return document.querySelector('#images h4').getBoundingClientRect().height") > 0
    assert browser.ask("return document.querySelector('nav').checkVisibility()") is False


@pytest.mark.parametrize("images", [1, 1000])
def test_a_thousand_steps_open_in_less_than_two_seconds(
    browser: Browser, tmp_path: Path, images: int
) -> None:
    page, empty = tmp_path / "page.html", tmp_path / "empty.html"
    write_page(page, page_of_a_thousand(images))
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    found = {}
    for each in (empty, page):
        open_page(browser, each)
        found[each.name] = browser.worked()
    assert 0 < found["empty.html"] < found["page.html"] < 2, found


PROJECT: Final = f"""\
[pipeline.training]
steps = ["load", "train"]
settings.docker = {{ parent_image = "{PARENT}" }}
step.train.settings.docker = {{ environment = {{ A = "${{TOKEN}}" }} }}
"""


def test_plan_and_show_draw_pages_and_print_as_before(browser: Browser, project: Project) -> None:
    project.write({"stowplan.toml": PROJECT, "load.py": ""})
    project.env["TOKEN"] = "not-to-be-seen"
    ran = project.run("plan", "--offline", "--html", ".stowplan/plan.html")
    assert (ran.code, ran.out) == (0, project.run("plan", "--offline").out)
    assert "note: wrote .stowplan/plan.html: open it in a browser\n" in ran.err
    assert project.run("plan", "--offline", "--quiet", "--html", ".stowplan/plan.html").err == ""
    browser.open(project.root / ".stowplan/plan.html")
    assert browser.ask("return document.title") == "training on default"
    assert browser.ask("return document.querySelectorAll('.images .row').length") == 2
    ran = project.run("show", "train", "--offline", "--html", "train.html", "-o", "json")
    assert ran.data["name"] == "training/train"
    assert "train.html is among the files that are copied into images" in ran.err
    browser.open(project.root / "train.html")
    assert browser.ask("return document.querySelector('pre').checkVisibility()") is True
    for name in (".stowplan/plan.html", "train.html"):
        assert "not-to-be-seen" not in (project.root / name).read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_an_error(project: Project) -> None:
    project.write({"stowplan.toml": PROJECT})
    project.env["TOKEN"] = "x"
    ran = project.run("plan", "--offline", "--html", "stowplan.toml")
    assert ran.code == 1
    assert "stowplan.toml: is not a page that stowplan wrote" in ran.err
    assert (project.root / "stowplan.toml").read_text(encoding="utf-8") == PROJECT
    ran = project.run("plan", "--offline", "--html", "-")
    assert (ran.code, (project.root / "-").exists()) == (64, False)
    assert "name a file" in ran.err
    ran = project.run("show", "train", "--dockerfile", "--html", "x.html")
    assert ran.code == 64
    assert "--html shows the whole image" in ran.err
