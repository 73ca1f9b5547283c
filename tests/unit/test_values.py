"""Digests, image references, templates and mappings."""

from __future__ import annotations

import pytest

from planner import Digest, EnvTemplate, FrozenMapping, ImageRef
from planner.values import Literal, ParentRef, VariableRef

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        # Short names mean what Docker means by them (distribution/reference, normalize_test.go).
        ("python", "docker.io/library/python:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("library/python", "docker.io/library/python:latest"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/library/python:3", "docker.io/library/python:3"),
        ("pytorch/pytorch:2.2.0-cuda11.8-cudnn8-runtime",
        "docker.io/pytorch/pytorch:2.2.0-cuda11.8-cudnn8-runtime"),
        ("docker.io/pytorch/pytorch", "docker.io/pytorch/pytorch:latest"),
        # A first part with a dot or a port, in upper case, or `localhost` is a registry.
        ("ghcr.io/astral-sh/uv:0.13", "ghcr.io/astral-sh/uv:0.13"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry:5000/app:5000", "registry:5000/app:5000"),
        ("REGISTRY/app", "REGISTRY/app:latest"),
        ("my_registry.io/image_name:tag", "my_registry.io/image_name:tag"),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest"),
        ("xn--n3h.com/app", "xn--n3h.com/app:latest"),
        # Digests: without a tag there is none.
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3.11@{DIGEST}", f"docker.io/library/python:3.11@{DIGEST}"),
        (f"localhost:5000/a@{DIGEST}", f"localhost:5000/a@{DIGEST}"),
        # Separators in a path: one dot, one or two underscores, any number of dashes.
        ("a/b.c/c__d/e-f---g", "docker.io/a/b.c/c__d/e-f---g:latest"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128),
        ("x:_A-b.C", "docker.io/library/x:_A-b.C"),
        ("a" * 247, f"docker.io/library/{'a' * 247}:latest"),
    ],
)  # fmt: skip
def test_references_that_are_read(text: str, full: str) -> None:
    made = ImageRef.parse(text)
    assert str(made) == full
    assert ImageRef.parse(str(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "Python", "python:", "python@", ":3.11", "python:3.11:x", "python 3", "python\n", "\npython",
        "library/Python:3", "docker.io/Library/python", "ghcr.io/A/b", "-python", "python-", "a..b", "a___b",
        "a/_b",
        "a//b", "/a", "a/", "ghcr.io/", "https://ghcr.io/a", "user:pw@ghcr.io/a", "localhost:port/a",
        "x:-tag",
        "x:.tag", "x:" + "t" * 129, "x:t\xe9g", "pyth\xf6n", "a.b_/c", "[::1/a", "x:a/b:c",
        "python@sha256:abc", f"python@{DIGEST}0", f"python@{DIGEST.upper()}", f"python@sha512:{HEX * 2}",
        f"python@md5:{'0' * 32}", f"python@{HEX}", f"@{DIGEST}", HEX, "a" * 248, "a" * 256, "${IMAGE}",
        "a;b", "$(id)",
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an image reference|more than 255 characters"):
        ImageRef.parse(text)


def test_upper_case_gets_a_hint() -> None:
    with pytest.raises(ValueError, match="a repository is written in lower case"):
        ImageRef.parse("Python:3.11")


def test_an_image_id_is_not_an_identity() -> None:
    with pytest.raises(ValueError, match="an image ID"):
        ImageRef.parse(HEX)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/python:3.11-slim", "python:3.11-slim"),
        ("docker.io/pytorch/pytorch", "pytorch/pytorch:latest"),
        ("ghcr.io/library/x:1", "ghcr.io/library/x:1"),
        ("localhost/stowplan:1", "localhost/stowplan:1"),
    ],
)
def test_references_as_people_write_them(text: str, familiar: str) -> None:
    assert ImageRef.parse(text).familiar == familiar
    assert ImageRef.parse(familiar) == ImageRef.parse(text)


def test_a_pinned_reference_has_no_tag() -> None:
    """Podman before 5 refuses to take both."""
    pinned = ImageRef.parse("python:3.11").pinned(Digest(HEX))
    assert str(pinned) == f"docker.io/library/python@{DIGEST}"
    assert pinned.tag is None


@pytest.mark.parametrize(
    "text",
    [
        "", HEX, "sha256:", f"sha256:{HEX[:-1]}", f"sha256:{HEX}0", f"SHA256:{HEX}", f"sha256:{HEX.upper()}",
        f"sha256:{HEX}\n", f" {DIGEST}",
    ],
)  # fmt: skip
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a sha256 digest|must match regex"):
        Digest.parse(text)


