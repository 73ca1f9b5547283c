"""What a user should know about a plan that is no error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from packaging.version import Version

from planner.code import IGNORE_FILE
from planner.components import StepOperator
from planner.credentials import looks_like_credential
from planner.custom import custom_of_spec
from planner.errors import first_few
from planner.files.defaults import suspicious
from planner.files.tree import decode_node
from planner.image.delivery import Way
from planner.image.external import ExternalImage
from planner.image.instructions import FILES
from planner.image.plan import ImagePlan, NamedSpec, Note
from planner.image.spec import ImageSpec
from planner.pipeline import Pipeline
from planner.pyproject import PYPROJECT
from planner.requirements.names import OWN
from planner.requirements.why import asked_for
from planner.settings.effective import Settings
from planner.settings.secrets import SECRET_DIRECTORY
from planner.sources import REQUIREMENTS_FILE
from planner.stack import LOCAL_REGISTRY, Stack
from planner.values import Digest, EnvTemplate
from planner.variables import variable_notes

__all__ = ["assumed_pythons", "notes_of", "operator_notes"]

_SHOWN_PATHS: Final = 3
_DEFAULT_RULES: Final = Note(
    "default-ignore-rules",
    IGNORE_FILE,
    f"{IGNORE_FILE} does not exist: version control, environments, caches and .env files are left out; "
    "`stowplan show IMAGE --context` lists what is copied",
)


def notes_of(
    images: tuple[ImagePlan, ...], settings: Mapping[str, Settings], *, default_rules: bool
) -> tuple[Note, ...]:
    """The notes of a plan, each once.

    `settings` are those of each image, by its name; `default_rules` says whether files are copied under
    the default ignore rules.
    """
    notes = [
        *_parents(images),
        *_dockerfiles(images, settings),
        *assumed_pythons(images),
        *_built(images),
        *_overridden(images),
        *_skipped(settings),
        *_variables(settings),
        *([_DEFAULT_RULES] if default_rules else ()),
        *_files(images),
        *_not_installed(images, settings),
        *_code(images),
        *_tags(images),
        *_unnamed_secrets(images, settings),
        *_plain_indexes(settings),
        *_credentials(settings),
    ]
    return tuple(dict.fromkeys(notes))


def operator_notes(pipeline: Pipeline, stack: Stack) -> Iterator[Note]:
    """Step operators that steps ask for, and the stack does not have: the steps run as all others do."""
    missing: dict[str, list[str]] = {}
    for step in pipeline.steps:
        if step.step_operator and stack.operator(step.step_operator) is None:
            name = "" if step.step_operator is True else f" {step.step_operator}"
            missing.setdefault(name, []).append(step.name)
    for name, steps in missing.items():
        found = stack.components.get("step_operator")
        has = f"its step operator is called {found.name}" if isinstance(found, StepOperator) else ""
        run = f"{' and '.join(steps)} {'runs' if len(steps) == 1 else 'run'} as any other step"
        text = f"the stack {stack.name} has no step operator{name}: {'; '.join(filter(None, (has, run)))}"
        yield Note("no-step-operator", name.strip() or steps[0], text)


def _parents(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    for image in images:
        parent = image.spec.parent
        if not isinstance(parent, ExternalImage):
            continue
        name = parent.reference.familiar
        if parent.digest is None and image.checkout.parent_id is not None:
            text = (
                f"{name} is known by the engine's image ID {image.checkout.parent_id.short} only: "
                "the hash of what is built on it differs on other machines"
            )
            yield Note("local-parent", str(parent.reference), text)
        elif not parent.is_pinned:
            reason = parent.pin.reason
            if not reason and parent.reference.registry == LOCAL_REGISTRY:
                reason = "it is on this machine only, and no engine has it"
            yield Note(
                "unpinned",
                str(parent.reference),
                f"unpinned: the digest of {name} is not known ({reason or 'not looked at'})",
            )
        elif parent.pin.kind == "manifest" and _differ(parent.pin.platform, image.platform):
            text = f"{name} is pinned to a single manifest, which was looked up for {parent.pin.platform}"
            yield Note("other-platform", str(parent.reference), text)


def _dockerfiles(images: tuple[ImagePlan, ...], settings: Mapping[str, Settings]) -> Iterator[Note]:
    """What is not used of what was asked beside a Dockerfile, and what in it is another thing each time."""
    for image in images:
        item, asked = image.spec.dockerfile, settings[image.name]
        if item is None:
            continue
        for each in image.spec.images[1:]:
            if not each.image.is_pinned:
                name = each.image.reference.familiar
                reason = each.image.pin.reason or "it is on this machine only"
                text = f"unpinned: the digest of {name}, which {item.file} names, is not known ({reason})"
                yield Note("unpinned", str(each.image.reference), text)
        if asked.parent_image is not None:
            unused = asked.parent_image.familiar
            text = f"{image.name}: parent_image {unused} is not used: {item.file} says what it is built on"
            yield Note("parent-image-unused", image.name, text)
        given: Mapping[str, str] = asked.parent_options.value("build_args")
        if undeclared := sorted(given.keys() - image.spec.build_args.keys()):
            names = ", ".join(undeclared)
            text = f"{image.name}: {item.file} has no ARG for the build argument {names}, which is not used"
            yield Note("build-argument-unused", image.name, text)
        for remote in custom_of_spec(image.spec).reach.remotes:
            if not remote.pinned:
                text = (
                    f"{item.file}: what ADD takes from {remote.url} can be another thing each time, and is "
                    "taken for the same: say which it is, with --checksum or a commit"
                )
                yield Note("unpinned-download", remote.url, text)


def assumed_pythons(images: Iterable[ImagePlan | NamedSpec]) -> Iterator[Note]:
    """Requirements that are resolved for a Python that nobody has seen: a note of a lock, too."""
    for image in images:
        resolved = image.spec.resolved
        if resolved is not None and resolved.python.assumed:
            external = image.spec.external
            parent = external.name
            unknown = "C library" if resolved.python.given else "Python"
            told = (
                f"lock where an engine can run {parent} (`stowplan lock --upgrade-image {parent}` asks again)"
            )
            if isinstance(image.spec.parent, ImageSpec):
                told = "say which it is with python_version"
            text = (
                f"the {unknown} of {parent} is not known: requirements are resolved for Python "
                f"{resolved.python.version} on {resolved.python.platform}; {told}"
            )
            yield Note("assumed-python", parent, text)


def _built(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    """Packages that are built while the image is, with build tools that no lock has."""
    for image in images:
        names = [package.name for package in image.spec.packages if package.kind != "wheel"]
        if names:
            text = f"{image.name}: built in the image, since they have no wheel that fits: {', '.join(names)}"
            yield Note("built-packages", image.name, text)


def _overridden(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    """Packages whose versions the project's own requirements say alone."""
    for image in images:
        names = image.spec.resolved.overridden if image.spec.resolved else ()
        for package in (each for each in image.spec.packages if each.name in names):
            own, others = [], []
            for source, each, name in asked_for(image.spec):
                if name == package.name and source in OWN:
                    own.append(f"{each.text} of {source}")
                elif name == package.name and not (package.version and each.allows(Version(package.version))):
                    others.append(f"{each.text} of {source}")
            over = " and ".join(others) or f"what other packages require of {package.name}"
            won = " and ".join(own) or f"a constraint of {package.name}"
            yield Note("overridden", image.name, f"{image.name}: {won} wins over {over}")


