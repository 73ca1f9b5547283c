"""Random worlds and all that can be asked in them: settings, pipelines, stacks, facts. `shapes` has the
images and locks that no settings of this release lead to.

Every attribute that this release plans is drawn, with the text that breaks naive encoders: quotes,
`$`, backslashes, `#`, `=`, control characters, both forms of Unicode.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from planner import (
    BuildPlan,
    Entry,
    EnvTemplate,
    Facts,
    Kind,
    Pin,
    Pins,
    Pipeline,
    PlanSpec,
    Stack,
    make_plan,
    make_spec,
)
from planner.settings.option_table import BUILDERS
from planner.settings.option_table import OPTIONS as BY_NAME
from planner.values import freeze
from tests.builders import NO_PINS, World, digest, file, link, observed


def examples(count: int) -> hypothesis_settings:
    """So many examples: fewer where values of variables are hashed, which is slow on purpose."""
    return hypothesis_settings(max_examples=count)


AWKWARD = (
    "it's", 'say "hi"', "$HOME", "${", "${}", "${not a name}", "$$", "a\\", "\\\\", '\\"', "\\n", "# no",
    "a=b", "=", " ", "  two  ", "\t", "", "é", "e\u0301", "日本", "🚢",
    "\u2028", "\x85", "\x7f", "\x01", "\ufeff",
    "`whoami`", "$(id)", "; rm -rf /", "&& true", "<<EOF", "%s", "{}", "'", '"', "\\$", "a\\ b", "[1]", "--x",
)  # fmt: skip
# Anything that fits on one line and can be encoded.
any_text = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)
text = st.sampled_from(AWKWARD) | any_text | st.lists(st.sampled_from(AWKWARD), max_size=4).map("".join)

# A few names, so that most examples share the fingerprints that scrypt makes slow on purpose.
VARIABLES: Mapping[str, str] = {"TOKEN": "s3cr3t-t0k3n-value", "REGION": "eu-west 1 $x \"q\" 'y' \\"}
REFERENCES = [
    *(f"${{{name}}}" for name in VARIABLES), "{parent}", ":{parent}", "{parent}:", "{{parent}}",
]  # fmt: skip
template = (
    st.lists(text | text | text | st.sampled_from(REFERENCES), max_size=3)
    .map("".join)
    # Pieces may add up to the name of a variable that is not set.
    .filter(lambda value: set(EnvTemplate(value).variables) <= set(VARIABLES))
)
literal = text.filter(lambda value: "${" not in value and "{parent}" not in value)
env_name = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)


def environments(values: SearchStrategy[str]) -> SearchStrategy[dict[str, str]]:
    return st.dictionaries(env_name, values, max_size=3)


path_part = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda part: part not in (".", ".."))
PATHS = ("train.py", "utils/io.py", "utils/__init__.py", "data/a b.csv", "é.txt", "e\u0301.txt", "a/b/c/d.py")


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Files, executables, links and empty directories; no name is both a file and a directory."""
    names = draw(st.sets(st.sampled_from(PATHS), max_size=5))
    names |= {f"odd-{part}" for part in draw(st.sets(path_part, max_size=3))}
    found = []
    for name in sorted(names):
        kind = draw(st.sampled_from(list(Kind)))
        content = draw(st.sampled_from(["", "print(1)", "print(2)"]))
        match kind:
            case Kind.LINK:
                found.append(link(name, draw(st.sampled_from(["train.py", "../utils/io.py", "é"]))))
            case Kind.DIRECTORY:
                found.append(Entry(f"empty/{name}.d", kind, b""))
            case _:
                found.append(file(name, content, kind))
    return tuple(found)


PACKAGES = ("torch", "numpy", "Scikit_Learn", "requests[socks,Security]", "six", "zope.interface")
SPECIFIERS = (
    "", "==2.1.1", ">=1.0,<3", "~=2.2", "!=1.5", "===1.0-custom", "==2.*", " > 1 , < 2.0 ", "==1.0+local.1",
)  # fmt: skip
MARKERS = ("", '; python_version < "3.12"', "; sys_platform == 'linux'", '; extra == "gpu"')


@st.composite
def requirement_lists(draw: st.DrawFn) -> list[str]:
    """Requirements of different packages, so that none contradicts another."""
    names = draw(st.lists(st.sampled_from(PACKAGES), unique=True, max_size=4))
    lines = [f"{name}{draw(st.sampled_from(SPECIFIERS))}{draw(st.sampled_from(MARKERS))}" for name in names]
    if draw(st.booleans()):
        lines.append("mine @ git+https://example.com/mine.git@v1 ; python_version >= '3.8'")
    return lines