def test_digests() -> None:
    assert str(Digest.parse(DIGEST)) == DIGEST
    assert Digest.parse(DIGEST).short == HEX[:12]
    assert Digest("0" * 64) < Digest("1" * 64)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", (Literal("plain"),)),
        ("${A}", (VariableRef("A"),)),
        ("${A}${B_1}", (VariableRef("A"), VariableRef("B_1"))),
        ("https://${T}@x/${U}/",
        (Literal("https://"), VariableRef("T"), Literal("@x/"), VariableRef("U"), Literal("/"))),
        # All else is literal: there are no defaults, no escapes, and no other spelling.
        ("$A", (Literal("$A"),)),
        ("${A:-x}", (Literal("${A:-x}"),)),
        ("${1A}", (Literal("${1A}"),)),
        ("${ A }", (Literal("${ A }"),)),
        ("${}", (Literal("${}"),)),
        ("${A", (Literal("${A"),)),
        ("$${A}", (Literal("$"), VariableRef("A"))),
        ("\\${A}", (Literal("\\"), VariableRef("A"))),
        ("${${A}}", (Literal("${"), VariableRef("A"), Literal("}"))),
        ("${\xe9}", (Literal("${\xe9}"),)),
        # The value that is there already, and the one colon that goes with it.
        ("{parent}", (ParentRef(),)),
        ("/opt:{parent}", (Literal("/opt"), ParentRef(before=":"))),
        ("{parent}:/opt", (ParentRef(after=":"), Literal("/opt"))),
        ("/a:{parent}:/b", (Literal("/a"), ParentRef(before=":"), Literal(":/b"))),
        ("{parent}:{parent}", (ParentRef(after=":"), ParentRef())),
        ("-O2 {parent}", (Literal("-O2 "), ParentRef())),
        ("${A}:{parent}", (VariableRef("A"), ParentRef(before=":"))),
        # Other braces are literal, and doubled ones make these so.
        ("{{parent}}", (Literal("{parent}"),)),
        ("a:{{parent}}:b", (Literal("a:{parent}:b"),)),
        ("{{{parent}}}", (Literal("{{parent}}"),)),
        ("{parent}}", (ParentRef(), Literal("}"))),
        ("${parent}", (VariableRef("parent"),)),
        ("${{parent}}", (Literal("${parent}"),)),
        ('{"parent": {"a": 1}} { parent } {Parent}', (Literal('{"parent": {"a": 1}} { parent } {Parent}'),)),
    ],
)  # fmt: skip
def test_templates(text: str, parts: tuple[Literal | VariableRef | ParentRef, ...]) -> None:
    assert EnvTemplate(text).parts == parts
    assert str(EnvTemplate(text)) == text


@pytest.mark.parametrize(
    ("text", "with_value", "without"),
    [
        ("/opt:{parent}", "/opt:/bin", "/opt"),
        ("{parent}:/opt", "/bin:/opt", "/opt"),
        ("/a:{parent}:/b", "/a:/bin:/b", "/a:/b"),
        ("{parent}:${A}:{parent}", "/bin:x:/bin", "x"),
        ("{parent}", "/bin", ""),
        ("-O2 {parent}", "-O2 /bin", "-O2 "),
        ("{{parent}}", "{parent}", "{parent}"),
    ],
)
def test_what_a_template_comes_to(text: str, with_value: str, without: str) -> None:
    template = EnvTemplate(text)
    assert template.filled({"A": "x"}, "/bin") == with_value
    assert template.filled({"A": "x"}) == without
    assert template.adds is (text != "{{parent}}")


def test_the_variables_of_a_template_come_once_in_order() -> None:
    assert EnvTemplate("${B}${A}${B}").variables == ("B", "A")


def test_a_frozen_mapping_has_the_order_of_its_names() -> None:
    one, other = FrozenMapping({"b": 1, "a": 2}), FrozenMapping({"a": 2, "b": 1})
    assert list(one) == ["a", "b"]
    assert one == other == {"a": 2, "b": 1}
    assert hash(one) == hash(other)
    assert repr(one) == repr(other) == "FrozenMapping({'a': 2, 'b': 1})"
    assert one != {"a": 2}
    assert one != [("a", 2), ("b", 1)]
    assert not FrozenMapping()


def test_a_frozen_mapping_does_not_follow_what_it_was_made_of() -> None:
    given = {"a": 1}
    made = FrozenMapping(given)
    given["a"] = 2
    assert made["a"] == 1
    with pytest.raises(TypeError):
        made["a"] = 2  # type: ignore[index]
