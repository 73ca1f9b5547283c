"""Custom Dockerfiles on real engines: what is built is looked into, and what moves, and what is said.

Each builder builds them: BuildKit, Docker's classic builder, and Podman.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from executor.apply.scheduler import apply
from executor.engines.protocol import Engine
from executor.process import Command, run
from planner import BuildPlan, Facts
from planner.image.capabilities import Capability, required
from tests.contract.images import planned
from tests.e2e.command import Project
from tests.e2e.conftest import chosen_engine
from tests.e2e.images import Tags
from tests.index import package_index

BUILDERS = ("buildkit", "classic", "podman")
ALONE = """
    [pipeline.p]
    steps = ["a"]
    [pipeline.p.settings.docker]
    dockerfile = "docker/Dockerfile"
    build_context_root = "."
    allow_including_files_in_images = false
"""


@pytest.fixture(params=BUILDERS)
def builder(request: pytest.FixtureRequest, project: Project) -> Iterator[Engine]:
    """Each builder in turn, which the project's commands use. What they made is removed."""
    name: str = request.param
    engine = "podman" if name == "podman" else "docker"
    made = Tags(chosen_engine(engine))
    project.env["STOWPLAN_CONTAINER_ENGINE"] = engine
    project.env["STOWPLAN_DOCKER_BUILDER"] = "auto" if name == "podman" else name
    yield made.engine
    # What is built on an image goes before it.
    for build in project.run("builds", "list", "--images", "-o", "json").data["records"]:
        made.made(build["reference"])
    made.remove()


def references(project: Project, *options: str) -> dict[str, str]:
    """Everything built; the references of the images by name."""
    ran = project.run("apply", "-o", "json", *options)
    assert ran.code == 0, ran.err
    return {image["name"]: image["reference"] for image in ran.data["images"]}


def said(engine: Engine, reference: str, command: str) -> str:
    """What a command of a shell says in a container of an image."""
    done = engine.run(reference, ("/bin/sh", "-c", command))
    assert done.code == 0, done.output
    return done.output


def configured(engine: Engine, reference: str) -> Any:
    """The configuration of an image."""
    done = run(Command((engine.name, "image", "inspect", "--format={{json .Config}}", reference)))
    assert done.code == 0, done.stderr
    return json.loads(done.text)


def test_one_image_holds_what_its_dockerfile_says(project: Project, builder: Engine, base: str) -> None:
    project.write({
        "stowplan.toml": ALONE + """
            [pipeline.p.settings.docker.parent_image_build_config]
            dockerignore = "docker/ignore"
            build_options = { build_args = { WORD = "said" }, target = "final", labels = { team = "ship" } }
            """,
        "docker/ignore": "src/left.py\n",
        "docker/Dockerfile": f"""
            ARG BASE={base}
            FROM scratch AS unused
            COPY nothing.that.is.there /
            FROM ${{BASE}} AS build
            ARG WORD=unsaid
            # A comment.
            RUN echo \\
                # another one
                "$WORD" > /word
            FROM ${{BASE}} AS final
            COPY --from=1 /word /word
            COPY src/*.py conf* /srv/code/
            COPY ["a name with spaces.txt", "/srv/"]
            WORKDIR /srv
            ENV GREETING="hello there"
            USER 1234:1234
            CMD ["cat", "/word"]
            FROM final AS after
            RUN false
            """,
        "src/a.py": "a",
        "src/left.py": "left",
        "src/b.txt": "b",
        "conf/deep/x.toml": "x",
        "a name with spaces.txt": "spaces",
        "other.txt": "other",
    })  # fmt: skip
    built = references(project)
    assert list(built) == ["p"]
    reference = built["p"]
    assert said(builder, reference, "cat /word").strip() == "said"
    assert said(builder, reference, "cd /srv && find . -type f | sort").splitlines() == [
        "./a name with spaces.txt",
        "./code/a.py",
        "./code/deep/x.toml",
    ]
    assert said(builder, reference, 'id -u; pwd; echo "$GREETING"').splitlines() == [
        "1234",
        "/srv",
        "hello there",
    ]
    configuration = configured(builder, reference)
    assert configuration["Cmd"] == ["cat", "/word"]
    assert configuration["Labels"]["team"] == "ship"
    # It is there, and is used again.
    again = project.ok("apply", "-o", "json")
    assert [image["result"] for image in again.data["images"]] == ["reused"]
    # What is printed is what was built.
    text = project.ok("show", "p", "--dockerfile").out
    assert "unused" not in text
    assert "after" not in text
    assert text.count("@sha256:") == 2
    assert project.ok("show", "p", "--context").out.splitlines() == [
        "a name with spaces.txt",
        "conf/deep/x.toml",
        "src/a.py",
    ]