def _differ(looked_up: str | None, planned: str | None) -> bool:
    """Whether two platforms are known to differ: an image that is not built has none."""
    return None not in (looked_up, planned) and looked_up != planned


def _skipped(settings: Mapping[str, Settings]) -> Iterator[Note]:
    """What skip_build leaves out, so that nothing is ignored in silence."""
    for name, asked in settings.items():
        if not asked.skip_build:
            continue
        left_out = {
            "dockerfile": any(layer.settings.value("dockerfile") for layer in asked.layers),
            "environment": asked.environment,
            "apt_packages": asked.apt_packages,
            "required_integrations": asked.integrations,
            "replicate_local_python_environment": asked.replicated,
            "pyproject_path": asked.pyproject,
            "requirements": asked.requirements,
            "local_project_install_command": asked.project_command,
            "secrets": asked.secrets,
            "user": asked.user,
            "writable_by_any_user": asked.any_user,
            "runtime_environment": asked.runtime_environment,
            "labels": asked.build_options.value("labels"),
        }
        names = [setting for setting, value in left_out.items() if value]
        if names and asked.parent_image is not None:
            parent = asked.parent_image.familiar
            yield Note("skip-build", name, f"skip_build uses {parent} as it is, without {', '.join(names)}")


def _variables(settings: Mapping[str, Settings]) -> Iterator[Note]:
    """Once for each setting, however many images have it."""
    for asked in settings.values():
        if not asked.skip_build:
            yield from variable_notes(asked)