OPTIONS = (
    "--pre", "--prefer-binary", "--index-url https://example.com/simple", "--no-binary numpy,six",
    "--extra-index-url https://a.example/x?y='z'&w=$q", "--extra-index-url https://b.example/`id`",
    "--find-links https://example.com/wheels", "--trusted-host example.com:8080", "--only-binary :all:",
)  # fmt: skip


@st.composite
def requirement_files(draw: st.DrawFn) -> dict[str, str]:
    """A requirements file by its path, and those it includes."""
    files = {"requirements.txt": ["-r requirements/more.txt"], "requirements/more.txt": ["# more"]}
    for line in [
        *draw(requirement_lists()),
        *draw(st.lists(st.sampled_from(OPTIONS), unique=True, max_size=4)),
    ]:
        files[draw(st.sampled_from(sorted(files)))].append(line)
    if draw(st.booleans()):
        files["requirements/more.txt"].append("-c ../constraints.txt")
        files["constraints.txt"] = ["urllib3<2", "certifi==2024.2.2"]
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


option_name = st.from_regex(r"[a-z][a-z0-9]{0,4}([_-][a-z0-9]{1,4})?", fullmatch=True)
# No URL with credentials can come of these.
word = text | st.integers(0, 5000)
arguments = st.dictionaries(
    option_name, st.none() | st.just(True) | word | st.lists(word, max_size=3), max_size=3
)
host_lists = st.lists(st.sampled_from(["a:10.0.0.1", "b=::1", "b.example:[2001:db8::1]"]), max_size=3)
# Beside some values in all that they may be written as, every option with a value that it takes.
others = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(option.example) for name, option in BY_NAME.items() if option.counts},
        "network": st.sampled_from(["bridge", "default", "host", "none"]),
        "add_host": host_lists | st.just({"a": "10.0.0.1", "c": "::2"}),
        "cap_add": st.lists(st.sampled_from(["net_admin", "CAP_CHOWN", "ALL"]), max_size=3),
    },
)
tunings = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(option.example) for name, option in BY_NAME.items() if not option.counts},
        "memory": st.sampled_from(["64m", "1g", 1 << 30, str(1 << 30)]),
        "ulimit": st.just({"nofile": 1024}) | st.just(["nproc=1:2", "nofile=1024:1024"]),
        "force_rm": st.none() | st.booleans() | st.integers(0, 1),
    },
)


def build_options(builder: str) -> SearchStrategy[dict[str, Any]]:
    """Build options that a builder has all of, however they are laid over each other."""

    def had(given: dict[str, Any]) -> dict[str, Any]:
        for table in ("other", "tuning"):
            given[table] = {
                name: value
                for name, value in given.get(table, {}).items()
                if builder in BY_NAME[name].takers(BY_NAME[name].shape.read(freeze(value)))
                # Each of these only goes with, or without, another option.
                and name not in ("memory_swap", "dns", "no_cache_filter")
            }
        return {name: value for name, value in given.items() if value != {}}

    return _build_options.map(had)


_build_options = st.fixed_dictionaries(
    {},
    optional={
        # Longer names than a variable has here: one that adds to the parent's value has no argument's name.
        "build_args": environments(text).map(
            lambda given: {f"argument_{name}": given[name] for name in given}
        )
        | st.just({"HTTP_PROXY": "http://proxy", "no_proxy": "x"}),
        "cache_from": st.lists(st.sampled_from(["python:3.11", "localhost:5000/cache:latest"]), max_size=2),
        "no_cache": st.booleans(),
        "shm_size": st.none() | st.integers(1, 2**30) | st.sampled_from(["1g", "64M"]),
        "pull": st.booleans(),
        "rm": st.booleans(),
        "labels": st.dictionaries(st.sampled_from(["org.example.team", "a", 'q"u', "é"]), text, max_size=3),
        "platform": st.none() | st.sampled_from(["linux/amd64", "linux/arm64/v8"]),
        "other": others,
        "tuning": tunings,
    },
)
USERS = ("root", "1000", "1000:1000", "app", "app_1:staff.x")
PARENTS = (
    None, "python:3.11-slim", "python", "localhost:5000/team/base:1.0", "ghcr.io/a/b_c__d.e-f",
    f"quay.io/pinned/image@{digest('pinned')}", f"python:3.12@{digest('tagged and pinned')}",
    "localhost/base:1",
)  # fmt: skip


