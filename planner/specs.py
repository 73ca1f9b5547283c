"""What is written down of an image: its parent, its instructions in their order, its packages.

Owns the order of the layers, which is the reference's. Refuses to look at files that go into an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from attrs import Factory, define, evolve

from planner.custom import Custom, Named
from planner.errors import PlannerError
from planner.facts.answers import ImagePython
from planner.facts.facts import Facts
from planner.facts.needs import ImageDigest, PythonOf, PythonVersion, Resolve
from planner.gaps import Gaps
from planner.image.external import SCRATCH, ExternalImage
from planner.image.instructions import (
    FILES,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    NamedImage,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import Note
from planner.image.spec import ImageSpec, Observed, Resolved
from planner.lock.lock import Pins
from planner.pipeline import Pipeline
from planner.requirements.conflicts import impossible, refused
from planner.requirements.indexes import of_options, secrets_of
from planner.requirements.names import prevailing
from planner.requirements.options import canonical_options, resolving, resolving_variables
from planner.requirements.packages import Closure
from planner.requirements.resolution import Inputs, divided
from planner.settings.effective import Settings
from planner.settings.secrets import secret_names, versions_of
from planner.source import Source, with_indexes
from planner.sources import Sources
from planner.stack import LOCAL_REGISTRY, Stack
from planner.values import ImageRef, PythonPackageInstaller

__all__ = ["UV_VERSION", "Specs"]

# The uv that installs in images which no lock pins another for.
UV_VERSION: Final = "0.13.9"


@define
class Specs:
    """Makes the specs of the images of one pipeline on one stack, from pins and from what was observed."""

    pipeline: Pipeline
    stack: Stack
    pins: Pins
    gaps: Gaps
    sources: Sources
    facts: Facts
    _divided: dict[Resolve, Mapping[str, Closure]] = Factory(dict)

    def of(self, step: str, settings: Settings, custom: Custom | None = None) -> ImageSpec | None:
        """The spec of the image of a step, or of the pipeline as a whole, whose name is empty.

        None where something is missing or wrong.

        It is that of `custom`, the Dockerfile that the settings name, unless more is asked for.
        """
        parent: ExternalImage | ImageSpec | None
        if settings.dockerfile is not None:
            parent = None if custom is None else self._built(step, settings, custom)
        else:
            parent = self.gaps.attempt(settings, lambda: self._parent(step, settings))
        sources: tuple[Source, ...] | None = ()
        if not settings.skip_build:
            sources = self._asked(settings)
        if parent is None or sources is None:
            return None
        resolved: Resolved | None = None
        closures: Mapping[str, Closure] = {}
        if any(source.requirements.packages for source in sources):
            python = self.gaps.attempt(settings, lambda: self._python(step, settings, parent))
            if python is None:
                return None
            sources = with_indexes(sources, settings.package_indexes, python)
            asking = tuple(source for source in sources if source.requirements.packages)
            found = self.gaps.attempt(settings, lambda: self._resolution(step, settings, python, asking))
            if found is None:
                return None
            resolved, closures = found
        instructions: tuple[Instruction, ...] = ()
        if not settings.skip_build:
            instructions = tuple(self._instructions(step, settings, sources, closures))
        # Of a source that asks for nothing there is no instruction.
        unlisted = tuple(
            Observed(source.name, source.observed)
            for source in sources
            if source.observed is not None and not source.requirements.packages
        )
        options = settings.build_options
        platform = self._platform(settings, parent)
        labels = {} if settings.skip_build else options.value("labels")
        if not instructions and not labels:
            if isinstance(parent, ImageSpec):
                return evolve(parent, observed=unlisted)
            return ImageSpec(parent, platform=platform, observed=unlisted)
        if custom is not None and not self.gaps.attempt(settings, custom.check_is_built_on):
            return None
        return ImageSpec(
            parent,
            instructions,
            platform=platform,
            build_args=options.value("build_args"),
            labels=labels,
            target=options.value("target"),
            options=options.counted,
            resolved=resolved,
            observed=unlisted,
        )

    def _platform(self, settings: Settings, parent: ExternalImage | ImageSpec) -> str | None:
        """The platform that an image is asked for: at least that of the one that it is built on."""
        asked: str | None = settings.build_options.value("platform")
        return asked or (parent.platform if isinstance(parent, ImageSpec) else None)

    def _built(self, step: str, settings: Settings, custom: Custom) -> ImageSpec | None:
        """The image of a custom Dockerfile; None where the digest of an image that it names is missing."""
        options = settings.parent_options
        secrets = self.gaps.attempt(settings, lambda: custom.secrets(settings.secrets))
        images = [
            NamedImage(image, each.platform)
            for each in custom.images
            if (image := self.gaps.attempt(settings, partial(self._named, step, each)))
        ]
        if secrets is None or len(images) < len(custom.images):
            return None
        base = SCRATCH
        if custom.base is not None:
            base = next(
                each.image for each, named in zip(images, custom.images, strict=True) if named == custom.base
            )
        others = (each for each in images if each != NamedImage(base, custom.platform))
        return ImageSpec(
            base,
            (custom.instruction(others, secrets),),
            platform=custom.platform,
            build_args=custom.arguments,
            labels=options.value("labels"),
            target=options.value("target"),
            options=options.counted,
        )

    def _named(self, step: str, named: Named) -> ExternalImage:
        return self._external(step, named.reference, named.platform)

    def _parent(self, step: str, settings: Settings) -> ExternalImage:
        reference = settings.parent_image
        if reference is None:
            reference = ImageRef.parse(f"python:{self.facts.ask(PythonVersion())}-slim")
        return self._external(step, reference, settings.build_options.value("platform"))

    def _external(self, step: str, reference: ImageRef, platform: str | None) -> ExternalImage:
        """An image from outside, for a platform: with a digest of its own, that of the lock, or today's."""
        if reference.digest is not None:
            return ExternalImage(reference, reference.digest)
        pinned = self.pins.parent(self.pipeline.name, self.stack.name, step, reference, platform)
        if pinned is not None:
            return pinned
        if reference.registry == LOCAL_REGISTRY:
            return ExternalImage(reference)
        pin = self.facts.ask(ImageDigest(reference, platform))
        return ExternalImage(reference, pin.digest, pin)

    def _asked(self, settings: Settings) -> tuple[Source, ...] | None:
        """The sources of an image, in the order of their layers; None where one is missing or wrong."""
        sources = [self.gaps.attempt(settings, make) for make in self.sources.of(settings)]
        found = tuple(source for source in sources if source is not None)
        return found if len(found) == len(sources) else None

    def _resolution(
        self, step: str, settings: Settings, python: ImagePython, sources: tuple[Source, ...]
    ) -> tuple[Resolved, Mapping[str, Closure]]:
        """The packages of each source, as the lock has them, else as they have to be resolved now.

        No packages where they could not be.
        """
        where = (self.pipeline.name, self.stack.name, step)
        inputs = Inputs(
            tuple((source.name, source.requirements) for source in sources),
            python.version,
            python.platform,
            resolving(self._installer(step, settings).arguments),
            resolving_variables(settings.installer, settings.environment),
            self.pins.newest(*where),
            prevailing(source.name for source in sources) if settings.prefers_own else (),
        )
        known = self.pins.resolution(*where, inputs.digest)
        if known is None:
            preferred = self.pins.preferred(*where)
            upgrades = tuple(requirement.text for requirement in self.pins.upgrades)
            need = Resolve(inputs, preferred, upgrades, settings.login_sources)
            found = self.facts.ask(need)
            if found.left_out:
                text = (
                    f"ignored, since other machines may not have it: {', '.join(found.left_out)}; "
                    "an index that the project needs belongs in package_indexes"
                )
                self.sources.notes[Note("machine-indexes", "package_indexes", text)] = None
            if found.impossible:
                raise PlannerError([impossible(inputs, found.reason)])
            if found.refused:
                raise PlannerError([refused(inputs, found.reason)])
            if found.reason:
                return Resolved(
                    inputs.digest,
                    python,
                    inputs.exclude_newer,
                    reason=found.reason,
                    transient=found.transient,
                ), {}
            if need not in self._divided:
                self._divided[need] = divided((source.name for source in sources), found)
            known = (self._divided[need], found.overridden)
        closures, overridden = known
        return Resolved(inputs.digest, python, inputs.exclude_newer, overridden), closures

    def _python(self, step: str, settings: Settings, parent: ExternalImage | ImageSpec) -> ImagePython:
        """The Python of the parent: what a setting says, else what the lock has, else what can be told.

        A version that the lock has from a setting goes with that setting. The image of a custom Dockerfile is
        not there when it is planned: what its last stage is built on is asked.
        """
        platform = self._platform(settings, parent)
        parent = parent.external if isinstance(parent, ImageSpec) else parent
        given = settings.python_version
        pinned = self.pins.python(self.pipeline.name, self.stack.name, step, parent, platform)
        if pinned is not None and (not pinned.given if given is None else given == pinned.version):
            return pinned
        found = self.facts.ask(PythonOf(parent.base, platform, given))
        return evolve(found, given=given is not None)

    def _instructions(
        self,
        step: str,
        settings: Settings,
        sources: tuple[Source, ...],
        closures: Mapping[str, Closure],
    ) -> Iterator[Instruction]:
        if settings.environment:
            yield SetEnvironment(settings.environment)
        apt_packages = [*settings.apt_packages, *(name for source in sources for name in source.apt_packages)]
        if apt_packages:
            yield InstallApt(apt_packages)
        options = canonical_options([option for each in sources for option in each.requirements.options])
        for source in sources:
            asked = source.requirements
            if not asked.packages:
                continue
            closure = closures.get(source.name)
            shown = asked if closure is None else asked.without_hashes
            installer = self._installer(step, settings)
            secrets = versions_of(settings.secrets, secrets_of(of_options(options), closure))
            yield InstallRequirements(
                source.name, shown, installer, closure, options, source.observed, secrets
            )
        if settings.includes_files:
            yield CopyFiles(FILES, owner=settings.user, group_writes=settings.any_user)
        if settings.project_command:
            uv = self._uv(step) if settings.project_calls_uv else None
            secrets = versions_of(settings.secrets, secret_names(settings.project_command))
            yield InstallProject(settings.project_command, uv, settings.user, secrets, settings.any_user)
        if settings.user:
            yield SetUser(settings.user)
        if settings.runtime_environment:
            yield SetEnvironment(settings.runtime_environment, runtime=True)

    def _installer(self, step: str, settings: Settings) -> Installer:
        name = settings.installer
        if name is PythonPackageInstaller.PIP:
            return Installer(name, None, settings.installer_arguments)
        # uv is told which Python to install for, so the `system` flag of the reference is always met.
        arguments = {key: value for key, value in settings.installer_arguments.items() if key != "system"}
        return Installer(name, self._uv(step), arguments)

    def _uv(self, step: str) -> str:
        """The version of uv for an image."""
        return self.pins.uv(self.pipeline.name, self.stack.name, step) or UV_VERSION
