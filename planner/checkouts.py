"""What this checkout puts into an image: its files, the values of its variables, the platform built for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from attrs import Factory, define

from planner.code import ignore_path, tree_need
from planner.custom import Custom
from planner.custom_context import Context, context_tree
from planner.errors import PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import FileText, FileTree, HostPlatform, LocalImage, Variable
from planner.files.paths import inside
from planner.files.tree import Tree
from planner.gaps import Gaps
from planner.identity import variable_fingerprint
from planner.image.delivery import Delivery
from planner.image.external import ExternalImage
from planner.image.instructions import CONTEXT, FILES, CopyFiles, MakeDirectory, SetEnvironment, SetUser
from planner.image.plan import Checkout
from planner.image.spec import ImageSpec
from planner.settings.checks import unencodable
from planner.settings.effective import Settings
from planner.settings.secrets import copied_secret
from planner.values import Digest

__all__ = ["Checkouts", "includes"]

# Stands for a fingerprint where nobody looks at it.
_NOT_HASHED: Final = Digest("0" * 64)


@define
class Checkouts:
    """Makes the checkouts of the images of one pipeline, each tree and each variable once."""

    frozen: bool
    hashes: bool
    """Whether values of variables are hashed, which is slow on purpose: what is needed depends on none."""
    gaps: Gaps
    facts: Facts
    default_rules: bool = False
    """Whether some tree has the default rules, since the project has no ignore file."""
    _tree_needs: dict[str | None, FileTree] = Factory(dict)
    _contexts: dict[tuple[Context, Custom], tuple[Tree, bool]] = Factory(dict)
    _fingerprints: dict[str, Digest] = Factory(dict)

    def of(self, settings: Settings, spec: ImageSpec | None, delivery: Delivery | None) -> Checkout | None:
        """The checkout of an image; None where something is missing or wrong.

        It is looked at even where the spec is not known yet: all needs come at once. No files are looked at
        before it is known how the code is delivered.
        """
        if settings.skip_build or (spec is not None and not spec.builds):
            return Checkout()
        if spec is not None and spec.dockerfile is not None:
            return None  # `below` has it
        platform = settings.build_options.value("platform") or (spec and spec.platform)
        host = None if platform else self.gaps.attempt(settings, lambda: self.facts.ask(HostPlatform()))
        trees = None
        if delivery is not None:
            trees = self.gaps.attempt(settings, lambda: self._trees(settings, spec, delivery))
        variables = self._variables(settings, spec)
        files = (trees or {}).get(FILES)
        left_out = self.gaps.attempt(settings, lambda: files is None or _left_out(settings, files))
        parent_id = None
        if spec is not None and isinstance(spec.parent, ExternalImage) and not spec.parent.is_pinned:
            reference = spec.parent.reference
            local = self.gaps.attempt(settings, lambda: self.facts.ask(LocalImage(reference)))
            if local is None:
                return None
            parent_id = local.id
        if (host is None and not platform) or trees is None or variables is None or not left_out:
            return None
        directory = None
        if delivery is not None and delivery.downloads and spec is not None:
            directory = _code_directory(settings, spec)
        return Checkout(host, trees, variables, parent_id, directory=directory)

    def below(self, settings: Settings, spec: ImageSpec | None, custom: Custom | None) -> Checkout | None:
        """The checkout of the image of a custom Dockerfile, which is `spec` or its parent.

        None where something is missing or wrong. Its files are looked at even where its pins are not known.
        """
        context = Context.of(settings)
        if custom is None or context is None:
            return None
        platform = settings.parent_options.value("platform") or custom.platform
        host = None if platform else self.gaps.attempt(settings, lambda: self.facts.ask(HostPlatform()))
        found = self._contexts.get((context, custom))
        if found is None:
            found = self.gaps.attempt(settings, lambda: context_tree(context, custom, self.facts))
        if found is None:
            return None
        self._contexts[context, custom] = found
        tree, defaults = found
        left_out = self.gaps.attempt(settings, lambda: _left_out(settings, tree, context.directory))
        built = spec if spec is None or isinstance(spec.parent, ExternalImage) else spec.parent
        if built is None or not left_out or (host is None and not platform):
            return None
        self.default_rules |= defaults
        base, *others = (each.image for each in built.images)
        unpinned = [image for image in (base, *others) if not image.is_pinned]
        ids = {
            image: self.gaps.attempt(settings, partial(self.facts.ask, LocalImage(image.reference)))
            for image in unpinned
        }
        if None in ids.values():
            return None
        known = {image: told.id for image, told in ids.items() if told is not None and told.id is not None}
        return Checkout(
            host,
            {CONTEXT: tree},
            parent_id=known.pop(base, None),
            image_ids={str(image.reference): digest for image, digest in known.items()},
            context_root=context.directory,
        )

    def _trees(self, settings: Settings, spec: ImageSpec | None, delivery: Delivery) -> Mapping[str, Any]:
        if delivery.downloads or not includes(settings, spec):
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
            name: self.gaps.attempt(settings, partial(self._fingerprint, name, places.get(name, ())))
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
            if name == "parent":
                fix = "write {parent}, without $, to add to the value of the parent image"
        elif any(character in value.reveal() for character in "\r\n\0"):
            found, fix = f"the value of {name} holds a line end", "a value of an image is one line; encode it"
        elif unencodable(value.reveal()):
            found, fix = f"the value of {name} is not valid Unicode text", "encode it, as base64 does"
        else:
            made = variable_fingerprint(name, value.reveal()) if self.hashes else _NOT_HASHED
            return self._fingerprints.setdefault(name, made)
        raise PlannerError([Problem.at(path, found, fix)])


def includes(settings: Settings, spec: ImageSpec | None) -> bool:
    """Whether an image may have the code: as it is written down, where that is known."""
    if spec is not None:
        return FILES in spec.trees
    return settings.includes_files and not settings.skip_build


def _code_directory(settings: Settings, spec: ImageSpec) -> MakeDirectory:
    """The directory that code is downloaded into, which belongs to whom files would that were copied."""
    for item in spec.instructions:
        if isinstance(item, CopyFiles):
            return MakeDirectory(item.destination, item.owner, item.group_writes)
    owner = next((item.user for item in spec.instructions if isinstance(item, SetUser)), None)
    return MakeDirectory(owner=owner, group_writes=settings.any_user)


def _left_out(settings: Settings, files: Tree, directory: str = "") -> bool:
    """Whether no file that has a secret is among those of a directory that are copied; else PlannerError."""
    problems = [
        copied_secret(("secrets", name, "file"), secret.file)
        for name, secret in settings.secrets.items()
        if secret.file and (path := inside(secret.file, directory)) and files.holds(path)
    ]
    if problems:
        raise PlannerError(problems)
    return True
