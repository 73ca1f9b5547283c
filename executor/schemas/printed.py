"""The objects that `-o json` prints, as types: what prints them is checked against these.

A key that is added does not make another version; one that goes or means something else does.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypedDict

from executor.apply.outcome import Result
from executor.doctor.check import State
from executor.run.outcome import StepStatus
from executor.workflow.comparing import Kind
from planner.compare.actions import Action
from planner.compare.explanation import Origin
from planner.compare.report import LockState
from planner.image.delivery import Way

__all__ = ["PRINTED"]


class ProblemObject(TypedDict):
    """One thing that is wrong."""

    code: str
    """The code of the problem."""
    key: str
    """The setting, with dots; empty if it is not about a setting."""
    file: str | None
    """The file, image or engine that it is about."""
    line: int | None
    """The line in that file, from 1."""
    where: str
    """Key, file and line in words."""
    found: str
    """What was found there."""
    fix: str
    """What to do about it."""


class ErrorObject(TypedDict):
    """What is wrong, if a command cannot do what it was asked."""

    schema: Literal["stowplan/error/2"]
    """The name and the version of this schema."""
    problems: list[ProblemObject]
    """All that is wrong."""


class NoteObject(TypedDict):
    """What a user should know."""

    code: str
    """The code of the note."""
    key: str
    """What it is about."""
    file: str | None
    """The file of the setting that it is about."""
    line: int | None
    """Its line, from 1."""
    text: str
    """The note in words."""


class ChangeObject(TypedDict):
    """One difference of one image."""

    image: str
    """The image."""
    field: str
    """The setting that changed, or the source of requirements."""
    key: str | None
    """What in it: a variable, a package, an image."""
    code: str
    """The code of the change."""
    before: str | None
    """The value before, if it can be shown and there was one."""
    after: str | None
    """The value after, likewise."""
    text: str
    """The change in words."""


class SinceChangeObject(ChangeObject):
    """One difference of one image since something."""

    since: str
    """What it is a change since: `lock` or `build`."""


class NearestObject(TypedDict):
    """What was there and is closest to an image."""

    record: int
    """The record that says that it was there."""
    pipeline: str
    """Its pipeline."""
    stack: str
    """Its stack."""
    image: str
    """Its name."""
    changes: list[ChangeObject]
    """What differs from it."""


class RepositoryObject(TypedDict):
    """The code of a commit of a code repository."""

    name: str
    """Its name in the project file."""
    type: str
    """Its type: `github`, `gitlab` or `git`."""
    url: str
    """Where it is downloaded from."""
    commit: str
    """The commit."""
    tree: str
    """The ID that git has for the directory of the project in it."""
    subdirectory: str
    """The directory of the project in it; empty for its root."""
    secret: str | None
    """The name of the secret that has its login."""
    branch: str
    """The branch of the checkout; empty for none."""


class DeliveryObject(TypedDict):
    """How the code reaches the containers of an image."""

    kind: Annotated[str, Way]
    """The way."""
    reason: str
    """Why that way, in words."""
    repository: RepositoryObject | None
    """What is downloaded from a code repository."""


class UseObject(TypedDict):
    """What an image is for."""

    key: str
    """The component of the stack that asks for it: `orchestrator`, `step_operator` or `deployer`."""
    steps: list[str]
    """The steps that it runs in the image; empty for the deployer, which runs the pipeline."""


class PlannedImageObject(TypedDict):
    """What a plan says of one image."""

    name: str
    """The name of the image."""
    hash: str
    """Its image hash."""
    spec_hash: str
    """Its spec hash."""
    steps: list[str]
    """The steps that run in it."""
    uses: list[UseObject]
    """What the image is for; empty if only other images are built on it."""
    parent: str
    """The parent image with its digest, if that is known."""
    platform: str | None
    """The platform."""
    dockerfile: str | None
    """The text of the Dockerfile; null if nothing is built."""
    action: Annotated[str, Action]
    """What is done about it."""
    code: str
    """The code of the decision."""
    reason: str
    """The reason in words."""
    depends: list[str]
    """What was assumed and not looked at."""
    blocked: ProblemObject | None
    """The problem that stops this image."""
    digest: str | None
    """The digest in the registry, if it is known."""
    verified: bool
    """False if the image is taken to be in the registry, and the registry did not confirm it."""
    reference: str
    """The reference that its steps run."""
    rebuilt: list[str]
    """The layers that are built again, in order."""
    closest: NearestObject | None
    """Of an image that is built because there is none like it: what was there and is closest to it."""
    delivery: DeliveryObject | None
    """How the code reaches the containers of its steps; null if no step runs in it."""


class PlanObject(TypedDict):
    """What `stowplan plan` prints."""

    schema: Literal["stowplan/plan/2"]
    """The name and the version of this schema."""
    plan: str
    """The hash of the plan, over the image hashes."""
    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    commit: str | None
    """The commit that the code is, if it is known to be one."""
    lock: Annotated[str, LockState]
    """How the lock stands to the plan."""
    images: list[PlannedImageObject]
    """The images; parents come before what is built on them."""
    counts: dict[str, int]
    """How many images have each action."""
    changes: list[SinceChangeObject]
    """All changes since the lock, and since the last build of each image."""
    notes: list[NoteObject]
    """What a user should know."""


class ImageObject(PlannedImageObject):
    """What `stowplan show IMAGE` prints."""

    schema: Literal["stowplan/image/2"]
    """The name and the version of this schema."""
    files: list[str]
    """The paths of the project's files that are copied."""
    generated: dict[str, str]
    """The text of each generated file, by its path in the build context."""
    changes: list[SinceChangeObject]
    """The changes of this image."""