@pytest.mark.parametrize("copied", [".", "./", "/"])
def test_all_of_a_context_is_the_project_and_nothing_of_ours(
    project: Project, builder: Engine, base: str, copied: str
) -> None:
    project.write(
        {
            "stowplan.toml": ALONE,
            "docker/Dockerfile": f"FROM {base}\nCOPY {copied} /all/\n",
            ".dockerignore": "left.out\n",
            ".containerignore": "kept\n",
            "left.out": "",
            "kept": "1",
            "deep/er/.hidden": "1",
        }
    )
    (project.root / "link").symlink_to("kept")
    (project.root / "deep/run.sh").write_text("#!/bin/sh\necho ran\n")
    (project.root / "deep/run.sh").chmod(0o755)
    reference = references(project)["p"]
    assert said(builder, reference, "cd /all && find . ! -type d | sort").splitlines() == [
        "./.containerignore",
        "./deep/er/.hidden",
        "./deep/run.sh",
        "./docker/Dockerfile",
        "./kept",
        "./link",
    ]
    assert said(builder, reference, "/all/deep/run.sh; readlink /all/link").split() == ["ran", "kept"]


def test_a_context_of_a_directory_and_one_of_the_dockerfile_alone(
    project: Project, builder: Engine, base: str
) -> None:
    project.write(
        {
            "stowplan.toml": """
            [pipeline.p]
            steps = ["rooted", "lonely"]
            [pipeline.p.settings.docker]
            dockerfile = "docker/Dockerfile"
            allow_including_files_in_images = false
            [pipeline.p.step.rooted.settings.docker]
            build_context_root = "images/one"
            """,
            "docker/Dockerfile": f"FROM {base}\nCOPY . /all/\n",
            "images/one/in/it.txt": "1",
            "other.txt": "1",
        }
    )
    built = references(project)
    listing = "cd /all && find . -type f"
    assert said(builder, built["p/rooted"], listing).splitlines() == ["./in/it.txt"]
    assert said(builder, built["p"], listing).splitlines() == ["./Dockerfile"]


def test_nothing_at_all_is_a_base(project: Project, builder: Engine) -> None:
    project.write(
        {
            "stowplan.toml": ALONE,
            "docker/Dockerfile": "FROM scratch\nCOPY data.txt /\nENV A=1\n",
            "data.txt": "1",
        }
    )
    reference = references(project)["p"]
    assert "A=1" in configured(builder, reference)["Env"]