@st.composite
def settings(draw: st.DrawFn, *, whole: bool = True, builder: str = "podman") -> dict[str, Any]:
    """What `DockerSettings` takes; `whole` settings are fine on their own, others only over those.

    Options are those that one builder has: no other could build what several have between them.
    """
    given: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "parent_image": st.sampled_from(PARENTS),
                "image_tag": st.sampled_from(["1.0.0", "latest"]),
                "prevent_build_reuse": st.booleans(),
                "target_repository": st.sampled_from(["team/training", "x"]),
                "python_package_installer": st.sampled_from(["uv", "pip"]),
                "python_package_installer_args": arguments,
                "requirements": requirement_lists() | st.just("requirements.txt"),
                "install_stack_requirements": st.booleans(),
                "install_deployment_requirements": st.booleans(),
                "apt_packages": st.lists(
                    st.sampled_from(
                        ["git", "curl", "libgomp1:amd64", "g++", "vim=2:9.0~rc1-1", "tzdata/stable"]
                    ),
                    max_size=4,
                ),
                "environment": environments(template),
                "runtime_environment": environments(template),
                "user": st.sampled_from(USERS),
                "build_config": st.fixed_dictionaries(
                    {},
                    optional={
                        "build_options": build_options(builder),
                        "dockerignore": st.just("docker/ignore"),
                    },
                ),
            },
        )
    )
    if not whole and given.get("parent_image", "") is None:
        del given["parent_image"]  # a pipeline that skips the build needs one
    if whole:
        included = draw(st.booleans())
        given["allow_including_files_in_images"] = included
        if included and draw(st.booleans()):
            given["local_project_install_command"] = draw(text)
        if given.get("parent_image") and draw(st.integers(0, 4)) == 4:
            given["skip_build"] = True
    return given


PINNED = ("python:3.11-slim", "python:latest", "localhost:5000/team/base:1.0")
digests = st.sampled_from([digest("moved"), digest("other")])
platforms = st.sampled_from(["linux/amd64", "linux/arm64"])
known_pins = st.builds(Pin, digests, st.just("manifest"), st.none() | platforms) | st.builds(
    Pin, digests, st.just("index"), platforms, st.none() | st.just(digest("manifest"))
)
pins = st.builds(Pin, reason=st.sampled_from(["the registry is away", ""])) | known_pins


@st.composite
def worlds(draw: st.DrawFn, told: SearchStrategy[Pin] = pins) -> World:
    """A world whose registries tell `told` of some images."""
    ignore = draw(st.sampled_from(["", "*.py\n", "# nothing\nutils\n!utils/io.py\n"]))
    return World(
        texts={**draw(requirement_files()), "docker/ignore": ignore},
        entries=draw(entries()),
        variables=VARIABLES,
        pins=draw(st.dictionaries(st.sampled_from(PINNED), told, max_size=3)),
        python=draw(st.sampled_from(["3.11", "3.12"])),
        platform=draw(platforms),
        local=draw(st.dictionaries(st.just("localhost/base:1"), digests, max_size=1)),
    )


stacks = st.builds(
    Stack,
    name=st.sampled_from(["default", "prod", "a.b-c_d"]),
    container_registry=st.none()
    | st.builds(
        lambda uri, repository: {"uri": uri, "default_repository": repository},
        st.sampled_from(["localhost:5000", "ghcr.io/team", "registry.example.com:443/a/b"]),
        st.none() | st.just("models"),
    ),
    components=st.sampled_from([{}, {}, {"deployer": {"flavor": "docker"}}]),
)
names = st.sampled_from(["training", "p", "a.b-c_d", "3x"])


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A pipeline of one to four steps, some with settings of their own."""
    steps = draw(
        st.lists(st.sampled_from(["load", "train", "eval", "ship"]), min_size=1, max_size=4, unique=True)
    )
    builder = draw(st.sampled_from(sorted(BUILDERS)))
    own = {
        name: draw(settings(whole=False, builder=builder)) for name in steps if draw(st.integers(0, 2)) == 0
    }
    return Pipeline.decode(
        {
            "name": draw(names),
            "steps": steps,
            "settings": {"docker": draw(settings(builder=builder))},
            "step": {name: {"settings": {"docker": table}} for name, table in own.items()},
        }
    )


@frozen
class Case:
    """All that a plan is made from."""

    pipeline: Pipeline
    stack: Stack
    world: World

    def facts(self, pins: Pins = NO_PINS, *, checkout: bool = True) -> Facts:
        """Answers to all that is needed. Without `checkout`, files and variables are not looked at."""
        return observed(self.pipeline, self.stack, self.world, pins=pins, checkout=checkout)

    def plan(self, pins: Pins = NO_PINS) -> BuildPlan:
        return make_plan(self.pipeline, self.stack, self.facts(pins), pins=pins)

    def spec(self, pins: Pins = NO_PINS) -> PlanSpec:
        return make_spec(self.pipeline, self.stack, self.facts(pins, checkout=False), pins=pins)


cases = st.builds(Case, pipelines(), stacks, worlds())
plans = cases.map(Case.plan)

_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
# All that has a canonical form, without the values whose text is their meaning.
framed = st.recursive(
    _leaves | st.frozensets(_leaves, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def shuffled(items: Any, seed: int) -> list[Any]:
    """The same items in another order."""
    given = list(items)
    random.Random(seed).shuffle(given)  # noqa: S311  # an order, not a secret
    return given
