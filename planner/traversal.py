"""One pass over the steps of a pipeline: what each image is, and what is missing or wrong.

Owns the order of the layers (the reference's) and which steps share an image. Each part of an image is
tried on its own, so that all needs and all problems of a pass are found at once. Refuses to look at
anything but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from attrs import Factory, define, evolve, field

from planner.code import ignore_path, tree_need
from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.facts.facts import Facts, Unanswered
from planner.facts.needs import (
    FileText,
    FileTree,
    HostPlatform,
    ImageDigest,
    LocalImage,
    Need,
    PythonOf,
    PythonVersion,
    Resolve,
    Variable,
)
from planner.identity import variable_fingerprint
from planner.image.instructions import (
    FILES,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import Checkout, Destination, ImagePlan, NamedSpec, Note
from planner.image.spec import ExternalImage, ImageSpec, Resolved
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME, Pins
from planner.pipeline import Pipeline, Step
from planner.requirements.names import prevailing
from planner.requirements.options import canonical_options, resolving
from planner.requirements.packages import Closure
from planner.requirements.resolution import Inputs, Resolution, contradiction, divided
from planner.settings.builders import builders_for, cache_refusals, refusals
from planner.settings.cache_mount import CacheMount
from planner.settings.checks import unencodable
from planner.settings.effective import Settings, settle
from planner.settings.option_table import BUILDERS
from planner.sources import Source, Sources, with_indexes
from planner.stack import LOCAL_REGISTRY, Stack
from planner.values import Digest, ImageRef, PythonPackageInstaller

__all__ = ["UV_VERSION", "Share", "Traversal"]

# The uv that installs in images which no lock pins another for.
UV_VERSION: Final = "0.13.9"
# Stands for a fingerprint where nobody looks at it.
_NOT_HASHED: Final = Digest("0" * 64)
K = TypeVar("K")
T = TypeVar("T")


@frozen
class _Identity:
    """What steps must have in common to share an image."""

    spec: ImageSpec
    destination: Destination
    ignore_file: str | None
    """The ignore file of the tree: a lock, planned without looking at files, names the same images."""
    locked: str | None
    """The image that the step runs in by the lock, where that is taken as it is."""


@define
class Share:
    """An image in the making, and the steps that share it."""

    spec: ImageSpec
    destination: Destination
    settings: Settings
    checkout: Checkout | None
    locked: str | None = None
    """The name that it has in the lock, where that is taken as it is."""
    steps: list[str] = Factory(list)
    of_pipeline: bool = False

    @property
    def cache_mount(self) -> CacheMount | None:
        """The cache of the installer, where one installs anything."""
        return self.settings.cache_mount if self.spec.installs else None

    def named(self, name: str) -> NamedSpec:
        """What a lock holds of it, under its name."""
        return NamedSpec(name, tuple(self.steps), self.spec, self.cache_mount)

    def image(self, name: str) -> ImagePlan:
        """The image under its name."""
        assert self.checkout is not None  # noqa: S101  # `finish` has raised otherwise
        return ImagePlan(
            name,
            tuple(self.steps),
            self.spec,
            self.checkout,
            self.destination,
            build_options=self.settings.build_options,
            cache_mount=self.cache_mount,
        )


# What tells a step from those that are made alike.
_Key: TypeAlias = tuple[Settings, str | None]


@define
class Traversal:
    """Passes over the steps of a pipeline: each collects what is missing and what is wrong.

    A pass with more facts goes on where the one before had to stop: what was made from fewer stays as it is.
    """

    pipeline: Pipeline
    stack: Stack
    pins: Pins
    frozen: bool
    builders: frozenset[str] = frozenset(BUILDERS)
    hashes: bool = True
    """Whether values of variables are hashed, which is slow on purpose: what is needed depends on none."""
    needs: dict[Need[Any], None] = Factory(dict)
    problems: dict[Problem, None] = Factory(dict)
    default_rules: bool = False
    """Whether some tree has the default rules, since the project has no ignore file."""
    facts: Facts = field(init=False, default=Facts())
    _sources: Sources = field(init=False)
    _settled: dict[object, Settings] = Factory(dict)
    _specs: dict[_Key, ImageSpec] = Factory(dict)
    _made: dict[_Key, tuple[_Identity, Checkout | None]] = Factory(dict)
    _tree_needs: dict[str | None, FileTree] = Factory(dict)
    _divided: dict[tuple[Inputs, Resolution], Mapping[str, Closure]] = Factory(dict)
    _fingerprints: dict[str, Digest] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self._sources = Sources(self.pipeline, self.stack, self.facts, self.pins)

    def run(self, facts: Facts, *, checkout: bool) -> list[tuple[str, Share]]:
        """The images by name, in the order of their first steps, without those that could not be made.

        `facts` are those of the pass before and more.
        """
        self.facts = self._sources.facts = facts
        self.needs.clear()
        self.problems.clear()
        failed: set[object] = set()
        shares: dict[_Identity, Share] = {}
        for step in self.pipeline.steps:
            settings = self._once(self._settled, step.settings, failed, partial(self._settle, step))
            if settings is None:
                continue
            # What a lock says of a step is said of no other step that asks for the same.
            key = (settings, step.name if self.frozen else None)
            make = partial(self._image, step, key, checkout=checkout)
            made = self._once(self._made, key, failed, make)
            if made is None:
                continue
            identity, seen = made
            share = shares.get(identity)
            if share is None:
                share = Share(identity.spec, identity.destination, settings, seen, identity.locked)
                shares[identity] = share
            share.steps.append(step.name)
            share.of_pipeline |= not step.settings.given
        named: dict[str, Share] = {}
        for share in shares.values():
            own = f"{self.pipeline.name}/{share.steps[0]}"
            name = share.locked or (self.pipeline.name if share.of_pipeline else own)
            # One image of a lock whose steps go to two repositories by now.
            named[own if name in named else name] = share
        return list(named.items())

    def finish(self) -> None:
        """PlannerError with all that is wrong, or with what has not been observed."""
        if self.problems:
            raise PlannerError(self.problems)
        if self.needs:
            fix = "answer needs() until nothing is left, as observe() does"
            raise PlannerError(Problem.at("facts", f"not observed: {need}", fix) for need in self.needs)

    def _attempt(self, settings: Settings | None, make: Callable[[], T]) -> T | None:
        """What `make` makes; None when a need or a problem, which are collected, stood in its way."""
        try:
            return make()
        except Unanswered as missing:
            self.needs |= dict.fromkeys(missing.needs)
        except PlannerError as error:
            placed = (settings.placed(problem) if settings else problem for problem in error.problems)
            self.problems |= dict.fromkeys(placed)
        return None

    def _once(self, made: dict[K, T], key: K, failed: set[object], make: Callable[[], T | None]) -> T | None:
        """What is made for a key, once for all passes; None where it could not be, once in this one."""
        if key in made:
            return made[key]
        if key in failed:
            return None
        found = make()
        if found is None:
            failed.add(key)
        else:
            made[key] = found
        return found

    def _settle(self, step: Step) -> Settings | None:
        return self._attempt(None, lambda: settle(self.pipeline.layers(step)))

    def _image(self, step: Step, key: _Key, *, checkout: bool) -> tuple[_Identity, Checkout | None] | None:
        settings, _ = key
        buildable = self._attempt(settings, lambda: self._buildable(settings))
        locked = self._attempt(settings, lambda: self._locked(step)) if self.frozen else None
        spec = locked.spec if locked else None
        if not self.frozen:
            spec = self._once(self._specs, key, set(), lambda: self._spec(step, settings))
        cacheable = self._attempt(settings, lambda: self._cacheable(settings, spec))
        # The checkout is looked at even where the spec is not known yet: all needs come at once.
        seen = self._checkout(settings, spec) if checkout else None
        if not (buildable and cacheable) or spec is None or (checkout and seen is None):
            return None
        destination = Destination(
            repository=self.stack.repository(settings.target_repository),
            push=self.stack.container_registry is not None,
            image_tag=settings.image_tag,
            prevent_reuse=settings.prevent_reuse,
        )
        ignore_file = ignore_path(settings) if spec.trees else None
        return _Identity(spec, destination, ignore_file, locked.name if locked else None), seen

    def _buildable(self, settings: Settings) -> bool:
        """Whether some builder has all the options that are asked for; else PlannerError."""
        refused = [refusals(settings.build_options, builder) for builder in sorted(self.builders)]
        if refused and all(refused):
            fewest = min(refused, key=len)
            raise PlannerError(problem.inside("build_config") for problem in fewest)
        return True

    def _cacheable(self, settings: Settings, spec: ImageSpec | None) -> bool:
        """Whether some builder that has the options keeps the cache that is asked for; else PlannerError."""
        if settings.cache_mount is not None and spec is not None and spec.installs:
            able = self.builders & builders_for(settings.build_options)
            refused = [cache_refusals(settings.cache_mount, builder) for builder in sorted(able)]
            if refused and all(refused):
                raise PlannerError(refused[0])
        return True

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a user should know of how the sources were read."""
        return tuple(self._sources.notes)

    # --- the spec

    def _locked(self, step: Step) -> NamedSpec:
        locked = self.pins.lock.plan(self.pipeline.name, self.stack.name)
        if locked is not None and step.name in locked.by_step:
            return locked.by_step[step.name]
        found = f"no image for step {step.name!r} of {self.pipeline.name!r} on {self.stack.name!r}"
        raise PlannerError([
            Problem(Place(file=LOCK_NAME), found, "write it with `stowplan lock`, or run without --frozen")
        ])  # fmt: skip

    def _spec(self, step: Step, settings: Settings) -> ImageSpec | None:
        parent = self._attempt(settings, lambda: self._parent(step, settings))
        sources: tuple[Source, ...] | None = ()
        if not settings.skip_build:
            sources = self._asked(settings)
        if parent is None or sources is None:
            return None
        resolved: Resolved | None = None
        closures: Mapping[str, Closure] = {}
        if any(source.requirements.packages for source in sources):
            python = self._attempt(settings, lambda: self._python(step, settings, parent))
            if python is None:
                return None
            sources = with_indexes(sources, settings.package_indexes, python)
            asking = tuple(source for source in sources if source.requirements.packages)
            found = self._attempt(settings, lambda: self._resolution(step, settings, python, asking))
            if found is None:
                return None
            resolved, closures = found
        instructions: tuple[Instruction, ...] = ()
        if not settings.skip_build:
            instructions = tuple(self._instructions(step, settings, sources, closures))
        options = settings.build_options
        platform = options.value("platform")
        labels = {} if settings.skip_build else options.value("labels")
        if not instructions and not labels:
            return ImageSpec(parent, platform=platform)
        return ImageSpec(
            parent,
            instructions,
            platform=platform,
            build_args=options.value("build_args"),
            labels=labels,
            target=options.value("target"),
            options=options.counted,
            resolved=resolved,
        )

    def _parent(self, step: Step, settings: Settings) -> ExternalImage:
        reference = settings.parent_image
        if reference is None:
            reference = ImageRef.parse(f"python:{self.facts.ask(PythonVersion())}-slim")
        if reference.digest is not None:
            return ExternalImage(reference, reference.digest)
        platform = settings.build_options.value("platform")
        pinned = self.pins.parent(self.pipeline.name, self.stack.name, step.name, reference, platform)
        if pinned is not None:
            return pinned
        if reference.registry == LOCAL_REGISTRY:
            return ExternalImage(reference)
        pin = self.facts.ask(ImageDigest(reference, platform))
        return ExternalImage(reference, pin.digest, pin)

    def _asked(self, settings: Settings) -> tuple[Source, ...] | None:
        """The sources of an image, in the order of their layers; None where one is missing or wrong."""
        sources = [self._attempt(settings, make) for make in self._sources.of(settings)]
        found = tuple(source for source in sources if source is not None)
        return found if len(found) == len(sources) else None

    def _resolution(
        self, step: Step, settings: Settings, python: ImagePython, sources: tuple[Source, ...]
    ) -> tuple[Resolved, Mapping[str, Closure]]:
        """The packages of each source, as the lock has them, else as they have to be resolved now.

        No packages where they could not be.
        """
        where = (self.pipeline.name, self.stack.name, step.name)
        inputs = Inputs(
            tuple((source.name, source.requirements) for source in sources),
            python.version,
            python.platform,
            resolving(self._installer(step, settings).arguments),
            {
                name: value.text
                for name, value in settings.environment.items()
                if name.startswith(f"{settings.installer.name}_")
            },
            self.pins.newest(*where),
            prevailing(source.name for source in sources) if settings.prefers_own else (),
        )
        known = self.pins.resolution(*where, inputs.digest)
        if known is None:
            preferred = self.pins.preferred(*where)
            upgrades = tuple(requirement.text for requirement in self.pins.upgrades)
            found = self.facts.ask(Resolve(inputs, preferred, upgrades))
            if found.impossible:
                raise PlannerError([contradiction(inputs, found.reason)])
            if found.reason:
                return Resolved(
                    inputs.digest,
                    python,
                    inputs.exclude_newer,
                    reason=found.reason,
                    transient=found.transient,
                ), {}
            if (inputs, found) not in self._divided:
                self._divided[inputs, found] = divided((source.name for source in sources), found)
            known = (self._divided[inputs, found], found.overridden)
        closures, overridden = known
        return Resolved(inputs.digest, python, inputs.exclude_newer, overridden), closures

    def _python(self, step: Step, settings: Settings, parent: ExternalImage) -> ImagePython:
        """The Python of the parent: what a setting says, else what the lock has, else what can be told.

        A version that the lock has from a setting goes with that setting.
        """
        platform = settings.build_options.value("platform")
        given = settings.python_version
        pinned = self.pins.python(self.pipeline.name, self.stack.name, step.name, parent, platform)
        if pinned is not None and (not pinned.given if given is None else given == pinned.version):
            return pinned
        found = self.facts.ask(PythonOf(parent.base, platform, given))
        return evolve(found, given=given is not None)

    def _instructions(
        self,
        step: Step,
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
            yield InstallRequirements(source.name, shown, installer, closure, options, source.observed)
        if settings.includes_files:
            yield CopyFiles(FILES, owner=settings.user)
        if settings.project_command:
            uv = self._uv(step) if settings.project_calls_uv else None
            yield InstallProject(settings.project_command, uv, settings.user)
        if settings.user:
            yield SetUser(settings.user)
        if settings.runtime_environment:
            yield SetEnvironment(settings.runtime_environment, runtime=True)

    def _installer(self, step: Step, settings: Settings) -> Installer:
        name = settings.installer
        if name is PythonPackageInstaller.PIP:
            return Installer(name, None, settings.installer_arguments)
        # uv is told which Python to install for, so the `system` flag of the reference is always met.
        arguments = {key: value for key, value in settings.installer_arguments.items() if key != "system"}
        return Installer(name, self._uv(step), arguments)

    def _uv(self, step: Step) -> str:
        """The version of uv for an image."""
        return self.pins.uv(self.pipeline.name, self.stack.name, step.name) or UV_VERSION

    # --- the checkout

    def _checkout(self, settings: Settings, spec: ImageSpec | None) -> Checkout | None:
        if settings.skip_build or (spec is not None and not spec.builds):
            return Checkout()
        platform = settings.build_options.value("platform")
        host = None if platform else self._attempt(settings, lambda: self.facts.ask(HostPlatform()))
        trees = self._attempt(settings, lambda: self._trees(settings, spec))
        variables = self._variables(settings, spec)
        parent_id = None
        if spec is not None and isinstance(spec.parent, ExternalImage) and spec.parent.digest is None:
            reference = spec.parent.reference
            local = self._attempt(settings, lambda: self.facts.ask(LocalImage(reference)))
            if local is None:
                return None
            parent_id = local.id
        if (host is None and not platform) or trees is None or variables is None:
            return None
        return Checkout(host, trees, variables, parent_id)

    def _trees(self, settings: Settings, spec: ImageSpec | None) -> Mapping[str, Any]:
        copies = bool(spec.trees) if spec is not None else settings.includes_files
        if not copies:
            return {}
        need = self._tree_needs.get(settings.dockerignore)
        if need is None:
            need = self._tree_needs.setdefault(settings.dockerignore, tree_need(settings, self.facts))
        self.default_rules |= self.facts.ask(FileText(ignore_path(settings))) is None
        return {FILES: self.facts.ask(need)}

    def _variables(self, settings: Settings, spec: ImageSpec | None) -> Mapping[str, Digest] | None:
        """A fingerprint of each variable that is referred to; every one that is not set is a problem."""
        places = settings.variables
        names = tuple(places)
        if self.frozen and spec is not None:
            names = tuple(
                dict.fromkeys(
                    name
                    for item in spec.instructions
                    if isinstance(item, SetEnvironment)
                    for value in item.variables.values()
                    for name in value.variables
                )
            )
        found = {
            name: self._attempt(settings, partial(self._fingerprint, name, places.get(name, ())))
            for name in names
        }
        known = {name: digest for name, digest in found.items() if digest is not None}
        return known if len(known) == len(found) else None

    def _fingerprint(self, name: str, path: tuple[str, ...]) -> Digest:
        if name in self._fingerprints:
            return self._fingerprints[name]
        value = self.facts.ask(Variable(name))
        if value is None:
            found, fix = f"environment variable {name} is not set", f"set it: export {name}=…"
        elif any(character in value.reveal() for character in "\r\n\0"):
            found, fix = f"the value of {name} holds a line end", "a value of an image is one line; encode it"
        elif unencodable(value.reveal()):
            found, fix = f"the value of {name} is not valid Unicode text", "encode it, as base64 does"
        else:
            made = variable_fingerprint(name, value.reveal()) if self.hashes else _NOT_HASHED
            return self._fingerprints.setdefault(name, made)
        raise PlannerError([Problem.at(path, found, fix)])