def test_what_is_built_on_top_works_whoever_and_wherever_the_dockerfile_ends(
    project: Project, builder: Engine, base: str
) -> None:
    with package_index() as index:
        index.release("alpha", "1.0")
        index.release("beta", "1.0")
        host = index.url.partition("//")[2].partition(":")[0]
        project.write({
            "stowplan.toml": f"""
                [pipeline.p]
                steps = ["a", "b"]
                [pipeline.p.settings.docker]
                dockerfile = "Dockerfile"
                requirements = ["alpha"]
                apt_packages = ["tree"]
                python_version = "3.11"
                environment = {{ ON_TOP = "1" }}
                local_project_install_command = "id -un > made.txt"
                python_package_installer_args.default-index = "{index.url}"
                python_package_installer_args.allow-insecure-host = "{host}"
                [pipeline.p.step.b.settings.docker]
                requirements = ["beta"]
                user = "1000"
                """,
            "Dockerfile": f"""
                FROM {base}
                RUN useradd --create-home app && python -m venv /opt/env && chown -R app /opt/env
                ENV VIRTUAL_ENV=/opt/env PATH=/opt/env/bin:$PATH
                WORKDIR /home/app/work
                USER app
                """,
            ".dockerignore": "**/*\n!train.py\n",
            "train.py": "import alpha\n",
        })  # fmt: skip
        built = references(project)
    assert list(built) == ["p/dockerfile", "p", "p/b"]
    assert said(builder, built["p/dockerfile"], "id -un; pwd").split() == ["app", "/home/app/work"]
    # Who runs it in the end is whom the Dockerfile names, and what installs has been root.
    assert said(builder, built["p"], "id -un; pwd; cat made.txt; echo $ON_TOP").split() == [
        "app",
        "/app",
        "root",
        "1",
    ]
    where = "import alpha, sys; print(alpha.__file__, sys.executable)"
    assert said(builder, built["p"], f"python -c {shlex.quote(where)}; command -v tree").split() == [
        "/opt/env/lib/python3.11/site-packages/alpha.py",
        "/opt/env/bin/python",
        "/usr/bin/tree",
    ]
    assert said(builder, built["p/b"], "id -u; python -c 'import beta'; stat -c %u made.txt").split() == [
        "1000",
        "1000",
    ]


def test_exactly_the_right_images_move_and_diff_names_the_instruction(project: Project, base: str) -> None:
    text = f"FROM {base}\n# a comment\nRUN echo 1 > /one\nCOPY inside.txt /\n"
    project.write(
        {
            "stowplan.toml": """
            [pipeline.p]
            steps = ["direct", "on_top", "apart"]
            [pipeline.p.settings.docker]
            dockerfile = "docker/Dockerfile"
            build_context_root = "."
            allow_including_files_in_images = false
            [pipeline.p.step.on_top.settings.docker]
            environment = { A = "1" }
            [pipeline.p.step.apart.settings.docker]
            dockerfile = "docker/other.Dockerfile"
            """,
            "docker/Dockerfile": text,
            "docker/other.Dockerfile": f"FROM {base}\nRUN echo other\n",
            "inside.txt": "1",
            "outside.txt": "1",
        }
    )

    def hashes() -> dict[str, str]:
        return {image["name"]: image["hash"] for image in project.ok("plan", "-o", "json").data["images"]}

    def moved() -> set[str]:
        now = hashes()
        assert now.keys() == before.keys()
        return {name for name in now if now[name] != before[name]}

    project.ok("lock")
    before = hashes()
    assert list(before) == ["p", "p/on_top", "p/apart"]

    project.write({"outside.txt": "2"})
    assert moved() == set()
    project.write({"docker/Dockerfile": text.replace("a comment", "another comment\n\n# and one more")})
    assert moved() == set()
    project.ok("lock", "--check")

    project.write({"inside.txt": "2"})
    assert moved() == {"p", "p/on_top"}
    # Files are pinned by the commit that has them, not by the lock.
    project.ok("lock", "--check")

    project.write({"inside.txt": "1", "docker/Dockerfile": text.replace("echo 1", "echo 2")})
    assert moved() == {"p", "p/on_top"}
    stale = project.run("lock", "--check")
    assert stale.code == 1
    assert "docker/Dockerfile:3: RUN echo 1 > /one → RUN echo 2 > /one" in stale.out + stale.err
    found = project.run("diff", "-o", "json")
    texts = {change["image"]: change["text"] for change in found.data["changes"]}
    assert texts["p"] == "docker/Dockerfile:3: RUN echo 1 > /one → RUN echo 2 > /one"
    assert texts["p/on_top"].startswith("parent image: the image of the Dockerfile changed (")
    assert "p/apart" not in texts
    assert project.run("plan", "--locked").code == 1
    frozen = project.ok("plan", "--frozen", "-o", "json")
    assert {image["name"]: image["hash"] for image in frozen.data["images"]} == before


