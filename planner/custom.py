"""The image of a custom Dockerfile: what of the file its target needs, and the text that is built of it.

Owns that what counts is what is built: the statements that the target needs, one after the other, with pins
in place, and nothing else of the file. Refuses to look at files: the text comes from facts or from a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from attrs import evolve, field

from planner.errors import Place, PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import FileText
from planner.image.instructions import BuildDockerfile, NamedImage
from planner.image.spec import ImageSpec
from planner.immutable import frozen
from planner.settings.effective import Settings
from planner.settings.secrets import Secret, mount_id, undeclared_secret, versions_of
from planner.values import Digest, FrozenMapping, ImageRef

if TYPE_CHECKING:
    from planner.dockerfiles.context import ContextSource
    from planner.dockerfiles.model import Dockerfile
    from planner.dockerfiles.origins import NamedImage as Written
    from planner.dockerfiles.reach import Reach

# Two machines that may build: what a Dockerfile comes to may not depend on which of them does.
_MACHINES: Final = ("linux/amd64", "linux/arm64")


@frozen
class Named:
    """An image that a Dockerfile names, for a platform; None for that of the machine that builds."""

    reference: ImageRef
    platform: str | None = None


__all__ = ["Custom", "Named", "custom_of", "custom_of_spec", "dockerfile_faults", "last_user", "pinned_lines"]


@frozen
class Custom:
    """A custom Dockerfile with build arguments, for a target and a platform.

    `platform` is the one that it is built for, None for that of the machine. `arguments` are the build
    arguments that it declares.
    """

    dockerfile: Dockerfile
    reach: Reach
    platform: str | None
    arguments: Mapping[str, str]
    named: Mapping[Written, Named] = field(eq=False)
    """The images as they are written, and what they are."""

    @property
    def images(self) -> tuple[Named, ...]:
        """The images that it names, each once: the one that its target stands on among them."""
        return tuple(dict.fromkeys(self.named.values()))

    @property
    def base(self) -> Named | None:
        """The image that its target stands on in the end; None for the empty one."""
        return None if self.reach.base is None else self.named[self.reach.base]

    @property
    def sources(self) -> tuple[ContextSource, ...]:
        """What it takes from the build context."""
        return self.reach.sources

    @cached_property
    def lines(self) -> tuple[tuple[str, int], ...]:
        """What is built: the statements that its target needs, each with the number of its line."""
        from planner.dockerfiles.pinning import needed_lines  # noqa: PLC0415  # as in _custom

        return tuple(needed_lines(self.dockerfile, self.reach))

    def place(self, line: int) -> Place:
        """A line of the file."""
        return Place(file=self.dockerfile.path, line=line)

    def secrets(self, known: Mapping[str, Secret]) -> Mapping[str, int]:
        """The versions of the secrets that it mounts. PlannerError with all that are not declared."""
        problems = []
        for mount in self.reach.secrets:
            if mount.name not in known:
                found = f"mounts the secret {mount.name}, which is not declared"
                fix = undeclared_secret(mount.name, known)
                problems.append(Problem(self.place(mount.line), found, fix, "dockerfile-secret"))
        if problems:
            raise PlannerError(problems)
        return versions_of(known, (mount.name for mount in self.reach.secrets))

    def check_is_built_on(self) -> bool:
        """Whether an image of ours can be built on it; else PlannerError."""
        if not self.reach.triggers:
            return True
        found = "ONBUILD would be carried out in the image on top, whose build context is another"
        fix = "leave it out of the last stage, or ask for nothing else beside this Dockerfile"
        raise PlannerError(
            Problem(self.place(each.line), found, fix, "dockerfile-unsupported")
            for each in self.reach.triggers
        )

    def instruction(self, images: Iterable[NamedImage], secrets: Mapping[str, int]) -> BuildDockerfile:
        """The instruction that builds it, with the images that it takes from besides the one it stands on."""
        lines, numbers = zip(*self.lines, strict=True)
        return BuildDockerfile(lines, tuple(dict.fromkeys(images)), secrets, self.dockerfile.path, numbers)


def custom_of(settings: Settings, facts: Facts) -> Custom:
    """The Dockerfile that settings name. PlannerError with everything that is wrong with it."""
    path = settings.dockerfile or ""
    text = facts.ask(FileText(path))
    if text is None:
        fix = "create it, or correct its path, which is from the project's root"
        raise PlannerError([
            Problem(Place(path=("dockerfile",)), f"{path} does not exist", fix, "dockerfile-missing")
        ])  # fmt: skip
    options = settings.parent_options
    return _custom(
        text, path, options.value("build_args"), options.value("target"), options.value("platform")
    )


def custom_of_spec(spec: ImageSpec) -> Custom:
    """The Dockerfile that an image is built from, read from what its spec holds of it."""
    return _of_spec(spec)


@lru_cache(maxsize=64)
def _of_spec(spec: ImageSpec) -> Custom:
    item = spec.dockerfile
    assert item is not None  # noqa: S101  # whoever asks has looked
    text = "".join(f"{line}\n" for line in item.lines)
    return _custom(text, item.file or "Dockerfile", spec.build_args, None, spec.platform)


# Steps share a Dockerfile.
@lru_cache(maxsize=64)
def _custom(
    text: str, path: str, arguments: Mapping[str, str], target: str | None, platform: str | None
) -> Custom:
    # Most projects have no Dockerfile.
    from planner.dockerfiles.origins import BUILD_PLATFORM  # noqa: PLC0415
    from planner.dockerfiles.reach import reached  # noqa: PLC0415
    from planner.dockerfiles.reading import read  # noqa: PLC0415

    dockerfile = read(text, path)
    first, second = (
        reached(dockerfile, platform or machine, machine, arguments, target) for machine in _MACHINES
    )
    base = first.base.platform if first.base else None
    if platform is None and base not in (None, BUILD_PLATFORM):
        # The last stage says what its image is for.
        return _custom(text, path, arguments, target, base)
    # Where it stands counts for nothing here.
    if (first.stages, first.sources, first.images) != (second.stages, second.sources, second.images):
        found = f"what {path} takes depends on the platform of the machine that builds"
        raise _on_platform(found, 'say which it is built for: platform = "linux/amd64"')
    if platform is not None and base not in (None, platform):
        other = "the machine that builds" if base == BUILD_PLATFORM else base
        found = f"the last stage of {path} is for the platform of {other}"
        raise _on_platform(found, "leave out --platform of its FROM, or the platform here")
    platforms = {None: platform, BUILD_PLATFORM: None}
    named = {
        each: Named(each.reference, platforms.get(each.platform, each.platform)) for each in first.images
    }
    known = {name: value for name, value in arguments.items() if name not in first.undeclared}
    return Custom(dockerfile, first, platform, FrozenMapping(known), named)


def _on_platform(found: str, fix: str) -> PlannerError:
    where = Place(path=("parent_image_build_config", "build_options", "platform"))
    return PlannerError([Problem(where, found, fix, "dockerfile-platform")])


def pinned_lines(spec: ImageSpec) -> tuple[str, ...]:
    """The instructions of the Dockerfile that is built, with the digest of each image that it names."""
    from planner.dockerfiles.pinning import pinned  # noqa: PLC0415  # as in _custom

    item, custom = spec.dockerfile, custom_of_spec(spec)
    assert item is not None  # noqa: S101  # whoever asks has looked
    pins = {(each.image.reference, each.platform): each.image.digest for each in spec.images}
    digests: dict[Written, Digest] = {}
    for written, named in custom.named.items():
        digest = pins.get((evolve(named.reference, digest=None), named.platform))
        if digest is not None:
            digests[written] = digest
    # Another version of a secret is another secret to a builder.
    secrets = {name: mount_id(name, version) for name, version in (item.secrets or {}).items()}
    text = pinned(custom.dockerfile, custom.reach, digests, secrets).split("\n")
    lines, end = [], 0
    for line in item.lines:
        begin, end = end, end + line.count("\n") + 1
        lines.append("\n".join(text[begin:end]))
    return tuple(lines)


def last_user(spec: ImageSpec) -> str | None:
    """The user that a custom Dockerfile ends with; None without one, or where it does not say."""
    user = custom_of_spec(spec).reach.user if spec.dockerfile is not None else None
    return user if isinstance(user, str) else None


def dockerfile_faults(spec: ImageSpec) -> Iterator[str]:
    """Why what a spec holds of a Dockerfile is not what planning makes of one, in words."""
    item = spec.dockerfile
    if item is None:
        return
    try:
        custom = custom_of_spec(spec)
    except PlannerError as error:
        yield from (f"its Dockerfile cannot be read: {problem.found}" for problem in error.problems)
        return
    if tuple(line for line, _ in custom.lines) != item.lines:
        yield "its Dockerfile is not written as it is planned"
    if {mount.name for mount in custom.reach.secrets} != set(item.secrets or ()):
        yield "the secrets that its Dockerfile mounts are not those that it names"
    named = {(evolve(each.reference, digest=None), each.platform) for each in custom.images}
    pinned = {(each.image.reference, each.platform) for each in spec.images if not each.image.is_empty}
    if named != pinned:
        yield "the images that its Dockerfile names are not those that are pinned"
