"""The network of the machine that builds: what of it a build is given, and what stays out of a plan."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from executor.engines.buildx import buildx_command
from executor.engines.podman_commands import build_command
from executor.engines.protocol import BuildJob
from executor.errors import ExecutorError
from executor.network import Network, network_of
from planner import PlannerError, Stack, make_plan
from planner.image.capabilities import Capability, required
from planner.render.dockerfile import dockerfile, instruction_at, layer_text
from tests.builders import World, file, image_of, observed, pipeline_of

PROXY: Final = "http://me:s3cr3t@proxy.corp:3128"
EVERYTHING: Final = {
    "apt_packages": ["git"],
    "requirements": ["six"],
    "local_project_install_command": "make",
}
WORLD: Final = World(entries=(file("train.py"),))


def image(**more: Any) -> Any:
    return image_of({**EVERYTHING, **more}, world=WORLD)


def test_proxies_have_both_spellings() -> None:
    found = network_of({"HTTPS_PROXY": PROXY, "no_proxy": "localhost,.corp", "PATH": "/bin"})
    assert found == Network({
        "HTTPS_PROXY": PROXY, "https_proxy": PROXY,
        "NO_PROXY": "localhost,.corp", "no_proxy": "localhost,.corp",
    })  # fmt: skip
    assert found.hidden == ("s3cr3t",)
    assert "s3cr3t" not in repr(found)
    both = network_of({"HTTP_PROXY": "http://a", "http_proxy": "http://b"})
    assert both.proxies == {"HTTP_PROXY": "http://a", "http_proxy": "http://b"}
    assert network_of({}) == Network()


@pytest.mark.parametrize("url", ["me:s3cr3t@proxy:3128", "http://me:s3cr3t@[::1", "socks5://me:s3cr3t@proxy"])
def test_a_proxy_of_any_shape_is_taken(url: str) -> None:
    network = network_of({"ALL_PROXY": url})
    assert network.proxies["all_proxy"] == url
    assert network.hidden in {("s3cr3t",), ()}


def test_certificates_are_what_the_variable_names(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    for state, found in (
        ("does not exist", None),
        ("is empty", b""),
        ("is larger than 500 KiB", b"x" * 512_001),
    ):
        if found is not None:
            bundle.write_bytes(found)
        with pytest.raises(ExecutorError, match=state) as refused:
            network_of({"SSL_CERT_FILE": str(bundle)})
        assert str(refused.value.problems[0].where) == "$SSL_CERT_FILE"
    bundle.write_bytes(b"certificate")
    assert network_of({"SSL_CERT_FILE": str(bundle)}).certificates == b"certificate"
    assert network_of({"SSL_CERT_FILE": ""}).certificates is None


def test_no_command_line_has_the_value_of_a_proxy(tmp_path: Path) -> None:
    job = BuildJob(image(machine_network=True), lambda: iter(()), network=network_of({"HTTPS_PROXY": PROXY}))
    for command in (buildx_command(job, tmp_path / "id"), build_command(job, tmp_path)):
        assert {"--build-arg=HTTPS_PROXY", "--build-arg=https_proxy"} <= set(command.argv)
        assert command.env["https_proxy"] == PROXY
        assert "s3cr3t" not in " ".join(command.argv) + repr(command)
    assert job.mask("using s3cr3t") == "using ***"


def test_each_command_trusts_the_certificates_of_the_machine() -> None:
    plain, trusting = image(), image(machine_network=True)
    assert trusting.hash == plain.hash
    assert trusting.spec == plain.spec
    assert "certificates" not in dockerfile(plain.spec)
    text = dockerfile(trusting.spec, trusting=True)
    assert text.count("RUN --mount=type=secret,id=certificates+machine,") == 3
    assert 'apt-get ${trusted:+"-oAcquire::https::CAInfo=$trusted"} update' in text
    # Lines stay those of their instructions.
    for item in trusting.spec.instructions:
        assert layer_text(item).count("\n") == layer_text(item, trusting=True).count("\n")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("RUN --mount"):
            assert instruction_at(trusting.spec, number) is not None


@pytest.mark.parametrize("there", [True, False])
def test_the_variables_are_set_where_there_are_certificates(tmp_path: Path, there: bool) -> None:
    """What a RUN begins with, run by a shell here."""
    bundle = tmp_path / "certificates"
    if there:
        bundle.write_text("certificate")
    text = layer_text(image().spec.instructions[0], trusting=True)
    begin = text.partition("mode=0444 ")[2].partition(" && export SOURCE_DATE_EPOCH")[0]
    begin = begin.replace("/dev/shm/stowplan-certificates", str(bundle))  # noqa: S108  # in the text
    script = f'set -e; {begin} && echo "$SSL_CERT_FILE $PIP_CERT ${{trusted:+"-o=$trusted"}}"'
    done = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, env={"trusted": "x"}, check=True
    )
    assert done.stdout.split() == ([str(bundle), str(bundle), f"-o={bundle}"] if there else [])


def test_an_image_that_runs_nothing_needs_no_certificates() -> None:
    bare = image_of({"machine_network": True, "environment": {"A": "1"}}, world=World(entries=()))
    assert Capability.SECRETS not in required(bare)
    assert Capability.SECRETS in required(image(machine_network=True))
    assert Capability.SECRETS not in required(evolve(image(machine_network=True), machine_network=False))


@pytest.mark.parametrize(("builders", "refused"), [({"classic"}, True), ({"classic", "podman"}, False)])
def test_a_builder_that_gives_no_certificates_is_refused(builders: set[str], refused: bool) -> None:
    pipeline = pipeline_of({**EVERYTHING, "machine_network": True})
    facts = observed(pipeline, world=WORLD)
    try:
        make_plan(pipeline, Stack(), facts, builders=frozenset(builders))
        found = []
    except PlannerError as error:
        found = [f"{each.where}: {each.found}" for each in error.problems]
    text = "machine_network: Docker's classic builder gives no certificates to commands"
    assert found == ([f"pipeline.training.settings.docker.{text}"] if refused else [])