@pytest.mark.usefixtures("builder")
def test_equal_dockerfiles_of_two_pipelines_are_built_once(project: Project, base: str) -> None:
    pipeline = """
        [pipeline.{name}]
        steps = ["a"]
        [pipeline.{name}.settings.docker]
        dockerfile = "Dockerfile"
        environment = {{ NAME = "{name}" }}
        allow_including_files_in_images = false
    """
    project.write(
        {
            "stowplan.toml": pipeline.format(name="one") + pipeline.format(name="two"),
            "Dockerfile": f"FROM {base}\nRUN echo once > /once\n",
        }
    )
    first = project.ok("apply", "one", "-o", "json").data["images"]
    second = project.ok("apply", "two", "-o", "json").data["images"]
    assert [image["result"] for image in first] == ["built", "built"]
    assert [(image["name"], image["result"]) for image in second] == [
        ("two/dockerfile", "reused"),
        ("two", "built"),
    ]
    assert first[0]["reference"] == second[0]["reference"]


@pytest.mark.usefixtures("builder")
def test_a_build_that_fails_is_told_with_the_line_of_the_users_file(project: Project, base: str) -> None:
    project.write(
        {
            "stowplan.toml": ALONE,
            "docker/Dockerfile": f"""
            # A comment, so that lines differ.
            FROM {base} AS first

            RUN true
            FROM {base}
            COPY --from=first /etc/debian_version /
            RUN true && \\
                echo it went wrong && \\
                exit 3
            """,
        }
    )
    ran = project.run("apply", "-o", "json")
    assert ran.code == 1
    (image,) = ran.data["images"]
    (problem,) = image["error"]
    assert (problem["file"], problem["line"]) == ("docker/Dockerfile", 7)
    assert "failed: exit code 3" in problem["found"]
    assert "it went wrong" in problem["fix"]


def test_a_stage_of_another_image_and_a_local_one(
    project: Project, builder: Engine, base: str, registry: str
) -> None:
    tags = Tags(builder)
    local = f"localhost/test-{registry.rpartition('-')[2]}:1"
    tags.make(local)
    project.write(
        {
            "stowplan.toml": ALONE,
            "docker/Dockerfile": f"FROM {base}\nCOPY --from={local} /text /text\n",
        }
    )
    try:
        first = references(project)["p"]
        notes = project.ok("plan", "-o", "json").data["notes"]
        assert [note["key"] for note in notes if note["code"] == "unpinned"] == [local]
        text = said(builder, first, "cat /text")
        # Another image under the same name is another image here.
        tags.make(local)
        second = references(project)["p"]
        assert second != first
        assert said(builder, second, "cat /text") != text
    finally:
        tags.remove()


