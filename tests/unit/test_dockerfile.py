r"""Dockerfiles, with their texts in place. The property tests read them back with the official parser.

What Docker does with a word in double quotes: `\` escapes `"`, `$` and itself, `${NAME}` is replaced, and
all else stands for itself.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import dockerfile as official
import pytest

from planner import ExternalImage, ImageSpec, Pin, context_files, dockerfile
from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.render.dockerfile import context_directories, instruction_at, label_text, layer_text
from planner.requirements.files import parse_file
from planner.requirements.indexes import as_options
from planner.requirements.lists import parse_list
from planner.requirements.model import Option, Requirements
from planner.requirements.packages import Closure, File, Package
from planner.settings.package_indexes import PackageIndex
from planner.values import PythonPackageInstaller, build_argument
from tests.builders import PARENT, World, digest, image_of, ref

UV, PIP = PythonPackageInstaller.UV, PythonPackageInstaller.PIP
# What every RUN begins and ends with.
BEGIN = (
    "export SOURCE_DATE_EPOCH=315532800 PYTHONDONTWRITEBYTECODE=1 && "
    "{ { touch /dev/shm/stowplan && sleep 0.01; } 2>/dev/null || :; }"
)
SETTLE = (
    r"{ { find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -newer /dev/shm/stowplan "
    "-exec touch -h -d @315532800 {} + ; touch -d @315532800 /etc; } 2>/dev/null || :; }"
)
FREE = "export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore"
OWN = (
    "{ find /app -xdev -user 0 -cnewer /dev/shm/stowplan -exec chown -h 1000:1000 {} + 2>/dev/null "
    "|| chown -hR 1000:1000 /app; }"
)
PARENT_DIGEST = digest(f"docker.io/library/{PARENT}")


def test_a_whole_dockerfile() -> None:
    image = image_of(
        {
            "environment": {"API_KEY": "${KEY}"},
            "apt_packages": ["libgomp1", "git"],
            "local_project_install_command": "pip install '.[gpu]'",
            "user": "1000:1000",
            "runtime_environment": {"HTTP_PROXY": "http://proxy:8080"},
            "build_config": {
                "build_options": {"build_args": {"B": "2", "A": "1"}, "labels": {"z": "", "a.b": '"$'}}
            },
        },
        world=World(variables={"KEY": "s3cr3t"}),
    )
    assert dockerfile(image.spec) == (
        f"# Parent image: docker.io/library/{PARENT}\n"
        f"FROM docker.io/library/python@{PARENT_DIGEST}\n"
        "ARG A\n"
        "ARG B\n"
        "USER 0\n"
        "ARG STOWPLAN_dfe55269a730_KEY\n"
        'ENV API_KEY="${STOWPLAN_dfe55269a730_KEY}"\n'
        f"RUN {BEGIN} && \\\n"
        "    apt-get update && \\\n"
        "    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"
        " git libgomp1 && \\\n"
        "    apt-get clean && \\\n"
        "    rm -rf /var/lib/apt/lists/* && \\\n"
        "    for log in /var/log/dpkg.log /var/log/alternatives.log /var/log/apt/history.log"
        " /var/log/apt/term.log /var/log/apt/eipp.log.xz /var/cache/ldconfig/aux-cache;"
        ' do if [ -s "$log" ]; then : > "$log"; fi; done && \\\n'
        f"    {SETTLE}\n"
        "COPY --chown=1000:1000 directories/755+app/ /\n"
        "COPY --chown=1000:1000 trees/files/ /app/\n"
        "WORKDIR /app\n"
        "RUN "
        + json.dumps(
            [
                "/bin/sh",
                "-c",
                f'{BEGIN} && {FREE} && /bin/sh -c "$0" && {OWN} && {SETTLE}',
                "pip install '.[gpu]'",
            ]
        )
        + "\n"
        "USER 1000:1000\n"
        'ENV HTTP_PROXY="http://proxy:8080"\n'
        'LABEL "a.b"="\\"\\$" \\\n'
        '    "z"=""\n'
    )


def test_each_line_belongs_to_an_instruction() -> None:
    spec = image_of(
        {"environment": {"A": "1", "B": "2"}, "apt_packages": ["git"], "user": "app", "requirements": ["six"]}
    ).spec
    lines = dockerfile(spec).splitlines()
    found = [instruction_at(spec, number) for number in range(len(lines) + 2)]
    assert found[:4] == [None, None, None, None]
    assert found[-1] is None
    texts = {
        item: "\n".join(line for line, at in zip(lines, found[1:], strict=False) if at is item)
        for item in spec.instructions
    }
    assert texts == {item: layer_text(item) for item in spec.instructions}


@pytest.mark.parametrize(("name", "value"), [("a", "1"), ('a b"c', "d$e\\"), ("x$y", ""), ("\xe9", "# no")])
def test_labels_are_words_in_double_quotes(name: str, value: str) -> None:
    *_, label = official.parse_string(f"FROM x\n{label_text({name: value})}\n")
    assert [plain(word) for word in label.value[:2]] == [name, value]


def plain(word: str) -> str:
    """What a word in double quotes stands for."""
    return word[1:-1].replace("\\$", "$").replace('\\"', '"').replace("\\\\", "\\")


def test_the_smallest_dockerfile() -> None:
    assert dockerfile(image_of().spec) == (
        f"# Parent image: docker.io/library/{PARENT}\n"
        f"FROM docker.io/library/python@{PARENT_DIGEST}\n"
        "COPY --chown=0:0 trees/files/ /app/\n"
        "WORKDIR /app\n"
    )


def test_an_unpinned_parent_is_named_by_its_tag() -> None:
    image = image_of(world=World(pins={PARENT: Pin()}))
    assert f"\nFROM docker.io/library/{PARENT}\n" in dockerfile(image.spec)


# --- ENV ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ("two words", '"two words"'),
        ("  padded  ", '"  padded  "'),
        ("it's", '"it\'s"'),
        ('say "hi"', r'"say \"hi\""'),
        ("$HOME", r'"\$HOME"'),
        ("$$", r'"\$\$"'),
        ("${HOME:-x}", r'"\${HOME:-x}"'),
        ("C:\\dir", r'"C:\\dir"'),
        ("ends with \\", r'"ends with \\"'),
        ("\\", r'"\\"'),
        ('\\"', r'"\\\""'),
        ("\\$", r'"\\\$"'),
        ("\\n", r'"\\n"'),
        ("# no comment", '"# no comment"'),
        ("a=b", '"a=b"'),
        ("`id` $(id) ; && |", r'"`id` \$(id) ; && |"'),
        ("<<EOF", '"<<EOF"'),
        ("\xe9 \u65e5\u672c \U0001f6a2", '"\xe9 \u65e5\u672c \U0001f6a2"'),
        ("\t\x7f\u2028\x85", '"\t\x7f\u2028\x85"'),
        ("[1]", '"[1]"'),
        # References, and text around them.
        ("${A}", '"${STOWPLAN_264fe4d797b0_A}"'),
        ("${A}${B}", '"${STOWPLAN_264fe4d797b0_A}${STOWPLAN_6d4efcf34626_B}"'),
        ("https://${A}@x/$p", r'"https://${STOWPLAN_264fe4d797b0_A}@x/\$p"'),
        ("$${A}", r'"\$${STOWPLAN_264fe4d797b0_A}"'),
        ("\\${A}", r'"\\${STOWPLAN_264fe4d797b0_A}"'),
        ("'${A}'", "\"'${STOWPLAN_264fe4d797b0_A}'\""),
        # The value that the variable has already; without one, no colon dangles.
        ("{parent}", '"${X}"'),
        ("$1 {parent}", r'"\$1 ${X}"'),
        ("/opt:{parent}", '"/opt${X:+:${X}}"'),
        ("{parent}:/opt", '"${X:+${X}:}/opt"'),
        ("/a:{parent}:/b", '"/a${X:+:${X}}:/b"'),
        ("{{parent}} ${{parent}}", r'"{parent} \${parent}"'),
    ],
)
def test_values_are_words_in_double_quotes(value: str, word: str) -> None:
    text = layer_text(SetEnvironment({"X": value}))
    assert text.splitlines() != []
    assert text.split("ENV ", 1)[1] == f"X={word}"
    *_, env = official.parse_string(f"FROM x\n{text}\n")
    assert env.value == ("X", word)


def test_each_variable_has_a_line_of_its_own() -> None:
    text = layer_text(SetEnvironment({"B": "# 2", "A": "1\\", "lower": "x"}))
    assert text == 'ENV A="1\\\\" \\\n    B="# 2" \\\n    lower="x"'
    *_, env = official.parse_string(f"FROM x\n{text}\n")
    assert env.value == ("A", '"1\\\\"', "B", '"# 2"', "lower", '"x"')


def test_variables_come_in_as_build_arguments_once_each() -> None:
    text = layer_text(SetEnvironment({"X": "${B}${A}", "Y": "${A}"}, runtime=True))
    assert text.splitlines()[:2] == ["ARG STOWPLAN_264fe4d797b0_A", "ARG STOWPLAN_6d4efcf34626_B"]
    assert text.count("ARG") == 2
    assert build_argument("A") == "STOWPLAN_264fe4d797b0_A"


def test_the_value_of_a_variable_is_not_in_the_text() -> None:
    table = {"environment": {"A": "${KEY}"}}
    one, other = (image_of(table, world=World(variables={"KEY": value})) for value in ("s3cr3t", "rotated"))
    assert dockerfile(one.spec) == dockerfile(other.spec)


# --- ARG ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("spell", [str.upper, str.lower])
def test_predefined_arguments_are_not_declared(base: str, spell: Callable[[str], str]) -> None:
    """Declared, a proxy with its password would be in the history of the image (Dockerfile reference)."""
    image = image_of({"build_config": {"build_options": {"build_args": {spell(base): "http://proxy"}}}})
    assert "ARG" not in dockerfile(image.spec)
    assert "http://proxy" not in dockerfile(image.spec)


def test_values_of_build_arguments_are_told_to_the_engine_alone() -> None:
    image = image_of({"build_config": {"build_options": {"build_args": {"A": 'x" y\\'}}}})
    assert dockerfile(image.spec).splitlines()[2] == "ARG A"


# --- RUN ------------------------------------------------------------------------------------------------


def test_a_command_is_one_word_of_a_list() -> None:
    """No shell and no Dockerfile reads it before `/bin/sh` does."""
    command = 'echo "it\'s $HOME" \\ # <<EOF \u65e5\u672c \x01'
    text = layer_text(InstallProject(command))
    *_, run = official.parse_string(f"FROM x\n{text}\n")
    assert run.json
    assert run.value == ("/bin/sh", "-c", f'{BEGIN} && {FREE} && /bin/sh -c "$0" && {SETTLE}', command)
    assert json.loads(text.removeprefix("RUN "))[3] == command


def test_a_command_that_fails_fails() -> None:
    """What comes after it cannot make it good again, and what comes before cannot make it fail."""
    for command, code in (("exit 7", 7), ("false", 1), ("true", 0)):
        argv = json.loads(layer_text(InstallProject(command)).removeprefix("RUN "))
        argv[2] = argv[2].replace("find / ", "find /nothing-there ").replace("/etc", "/nothing-there")
        assert subprocess.run(argv, check=False).returncode == code


def test_uv_is_brought_for_a_command_that_calls_it() -> None:
    script = json.loads(layer_text(InstallProject("uv sync", "0.13.9")).removeprefix("RUN "))[2]
    begin, settle = script.split('/bin/sh -c "$0"')
    assert "command -v uv >/dev/null || {" in begin
    assert "--target=/tmp/stowplan-uv uv==0.13.9" in begin
    assert settle == f" && rm -rf /tmp/stowplan-uv && {SETTLE}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("/root/.cache/uv", "id=/root/.cache/uv"),
        ("type=cache,target=/c,id=uv", "id=uv"),
        ("type=cache,target=/c,sharing=locked,gid=5,uid=1000", "id=/c,sharing=locked,uid=1000,gid=5"),
    ],
)
@pytest.mark.parametrize(("installer", "none"), [("uv", "--no-cache"), ("pip", "--no-cache-dir")])
def test_an_installer_keeps_a_cache(given: str, words: str, installer: str, none: str) -> None:
    """Where it is mounted, its target does not say: a builder would leave that directory in the layer."""
    settings = {"requirements": ["six"], "apt_packages": ["git"], "python_package_installer": installer}
    plain = dockerfile(image_of(settings).spec)
    image = image_of({**settings, "python_package_installer_cache_mount": given})
    text = dockerfile(image.spec, cache=image.cache_mount)
    (run,) = (line for line in text.splitlines() if "--mount" in line)
    assert run.startswith(f"RUN --mount=type=cache,target=/dev/shm/stowplan-cache,{words} export ")
    assert f"cache=--cache-dir=/dev/shm/stowplan-cache; else cache={none}; fi" in text
    assert f" {none} " in plain
    assert f" {none} " not in text.replace(f"={none};", "").replace("--quiet --no-cache-dir", "")
    # A builder tells which line failed.
    at = {line: instruction_at(image.spec, line + 1) for line in range(len(text.splitlines()))}
    assert isinstance(at[text.splitlines().index(run)], InstallRequirements)


def test_an_image_that_installs_nothing_keeps_no_cache() -> None:
    assert image_of({"python_package_installer_cache_mount": "/c"}).cache_mount is None


def test_apt_packages_are_sorted() -> None:
    text = layer_text(InstallApt(("tzdata/stable", "git", "g++", "vim=2:9.0~rc1-1", "libgomp1:amd64", "git")))
    assert " g++ git libgomp1:amd64 tzdata/stable 'vim=2:9.0~rc1-1' && " in text


def test_the_user_owns_the_directory_of_the_code() -> None:
    assert layer_text(CopyFiles(owner="app")).splitlines() == [
        "COPY --chown=app:0 directories/755+app/ /",
        "COPY --chown=app:0 trees/files/ /app/",
        "WORKDIR /app",
    ]
    assert layer_text(SetUser("1000:1000")) == "USER 1000:1000"
    *check, user = layer_text(SetUser("app")).splitlines()
    assert "    chown app /dev/shm/stowplan && \\" in check
    assert user == "USER app"


def test_any_user_may_write_to_the_directory_of_the_code() -> None:
    settings = {"writable_by_any_user": True, "local_project_install_command": "make"}
    image = image_of(settings)
    copy, project = image.spec.instructions
    assert layer_text(copy).splitlines() == [
        "COPY --chown=0:0 directories/775+app/ /",
        "COPY --chown=0:0 trees/files/ /app/",
        "WORKDIR /app",
    ]
    assert context_directories(image.spec) == {"directories/775+app/app": 0o775}
    assert "! -perm -020 -exec chmod g=u {} +" in layer_text(project)
    assert context_directories(image_of({"user": "1000"}).spec) == {"directories/755+app/app": 0o755}
    assert context_directories(image_of().spec) == {}
    assert "chmod" not in dockerfile(image_of({**settings, "writable_by_any_user": False}).spec)


# --- requirements ---------------------------------------------------------------------------------------


def install(requirements: Requirements, installer: Installer) -> list[str]:
    """The commands of the layer."""
    copy, run = official.parse_string(
        "FROM x\n" + layer_text(InstallRequirements("requirements", requirements, installer)) + "\n"
    )[1:]
    assert copy.cmd == "COPY"
    commands = str(run.value[0]).removeprefix(f"{BEGIN} && ").removesuffix(f" &&     {SETTLE}").split(" && ")
    return [command.strip() for command in commands]


SIX = parse_list(["six==1.16.1"])


def test_uv_is_pinned_and_leaves_nothing_behind() -> None:
    *_, get, run, clean = install(SIX, Installer(UV, "0.13.9", {"timeout": 10}))
    assert get == (
        'PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --no-cache-dir'
        " --disable-pip-version-check --target=/tmp/stowplan-uv uv==0.13.9"
    )
    assert run == (
        "TMPDIR=/tmp/stowplan-uv UV_BREAK_SYSTEM_PACKAGES=1 /tmp/stowplan-uv/bin/uv pip install"
        ' --no-cache --python="$python"'
        " --timeout=10 --requirement=/stowplan/requirements.txt"
    )
    assert clean == "rm -rf /tmp/stowplan-uv"


def test_pip_is_the_parent_s_own() -> None:
    *_, run = install(SIX, Installer(PIP))
    assert run == (
        'PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --no-cache-dir '
        "--disable-pip-version-check --no-compile --requirement=/stowplan/requirements.txt"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"no-deps": None}, "--no-deps"),
        ({"no_deps": True}, "--no-deps"),
        ({"timeout": 1000}, "--timeout=1000"),
        ({"find-links": ["a", "b c"]}, "--find-links=a '--find-links=b c'"),
        ({"x": ""}, "--x="),
        ({"x": "it's; rm -rf / $HOME"}, "'--x=it'\"'\"'s; rm -rf / $HOME'"),
        ({"x": []}, ""),
    ],
)
def test_arguments_are_shell_words(arguments: dict[str, Any], expected: str) -> None:
    *_, run = install(SIX, Installer(PIP, None, arguments))
    given = run.partition("--no-compile ")[2].partition("--requirement=")[0]
    assert given.strip() == expected


def test_resolved_packages_are_files_of_the_context() -> None:
    texts = {
        "r.txt": "torch==2.1.1 ; python_version < '3.12'\n-c c.txt\n--index-url https://example.com/s?a=$x&b=1\n",
        "c.txt": "urllib3<2\n",
    }
    image = image_of({"requirements": "r.txt"}, world=World(texts=texts))
    (package,) = image.spec.packages
    line = f"torch==2.1.1 --hash={package.hashes[0]}\n"
    assert context_files(image.spec) == {"requirements/requirements/requirements.txt": line.encode()}
    text = dockerfile(image.spec)
    assert "COPY --chown=0:0 requirements/requirements/ /stowplan/\n" in text
    assert "'--default-index=https://example.com/s?a=$x&b=1'" in text
    assert "--no-deps --require-hashes --requirement=/stowplan/requirements.txt" in text


def test_what_has_no_wheel_is_installed_apart() -> None:
    files = {
        "wheel": Package("a", "1", files=(File("a-1-py3-none-any.whl", f"sha256:{'1' * 64}"),)),
        "sdist": Package("b", "1", files=(File("b-1.tar.gz", f"sha256:{'2' * 64}"),)),
        "vcs": Package("c", url=f"git+https://example.com/c.git@{'3' * 40}"),
    }
    item = InstallRequirements("stack", SIX, Installer(PIP), Closure(files.values()))
    spec = ImageSpec(ExternalImage(ref("x"), digest("x")), (item,))
    assert {path.rpartition("/")[2]: text.decode() for path, text in context_files(spec).items()} == {
        "stack.txt": f"a==1 --hash=sha256:{'1' * 64}\n",
        "stack-sdist.txt": f"b==1 --hash=sha256:{'2' * 64}\n",
        "stack-vcs.txt": f"c @ git+https://example.com/c.git@{'3' * 40}\n",
    }
    commands = layer_text(item).split(" && ")
    calls = [command.rpartition("--no-compile ")[2] for command in commands if "pip install" in command]
    assert [call.strip(" \\\n") for call in calls] == [
        "--no-deps --require-hashes --requirement=/stowplan/stack.txt",
        "--no-deps --require-hashes --requirement=/stowplan/stack-sdist.txt",
        "--no-deps --requirement=/stowplan/stack-vcs.txt",
    ]


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_what_has_an_index_of_its_own_is_installed_from_there(name: str) -> None:
    """The first index that has a package is the one of uv, and pip takes the file with the hash."""
    names = {"a": "1", "b": "2", "c": "3", "d": "4"}
    packages = [
        Package(
            each,
            "1",
            files=(
                File(f"{each}-1{'.tar.gz' if each == 'd' else '-py3-none-any.whl'}", f"sha256:{digit * 64}"),
            ),
        )
        for each, digit in names.items()
    ]
    limits = {"x": "c", "y": "b d*", "z": "z d", "own": ""}
    indexes = [
        PackageIndex(name=each, url=f"https://example.com/{each}", packages=packages.split())
        for each, packages in limits.items()
    ]
    options = (
        Option("extra-index-url", "https://example.com/all"),
        *as_options(indexes),
        Option("index-url", "https://example.com/main"),
        Option("no-index"),
    )
    arguments = {
        "index-url": "https://example.com/mirror",
        "index-strategy": "unsafe-best-match",
        "torch-backend": "cpu",
        "verbose": None,
    }
    installer = Installer(name, "0.13.9" if name == "uv" else None, arguments)
    item = InstallRequirements("stack", SIX, installer, Closure(packages), options)
    spec = ImageSpec(ExternalImage(ref("x"), digest("x")), (item,))
    found = {path.rpartition("/")[2]: text.decode() for path, text in context_files(spec).items()}
    assert {file: text.partition("==")[0] for file, text in found.items()} == {
        "stack.txt": "a", "stack-index1.txt": "c", "stack-index2.txt": "b", "stack-sdist-index1.txt": "d"
    }  # fmt: skip
    other = "--index" if name == "uv" else "--extra-index-url"
    main = "--index-url=https://example.com/mirror"
    hashed = "--verbose --no-deps --require-hashes --requirement=/stowplan/stack"
    x, y, own = (
        f"--index={each}=https://example.com/{each}"
        if name == "uv"
        else f"--extra-index-url=https://example.com/{each}"
        for each in ("x", "y", "own")
    )
    of_all = f"{own} {other}=https://example.com/all"
    begin = '--python="$python" ' if name == "uv" else "--no-compile "
    commands = [each for each in layer_text(item).split(" && ") if "/stowplan/stack" in each]
    assert [each.partition(begin)[2].strip(" \\\n") for each in commands] == [
        f"{of_all} --no-index --index-strategy=unsafe-best-match {main} --torch-backend=cpu {hashed}.txt",
        f"{x} {of_all} {main} {hashed}-index1.txt",
        f"{y} {of_all} {main} {hashed}-index2.txt",
        f"{y} {of_all} {main} {hashed}-sdist-index1.txt",
    ]


def test_a_source_whose_packages_are_in_layers_before_it_has_no_layer() -> None:
    item = InstallRequirements("stack", SIX, Installer(PIP), Closure())
    spec = ImageSpec(ExternalImage(ref("x"), digest("x")), (item, SetUser("7")))
    assert dockerfile(spec).splitlines()[2:] == ["USER 0", "USER 7"]
    assert context_files(spec) == {}
    assert instruction_at(spec, 4) == SetUser("7")


def test_what_the_installer_is_told_twice_is_said_once() -> None:
    package = Package("a", "1", files=(File("a-1-py3-none-any.whl", f"sha256:{'1' * 64}"),))
    options = parse_file("r.txt", {"r.txt": f"a==1 --hash=sha256:{'1' * 64}\n"}).options
    installer = Installer(UV, "0.13.9", {"no-deps": None})
    text = layer_text(InstallRequirements("stack", SIX, installer, Closure([package]), options))
    assert (text.count("--no-deps"), text.count("--require-hashes")) == (1, 1)


def test_requirements_are_files_of_the_context() -> None:
    """As a lock of version 1 has them: the installer resolves them."""
    texts = {
        "r.txt": "torch==2.1.1 ; python_version < '3.12'\n-c c.txt\n--index-url https://example.com/s?a=$x&b=1\n",
        "c.txt": "urllib3<2\n",
    }
    item = InstallRequirements("requirements", parse_file("r.txt", texts), Installer(UV, "0.13.9"))
    spec = ImageSpec(ExternalImage(ref("x"), digest("x")), (item,))
    assert context_files(spec) == {
        "requirements/requirements/requirements.txt": b'torch==2.1.1; python_version < "3.12"\n',
        "requirements/requirements/requirements-constraints.txt": b"urllib3<2\n",
    }
    text = dockerfile(spec)
    assert "COPY --chown=0:0 requirements/requirements/ /stowplan/\n" in text
    assert "--constraint=/stowplan/requirements-constraints.txt" in text
    assert "'--default-index=https://example.com/s?a=$x&b=1'" in text


def test_hashes_stand_in_the_file() -> None:
    line = f"six==1.16.1 --hash=sha256:{'1' * 64} --hash=sha256:{'2' * 64}"
    image = image_of({"requirements": "r.txt"}, world=World(texts={"r.txt": line}))
    assert context_files(image.spec)["requirements/requirements/requirements.txt"].decode() == f"{line}\n"
    assert parse_file("r.txt", {"r.txt": line}).options[0].name == "require-hashes"
    assert "--require-hashes" in dockerfile(image.spec)


def test_an_image_without_requirements_has_no_generated_files() -> None:
    assert context_files(image_of().spec) == {}