class PlanChangeObject(ChangeObject):
    """One difference of one image of a plan."""

    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    steps: list[str]
    """The steps that run in the image."""
    rebuilt: list[str]
    """The layers that are built again."""


class SideObject(TypedDict):
    """One of two sides that are compared."""

    kind: Annotated[str, Kind]
    """What it is; `plan` is a saved one."""
    name: str
    """How it was named."""
    commit: str | None
    """The commit of a revision."""


class DiffObject(TypedDict):
    """What `stowplan diff` prints."""

    schema: Literal["stowplan/diff/2"]
    """The name and the version of this schema."""
    sides: list[SideObject]
    """The two sides."""
    changes: list[PlanChangeObject]
    """The changes."""
    notes: list[str]
    """What is to be said of a side: files of a revision that a checkout has otherwise."""


class LockedPlanObject(TypedDict):
    """One plan of a lock."""

    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    hash: str
    """The hash of the plan, over the spec hashes."""


class PairObject(TypedDict):
    """A pipeline on a stack."""

    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""


class RepairedObject(TypedDict):
    """What was made of a lock that could not be read."""

    kept: list[str]
    """What was kept, in words."""
    dropped: list[str]
    """What was dropped, in words."""


class LockObject(TypedDict):
    """What `stowplan lock` prints."""

    schema: Literal["stowplan/lock/2"]
    """The name and the version of this schema."""
    lock: str
    """`written`, `up to date` or `stale`."""
    plans: list[LockedPlanObject]
    """What was planned."""
    changes: list[PlanChangeObject]
    """The differences to the lock as it was."""
    gone: list[PairObject]
    """What the project no longer has."""
    repaired: RepairedObject | None
    """What became of a lock that could not be read."""
    notes: list[NoteObject]
    """What a user should know."""