MISTAKES: Mapping[str, tuple[str, str]] = {
    "missing": ("", "pipeline.p.settings.docker.dockerfile: docker/Dockerfile does not exist"),
    "empty": ("\n# nothing\n", "docker/Dockerfile: "),
    "unparseable": ("FROM a\nRUN <<EOF\nx\n", "docker/Dockerfile:2: "),
    "unknown instruction": ("FROM a\nRUNN x\n", "docker/Dockerfile:2: unknown instruction RUNN"),
    "COPY of nothing": ("FROM scratch\nCOPY nope.txt /\n", "docker/Dockerfile:2: COPY: nope.txt does not"),
    "COPY of what is ignored": ("FROM scratch\nCOPY left.out /\n", "Dockerfile:2: COPY: left.out is left"),
    "COPY from outside": ("FROM scratch\nCOPY ../x /\n", "docker/Dockerfile:2: "),
    "no such stage": ("FROM scratch\nCOPY --from=5 /x /\n", "docker/Dockerfile:2: "),
    "no value": ("ARG A\nFROM $A\n", "docker/Dockerfile:2: FROM $A, which is empty"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_before_anything_is_asked(project: Project, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    files = {"stowplan.toml": ALONE, "docker/Dockerfile": text, ".dockerignore": "left.out", "left.out": ""}
    if not text:
        del files["docker/Dockerfile"]
    project.write(files)
    # No engine and no registry is there to be asked.
    ran = project.run("plan", env={"DOCKER_HOST": "unix:///nowhere", "PATH": ""})
    assert ran.code == 1, ran.err
    assert expected in ran.err


def test_what_only_buildkit_knows_is_refused_when_planning_for_another(
    project: Project, builder: Engine, base: str
) -> None:
    del builder
    name = project.env["STOWPLAN_DOCKER_BUILDER"]
    engine = project.env["STOWPLAN_CONTAINER_ENGINE"]
    project.write(
        {
            "stowplan.toml": ALONE,
            "docker/Dockerfile": f"FROM {base}\nRUN --mount=type=cache,target=/c touch /c/x\n",
        }
    )
    ran = project.run("apply")
    assert ran.code == (1 if name == "classic" else 0), ran.err
    if name == "classic":
        assert "docker/Dockerfile:2: " in ran.err
    project.write({"docker/Dockerfile": f"FROM {base}\nRUN <<EOF\ntouch /x\nEOF\n"})
    ran = project.run("apply")
    assert ran.code == (0 if name == "buildkit" and engine == "docker" else 1), ran.err


def test_a_secret_is_read_by_the_command_that_mounts_it_and_by_no_other(
    project: Project, builder: Engine, base: str
) -> None:
    declared = '[secret.token]\nenv = "SHIP_TOKEN"\n'
    text = f"""
        FROM {base}
        RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size && date +%N >> /size
        RUN --mount=type=secret,id=token,target=/elsewhere,required=true wc -c < /elsewhere > /other
        RUN test ! -e /run/secrets/token && test ! -s /elsewhere
        """
    project.write({"stowplan.toml": ALONE, "docker/Dockerfile": text})
    ran = project.run("plan")
    assert ran.code == 1
    assert "docker/Dockerfile:2: mounts the secret token, which is not declared" in ran.err
    if project.env["STOWPLAN_DOCKER_BUILDER"] == "classic":
        project.write({"stowplan.toml": declared + ALONE})
        assert project.run("apply", env={"SHIP_TOKEN": "hunter22!"}).code == 1
        return
    project.write({"stowplan.toml": declared + ALONE})
    # Nobody has to know it for a plan, and it is missed before anything is built.
    first = project.ok("plan", "-o", "json").data["images"][0]["hash"]
    ran = project.run("apply")
    assert ran.code == 1
    assert "SHIP_TOKEN" in ran.err
    project.env["SHIP_TOKEN"] = "hunter22!"
    made = references(project)["p"]
    size, stamp = said(builder, made, "cat /size").split()
    assert size == said(builder, made, "cat /other").strip() == str(len("hunter22!"))
    assert said(builder, made, "grep -r hunter22 /run /size /other 2>/dev/null | wc -l").strip() == "0"
    assert "hunter22" not in json.dumps(configured(builder, made))
    # Another value rebuilds nothing, and another version rebuilds what reads it, whatever the builder keeps.
    project.env["SHIP_TOKEN"] = "hunter2222!"
    assert project.ok("plan", "-o", "json").data["images"][0]["hash"] == first
    project.write({"stowplan.toml": declared + "version = 2\n" + ALONE})
    again = references(project)["p"]
    assert again != made
    size, new_stamp = said(builder, again, "cat /size").split()
    assert size == said(builder, again, "cat /other").strip() == str(len("hunter2222!"))
    assert new_stamp != stamp


def test_a_builder_that_turns_out_not_to_know_an_instruction_is_refused_before_it_builds(
    project: Project, base: str
) -> None:
    """Which engine builds is not always known when planning."""
    project.write({"docker/Dockerfile": f"FROM {base}\nRUN <<EOF\ntrue\nEOF\n"})
    settings = {"parent_image": None, "dockerfile": "docker/Dockerfile"}
    image = planned(project.root, {**settings, "allow_including_files_in_images": False})
    engine = chosen_engine("podman")
    assert required(image) - engine.capabilities == {Capability.BUILDKIT}
    (outcome,) = apply(BuildPlan("p", "default", (image,)), Facts(), root=project.root, engine=engine)
    assert outcome.error is not None
    assert "only BuildKit knows" in str(outcome.error)


@pytest.mark.parametrize("builder", ["podman"], indirect=True)
def test_an_image_that_is_named_is_pinned_until_somebody_asks_for_a_newer_one(
    project: Project, builder: Engine, base: str, registry: str
) -> None:
    tags = Tags(builder)
    reference = f"{registry}/tool:1"
    try:
        one = tags.publish(reference)
        project.write(
            {
                "stowplan.toml": ALONE,
                "docker/Dockerfile": f"FROM {base}\nCOPY --from={reference} /text /text\n",
            }
        )
        project.ok("lock")
        built = references(project)["p"]
        text = said(builder, built, "cat /text")

        two = tags.publish(reference)
        assert two != one
        project.ok("lock", "--check")
        assert references(project)["p"] == built
        newer = project.run("outdated", "-o", "json").data["outdated"]
        moved = [each for each in newer if each["name"] == reference]
        assert [(each["before"], each["after"], each["images"]) for each in moved] == [
            (str(one), str(two), 1)
        ]
        assert project.run("lock", "--upgrade-image", f"{registry}/toll:1").code == 64

        ran = project.ok("lock", "--upgrade-image", reference)
        assert f"dockerfile: digest of {reference} moved ({one.short} → {two.short})" in ran.out
        after = references(project)["p"]
        assert said(builder, after, "cat /text") != text
    finally:
        tags.remove()


def test_what_is_built_on_a_dockerfile_is_pushed_and_a_new_clone_builds_nothing(
    project: Project, builder: Engine, base: str, registry: str
) -> None:
    address, _, path = registry.partition("/")
    project.write({
        "stowplan.toml": ALONE + f"""
            environment = {{ A = "1" }}
            [stack.prod]
            container_registry = {{ uri = "{address}", default_repository = "{path}" }}
            """,
        "docker/Dockerfile": f"FROM {base}\nRUN echo 1 > /one\n",
    })  # fmt: skip
    made = project.ok("apply", "-o", "json").data["images"]
    assert [(image["name"], image["result"], image["pushed"]) for image in made] == [
        ("p/dockerfile", "built", False),
        ("p", "built", True),
    ]
    for image in reversed(made):
        builder.remove(image["reference"])
    shutil.rmtree(project.root / ".stowplan")
    again = project.ok("apply", "-o", "json").data["images"]
    assert [(image["name"], image["result"], image["code"]) for image in again] == [
        ("p/dockerfile", "reused", "not-needed"),
        ("p", "reused", "in-registry"),
    ]
    assert builder.inspect(made[0]["reference"]) is None


def test_a_frontend_that_cannot_be_had_is_left_aside_or_said_with_its_line(
    project: Project, builder: Engine, base: str
) -> None:
    """Only BuildKit reads a Dockerfile with what `# syntax` names."""
    del builder
    text = f"# syntax=localhost:1/nobody/frontend:1\nFROM {base}\nRUN true\n"
    project.write({"stowplan.toml": ALONE, "docker/Dockerfile": text})
    notes = project.ok("plan", "-o", "json").data["notes"]
    assert "localhost:1/nobody/frontend:1" in {note["key"] for note in notes if note["code"] == "unpinned"}
    ran = project.run("apply", "-o", "json")
    if project.env["STOWPLAN_DOCKER_BUILDER"] != "buildkit":
        assert ran.code == 0, ran.err
        return
    assert ran.code == 75
    (problem,) = ran.data["images"][0]["error"]
    assert (problem["file"], problem["line"]) == ("docker/Dockerfile", 1)
    assert "localhost:1/nobody/frontend:1" in problem["found"]