def _files(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    """Once for the plan, not once for each image."""
    found: dict[str, None] = {}
    trees = {tree.digest: tree for image in images for tree in image.checkout.trees.values()}
    for tree in trees.values():
        found |= dict.fromkeys(suspicious(tree))
    if found:
        paths = sorted(found)
        shown = first_few(paths, _SHOWN_PATHS)
        verb = "is" if len(paths) == 1 else "are"
        yield Note("suspicious-files", paths[0], f"{shown} {verb} copied into images: add to {IGNORE_FILE}")


def _not_installed(images: tuple[ImagePlan, ...], settings: Mapping[str, Settings]) -> Iterator[Note]:
    """A requirements file that is copied, and that nobody said anything about."""
    setting = "disable_automatic_requirements_detection"
    roots: dict[Digest, frozenset[str]] = {}
    for image in images:
        asked = settings[image.name]
        if asked.names_requirements or any(layer.settings.gives((setting,)) for layer in asked.layers):
            continue
        names: frozenset[str] = frozenset()
        # What a Dockerfile copies, it may install itself.
        for tree in (tree for name, tree in image.checkout.trees.items() if name == FILES):
            if tree.digest not in roots:
                roots[tree.digest] = frozenset(child.name for child in decode_node(tree.nodes[""]))
            names |= roots[tree.digest]
        # A pyproject.toml can be there for the settings of tools alone; one with a lock is not.
        locked = names.intersection(("uv.lock", "poetry.lock"))
        file = REQUIREMENTS_FILE if REQUIREMENTS_FILE in names else PYPROJECT if locked else ""
        if file not in names:
            continue
        how = f'requirements = "{file}"' if file == REQUIREMENTS_FILE else f'pyproject_path = "{file}"'
        text = (
            f"{file} is copied, and nothing in it is installed: set {how}, or {setting} = false to have it "
            "found (true silences this note)"
        )
        yield Note("not-installed", file, text)


def _unnamed_secrets(images: tuple[ImagePlan, ...], settings: Mapping[str, Settings]) -> Iterator[Note]:
    """Secrets of the settings that no image reads. Those of the project are for others, too."""
    used = {name for image in images for name in image.spec.secrets}
    for asked in settings.values():
        layers = [layer.settings for layer in asked.layers if layer.table is None]
        named = used | {index.secret for index in asked.package_indexes}
        for name in asked.secrets:
            if name not in named and any(layer.gives(("secrets", name)) for layer in layers):
                text = f"nothing names the secret {name}: a command reads it at {SECRET_DIRECTORY}/{name}"
                yield Note("unnamed-secret", name, text)


def _plain_indexes(settings: Mapping[str, Settings]) -> Iterator[Note]:
    """Logins that whoever listens can read on their way."""
    for asked in settings.values():
        for index in asked.package_indexes:
            if index.secret and not index.url.lower().startswith("https:") and index.host not in _LOOPBACK:
                text = f"the login of the index {index.name} is sent to {index.host} without TLS"
                yield Note("plain-index", index.name, text)


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _credentials(settings: Mapping[str, Settings]) -> Iterator[Note]:
    """What would be in an image for everybody who can pull it. Once for the plan, and without the values."""
    found: dict[str, None] = {}
    for asked in (each for each in settings.values() if not each.skip_build):
        arguments = {
            **asked.parent_options.value("build_args"),
            **asked.build_options.value("build_args"),
        }
        for setting, values in (
            ("environment", asked.environment),
            ("runtime_environment", asked.runtime_environment),
            ("build_args", {name: EnvTemplate(value) for name, value in arguments.items()}),
        ):
            names = (name for name, value in values.items() if looks_like_credential(name, value))
            found |= dict.fromkeys(f"{setting}.{name}" for name in names)
    if found:
        first, *others = found
        more = f" and {len(others)} more" if others else ""
        words = "look like credentials" if others else "looks like a credential"
        text = (
            f"{first}{more} {words}: whoever can pull the image can read it; what a build needs belongs in "
            "secrets, and what a container needs is set where it runs"
        )
        yield Note("credential", first, text)


def _code(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    for image in images:
        delivery = image.delivery
        if delivery is not None and delivery.kind is Way.NONE and image.builds and not image.spec.trees:
            text = f"{image.name}: its containers have only the code of the parent image: {delivery.reason}"
            yield Note("no-code", image.name, text)


def _tags(images: tuple[ImagePlan, ...]) -> Iterator[Note]:
    tagged: dict[tuple[str, str], ImagePlan] = {}
    for image in images:
        tag = image.destination.image_tag
        if image.builds and tag:
            key = (image.destination.repository, tag)
            if key in tagged:
                text = f"image_tag {tag!r} stays with {image.name}: {tagged[key].name} loses it"
                yield Note("tag-moves", tag, text)
            tagged[key] = image