class OutcomeObject(TypedDict):
    """What came of one image."""

    name: str
    """The name of the image."""
    hash: str
    """Its image hash."""
    action: Annotated[str, Action]
    """What was decided."""
    result: Annotated[str, Result]
    """What came of it."""
    code: str
    """The code of the decision."""
    reason: str
    """The reason in words."""
    reference: str
    """The reference that its steps run."""
    digest: str | None
    """The digest in the registry; null if it is not in one."""
    pushed: bool
    """Whether it was pushed now."""
    verified: bool
    """False if the image is taken to be in the registry, and the registry did not confirm it."""
    seconds: float
    """How long it took."""
    closest: NearestObject | None
    """What had been there and was closest to it."""
    error: list[ProblemObject] | None
    """Why it failed."""


class ApplyObject(TypedDict):
    """What `stowplan apply` and `stowplan build` print."""

    schema: Literal["stowplan/apply/2"]
    """The name and the version of this schema."""
    plan: str
    """The hash of the plan, over the image hashes."""
    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    build: str | None
    """The id of the build; null if an image failed."""
    images: list[OutcomeObject]
    """The images, in the order of the plan."""
    error: list[ProblemObject] | None
    """The problems because of which the build could not be recorded."""
    lock_changes: list[ChangeObject]
    """What was brought up to date in the lock."""
    notes: list[NoteObject]
    """What a user should know."""


class SettingObject(TypedDict):
    """One setting, or one key of a table of settings."""

    setting: str
    """The setting: `user`, `environment.MODEL`, `build_config.build_options.platform`."""
    value: Any
    """Its value."""
    origin: str
    """`default`, `project` (the project file), `code`, or `configuration` (a run configuration)."""
    file: str | None
    """The file that says it; null for a default."""
    line: int | None
    """Its line, from 1."""
    how: str | None
    """How it is said in code: `@pipeline`, `@step` or `with_options`."""


class SettingsObject(TypedDict):
    """What `stowplan show STEP --settings` prints."""

    schema: Literal["stowplan/settings/1"]
    """The name and the version of this schema."""
    pipeline: str
    """The pipeline."""
    step: str | None
    """The step; null for the settings of the pipeline."""
    settings: list[SettingObject]
    """All settings; of one that is a table, each key."""


class ChainObject(TypedDict):
    """A requirement that leads to a package."""

    source: str
    """The source of the requirement."""
    requirement: str
    """The requirement."""
    packages: list[str]
    """The packages, from the one that is required to this one."""


class WhyObject(TypedDict):
    """What `stowplan why` prints."""

    schema: Literal["stowplan/why/1"]
    """The name and the version of this schema."""
    package: str
    """The package."""
    version: str | None
    """Its version; null if it is from a URL."""
    url: str | None
    """The URL or the commit that it is from; null if it is from an index."""
    chains: list[ChainObject]
    """Each requirement that leads to it."""


class ThroughObject(TypedDict):
    """One way in which something reaches an image."""

    text: str
    """The way, in words."""
    file: str | None
    """The file that says so; null if no setting does."""
    line: int | None
    """Its line, from 1."""


class ReachObject(TypedDict):
    """One image that is reached."""

    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    image: str
    """The name of the image."""
    steps: list[str]
    """The steps that run in it."""
    through: list[ThroughObject]
    """The ways in which it is reached."""
    builds: bool
    """Whether a change builds the image anew."""
    layers: list[str]
    """Its layers that are built anew then, in their order."""


class ReadingObject(TypedDict):
    """One thing that a name stands for."""

    kind: str
    """What it is: `package`, `apt-package`, `file`, `variable`, `parent-image`, `setting`, `integration`,
    `secret` or `index`."""
    name: str
    """Its name as it is written in plans."""
    reaches: list[ReachObject]
    """The images that it reaches."""


class ImpactObject(TypedDict):
    """What `stowplan impact` prints."""

    schema: Literal["stowplan/impact/1"]
    """The name and the version of this schema."""
    name: str
    """The name that was asked about."""
    readings: list[ReadingObject]
    """Each thing that has this name."""


