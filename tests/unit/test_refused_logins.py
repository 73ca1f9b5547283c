"""No setting takes a login, and no error repeats one: what is locked can be read by everyone."""

from __future__ import annotations

import traceback
from typing import Any, Final

import pytest

from executor.errors import ExecutorError
from planner import DockerSettings, Place, PlannerError, Problem, Stack
from tests.builders import World, plan_of

SECRET: Final = "hunter22"
LOGINS: Final = (
    f"https://me:{SECRET}@example.org/x",
    f"https://{SECRET}@example.org/x",
    f"https://me:{SECRET}/{SECRET}@example.org",
    f"https://example.org/x?token={SECRET}",
    f"https://example.org/x?a=b&access_token={SECRET}#c",
    f"me:{SECRET}@example.org/x",
)


def options(**given: Any) -> dict[str, Any]:
    return {"build_config": {"build_options": given}}


# Each setting that takes text, with a login in it, and what the error advises.
SETTINGS: Final[dict[str, Any]] = {
    "parent_image": (lambda text: {"parent_image": text}, "login"),
    "image_tag": (lambda text: {"image_tag": text}, "leave them out"),
    "target_repository": (lambda text: {"target_repository": text}, "leave them out"),
    "requirements": (lambda text: {"requirements": [f"six @ {text}"]}, "secret"),
    "requirements file": (lambda text: {"requirements": text}, "leave them out"),
    "apt_packages": (lambda text: {"apt_packages": [text]}, "leave them out"),
    "environment": (lambda text: {"environment": {"A": text}}, "${NAME}"),
    "an index of uv": (lambda text: {"environment": {"UV_INDEX": text}}, "package_indexes"),
    "an index of pip": (lambda text: {"environment": {"PIP_EXTRA_INDEX_URL": text}}, "package_indexes"),
    "runtime_environment": (lambda text: {"runtime_environment": {"A": f"x {text} y"}}, "${NAME}"),
    "local_project_install_command": (
        lambda text: {"local_project_install_command": f"pip install --index-url '{text}' ."},
        "${NAME}",
    ),
    "python_package_installer_args": (
        lambda text: {"python_package_installer_args": {"index-url": text}},
        "package_indexes",
    ),
    "package_indexes": (lambda text: {"package_indexes": [{"name": "corp", "url": text}]}, "secret"),
    "package_indexes by name": (lambda text: {"package_indexes": [{"name": text, "url": "https://x"}]}, ""),
    "package_indexes by package": (lambda text: {"package_indexes": {text: "https://x"}}, ""),
    "python_package_installer": (lambda text: {"python_package_installer": text}, ""),
    "user": (lambda text: {"user": text}, "leave them out"),
    "dockerignore": (lambda text: {"build_config": {"dockerignore": text}}, "leave them out"),
    "labels": (lambda text: options(labels={"a": text}), "leave them out"),
    "build_args": (lambda text: options(build_args={"A": text}), "leave them out"),
    "cache_from": (lambda text: options(cache_from=[text]), "login"),
    "target": (lambda text: options(target=text), "leave them out"),
    "platform": (lambda text: options(platform=text), "leave them out"),
    "network": (lambda text: options(network=text), ""),
    "extra_hosts": (lambda text: options(extra_hosts=[text]), ""),
    "shm_size": (lambda text: options(shm_size=text), ""),
    "an option's name": (lambda text: options(**{text: "x"}), ""),
    "a variable's name": (lambda text: {"environment": {text: "x"}}, ""),
    "a setting's name": (lambda text: {text: "x"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_login_in_a_setting_is_refused_and_not_repeated(name: str, login: str) -> None:
    make, advice = SETTINGS[name]
    with pytest.raises(PlannerError) as refused:
        plan_of(make(login), world=World(texts={}))
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert SECRET not in str([(str(each.where), each.found, each.fix) for each in refused.value.problems])
    if "requirements" not in name or login.startswith("https://"):
        assert any(advice in problem.fix for problem in refused.value.problems)


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_in_a_registry_is_refused_and_not_repeated(login: str) -> None:
    for uri in (login, login.removeprefix("https://")):
        with pytest.raises(PlannerError) as refused:
            Stack(container_registry={"uri": uri})
        assert SECRET not in "".join(traceback.format_exception(refused.value))
        assert "docker login" in str(refused.value)
    with pytest.raises(PlannerError) as refused:
        Stack(container_registry={"uri": "r.io", "default_repository": login})
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "text",
    [
        "https://${TOKEN}@example.org/x",
        "https://me:${TOKEN}@example.org/x",
        "https://example.org/x?token=${TOKEN}",
        "postgres://app@db/x",
        "ssh://git@example.org/x",
        "me@example.org",
    ],
)
def test_what_variables_bring_is_taken(text: str) -> None:
    made = DockerSettings(environment={"A": text}, local_project_install_command=f"x {text}")
    assert made.environment == {"A": text}
    assert DockerSettings(local_project_install_command="pip install -i https://$USER:$TOKEN@example.org .")


@pytest.mark.parametrize("login", LOGINS)
def test_no_error_holds_a_login_whoever_makes_it(login: str) -> None:
    problem = Problem(Place(path=("a", login), file=login), f"says {login}", f"do {login}")
    for error in (PlannerError([problem]), ExecutorError([problem]), ExecutorError.of(login, login, login)):
        assert SECRET not in str(error)
        assert SECRET not in error.problems[0].found + error.problems[0].fix + str(error.problems[0].where)