class FieldObject(TypedDict):
    """One field that counts in the hash of an image."""

    path: list[str]
    """Where it is in the image."""
    value: str
    """Its value in words; of a variable a fingerprint. Empty for a layer, whose fields come next."""
    origin: Annotated[str, Origin]
    """Where the value comes from."""
    file: str | None
    """The file of the setting, or the Dockerfile."""
    line: int | None
    """Its line, from 1."""


class AgainstObject(TypedDict):
    """An image that was there, and what differs from it."""

    name: str
    """The image, and the record or the build that has it."""
    hash: str
    """Its image hash."""
    changes: list[ChangeObject]
    """What differs from it; empty if it is the same image."""


class ExplainObject(TypedDict):
    """What `stowplan explain` prints."""

    schema: Literal["stowplan/explain/1"]
    """The name and the version of this schema."""
    image: str
    """The name of the image."""
    hash: str
    """Its image hash."""
    spec_hash: str
    """Its spec hash."""
    steps: list[str]
    """The steps that run in it."""
    fields: list[FieldObject]
    """All that counts, in the order of the layers."""
    against: AgainstObject | None
    """The closest image that was there, or the one that was asked for; null if none was there."""


class NewerObject(TypedDict):
    """Something that the lock pins and of which there is something newer."""

    name: str
    """The parent image, the package, or `uv`."""
    kind: str
    """`image`, `package` or `installer`."""
    before: str
    """The digest or version that is locked."""
    after: str
    """The digest or version that exists now."""
    images: int
    """How many images have it; an image on several stacks counts once."""
    platform: str | None
    """The platform that it was looked up for."""
    same_manifest: bool
    """True if an index was published again, and its image for this platform is the same."""


class UnknownObject(TypedDict):
    """Something of which it cannot be told whether there is anything newer."""

    name: str
    """Its name."""
    reason: str
    """Why it cannot be told."""


class OutdatedObject(TypedDict):
    """What `stowplan outdated` prints."""

    schema: Literal["stowplan/outdated/1"]
    """The name and the version of this schema."""
    outdated: list[NewerObject]
    """The pins for which something newer exists."""
    unknown: list[UnknownObject]
    """What could not be told."""


class BuiltImageObject(TypedDict):
    """One image of a build."""

    name: str
    """The name of the image."""
    steps: list[str]
    """The steps that run in it."""
    hash: str
    """Its image hash."""
    spec_hash: str
    """Its spec hash."""
    reference: str
    """Its reference."""
    builds: bool
    """False if it is a parent image that is used as it is."""
    digest: str | None
    """The digest in the registry; null if it is not in one."""
    platform: str | None
    """The platform."""
    code: str | None
    """The digest of the files of the project in it; null without any."""
    bootstrap: bool
    """Whether the file is in it that runs steps."""
    result: str
    """What came of it when the build was made."""
    seconds: float
    """How long that took."""


class AnyBuildObject(TypedDict):
    """One build."""

    id: str
    """The id of the build."""
    created: str
    """When it was made, in UTC."""
    used: str
    """When it was made or used last."""
    seconds: float
    """How long it took to make."""
    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    plan: str
    """The hash of the plan."""
    commit: str | None
    """The commit of the checkout, if it is known."""
    engine: str
    """`docker` or `podman`; empty if none was needed."""
    contains_code: bool
    """Whether an image has files of the project."""
    images: list[BuiltImageObject]
    """The images that steps run in."""


class BuildObject(AnyBuildObject):
    """What `stowplan builds show` prints."""

    schema: Literal["stowplan/build/2"]
    """The name and the version of this schema."""


class BuildsObject(TypedDict):
    """What `stowplan builds list` prints."""

    schema: Literal["stowplan/builds/2"]
    """The name and the version of this schema."""
    total: int
    """How many builds there are on all pages."""
    page: int
    """The number of this page."""
    limit: int | None
    """How many builds are on a page; null without `--limit`."""
    builds: list[AnyBuildObject]
    """The builds, in the order that was asked for."""


class AnyRecordObject(TypedDict):
    """The record of an image."""

    id: int
    """The number of the record."""
    finished: str
    """When it ended, in UTC."""
    seconds: float
    """How long it took."""
    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    image: str
    """The name of the image."""
    hash: str
    """Its image hash."""
    status: str
    """`built`, `pushed`, `reused` (found, and no record had it), `failed` or `interrupted`."""
    engine: str
    """`docker` or `podman`; empty if none was needed."""
    reference: str
    """The reference of the image."""
    digest: str | None
    """The digest in the registry; null if it is not in one."""
    pushed: bool
    """Whether the registry has it under the reference."""
    error: str | None
    """Why it failed, in words."""


class RecordObject(AnyRecordObject):
    """What `stowplan builds show NUMBER` prints."""

    schema: Literal["stowplan/record/1"]
    """The name and the version of this schema."""


class RecordsObject(TypedDict):
    """What `stowplan builds list --images` prints."""

    schema: Literal["stowplan/records/1"]
    """The name and the version of this schema."""
    records: list[AnyRecordObject]
    """The records, newest first."""


class PrunedImageObject(TypedDict):
    """One local image that nothing refers to."""

    engine: str
    """`docker` or `podman`."""
    reference: str
    """The reference."""
    result: str
    """`removed`, `absent` (was gone before), `foreign` (another image is there, which stays), `shared` (a
    record that stays has it) or `failed`."""
    size: int
    """Its bytes, all layers counted; 0 if it was not removed."""
    error: list[ProblemObject] | None
    """Why it could not be removed."""


class PruneObject(TypedDict):
    """What `stowplan builds prune` prints."""

    schema: Literal["stowplan/prune/1"]
    """The name and the version of this schema."""
    dry_run: bool
    """Whether nothing was removed."""
    locks: list[str]
    """The locks that were looked at: `stowplan.lock`, and a branch for each other one."""
    images: list[PrunedImageObject]
    """The local images."""
    records: list[int]
    """The numbers of the records."""
    builds: list[str]
    """The ids of the builds."""
    size: int
    """The bytes of the removed images."""
    kept: dict[str, int]
    """How many records and builds stay, by the reason."""


class OutputObject(TypedDict):
    """One output of a step."""

    name: str
    """The name of the output."""
    object: str
    """Its name in the artifact store."""
    serializer: str
    """How it is written."""
    type: str
    """The Python type that was written."""
    sha256: str
    """The SHA-256 of the object."""
    bytes: int
    """Its size."""


class AnyStepObject(TypedDict):
    """What came of one step."""

    step: str
    """The step."""
    status: Annotated[str, StepStatus]
    """What came of it; `skipped` because a step before it did not succeed."""
    started: str | None
    """When it began, in UTC; null if it did not."""
    seconds: float
    """How long it took."""
    image: str | None
    """The reference of its image; null without a container."""
    exit_code: int | None
    """Its exit code; null if it ended without one."""
    outputs: list[OutputObject]
    """Its outputs."""
    log: str | None
    """The file with all that it wrote, from the root of the project."""


class RanStepObject(AnyStepObject):
    """What came of one step now."""

    kept: bool
    """Whether an earlier attempt of the run had finished it."""
    notes: list[str]
    """What should be known about it, in words."""
    error: list[ProblemObject] | None
    """Why it failed."""
    traceback: str | None
    """The traceback of its error."""


class RecordedStepObject(AnyStepObject):
    """What is recorded of one step."""

    error: str | None
    """Why it failed, in words."""


class AnyRunObject(TypedDict):
    """One run."""

    run: str
    """The id of the run."""
    pipeline: str
    """The pipeline."""
    stack: str
    """The stack."""
    status: str
    """`succeeded`, `failed` or `interrupted`; of a run that goes on, `running`."""
    started: str
    """When it began, in UTC."""
    seconds: float
    """How long it took, all attempts together."""
    engine: str
    """`docker` or `podman`; `local` without containers."""
    plan: str | None
    """The plan hash; null without containers."""
    build: str | None
    """The id of the build; null without containers."""
    commit: str | None
    """The commit of the code, if it is known."""


class RunObject(AnyRunObject):
    """What `stowplan run` prints."""

    schema: Literal["stowplan/run/1"]
    """The name and the version of this schema."""
    steps: list[RanStepObject]
    """Its steps, in the order of the pipeline."""


class RecordedRunObject(AnyRunObject):
    """What is recorded of one run."""

    steps: list[RecordedStepObject]
    """The steps that have ended."""


class RunsObject(TypedDict):
    """What `stowplan runs list` and `stowplan runs show` print."""

    schema: Literal["stowplan/runs/1"]
    """The name and the version of this schema."""
    runs: list[RecordedRunObject]
    """The runs, newest first."""


class AnyIntegrationObject(TypedDict):
    """One integration."""

    name: str
    """What to write into `required_integrations`."""
    requirements: list[str]
    """The requirements that it installs."""
    apt_packages: list[str]
    """The Debian packages that it installs."""
    own: bool
    """Whether it is one of this project."""


class IntegrationObject(AnyIntegrationObject):
    """What `stowplan integrations show` prints."""

    schema: Literal["stowplan/integration/1"]
    """The name and the version of this schema."""


class IntegrationsObject(TypedDict):
    """What `stowplan integrations list` prints."""

    schema: Literal["stowplan/integrations/1"]
    """The name and the version of this schema."""
    integrations: list[AnyIntegrationObject]
    """The integrations, by name."""


class ComponentObject(TypedDict):
    """One component of a stack."""

    kind: str
    """The kind: `orchestrator`, `artifact_store`, …"""
    flavor: str | None
    """The flavor."""
    name: str | None
    """Of a step operator, its name."""
    uri: str | None
    """Of a container registry or an artifact store, where it is."""
    default_repository: str | None
    """Of a container registry, the repository of images that name none."""
    requirements: list[str]
    """The requirements of the component itself."""
    apt_packages: list[str]
    """Its Debian packages."""


class AnyStackObject(TypedDict):
    """One stack."""

    name: str
    """Its name."""
    active: bool
    """Whether it is the one of commands without `--stack`."""
    components: list[ComponentObject]
    """Its components."""


class StackObject(AnyStackObject):
    """What `stowplan stack show` prints."""

    schema: Literal["stowplan/stack/1"]
    """The name and the version of this schema."""


class StacksObject(TypedDict):
    """What `stowplan stack list` prints."""

    schema: Literal["stowplan/stacks/1"]
    """The name and the version of this schema."""
    stacks: list[AnyStackObject]
    """The stacks of the project."""


class CheckObject(TypedDict):
    """One thing that was looked at."""

    code: str
    """What was looked at: stable."""
    subject: str
    """The same for people."""
    state: Annotated[str, State]
    """How it is."""
    found: str
    """What was found."""
    fix: str | None
    """What mends it."""


class DoctorObject(TypedDict):
    """What `stowplan doctor` prints."""

    schema: Literal["stowplan/doctor/1"]
    """The name and the version of this schema."""
    works: bool
    """Whether all that the project needs works."""
    checks: list[CheckObject]
    """What was looked at."""


PRINTED: Final = (
    PlanObject,
    ImageObject,
    LockObject,
    DiffObject,
    ApplyObject,
    SettingsObject,
    WhyObject,
    ImpactObject,
    ExplainObject,
    OutdatedObject,
    BuildsObject,
    BuildObject,
    RecordsObject,
    RecordObject,
    PruneObject,
    RunObject,
    RunsObject,
    IntegrationsObject,
    IntegrationObject,
    StacksObject,
    StackObject,
    DoctorObject,
    ErrorObject,
)
"""Those that stand alone."""
