"""The commands about what was built: builds list, show and export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from attrs import asdict

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.group import Group
from executor.cli.options import options, project_root
from executor.cli.output import print_json, print_lines, print_markdown, print_table, print_yaml
from executor.cli.render.text import steps_text
from executor.cli.times import since_option
from executor.errors import UsageError
from executor.records.builds import SORTS, BuildPage, BuildQuery, NamePattern
from executor.records.documents import build_data
from executor.records.store import Record, Records
from executor.workflow.build_files import is_build_file, named_build, write_build
from planner.build import Build, BuiltImage

__all__ = ["COMMANDS"]

_HERE = dict.fromkeys(("list", "show", "export"), __name__)
_REMOVING = dict.fromkeys(("delete", "prune"), "executor.cli.commands.pruning")


@click.group(cls=Group, homes={**_HERE, **_REMOVING})
def builds() -> None:
    """List, show, export and delete builds."""


@click.command(
    "list",
    cls=Command,
    examples=(("stowplan builds list --since 7d", "The builds of the last week."),),
)
@click.option(
    "--pipeline",
    metavar="NAME",
    help="Only builds of this pipeline: its name, or startswith:…, contains:… or endswith:….",
)
@click.option("--stack", metavar="NAME", help="Only builds on this stack.")
@click.option("--engine", metavar="NAME", help="Only builds of this engine.")
@click.option(
    "--since",
    callback=since_option,
    metavar="TIME",
    help="Only builds made since this time (UTC): 2026-11-01, 7d, 12h.",
)
@click.option(
    "--contains-code/--no-code", default=None, help="Only builds with, or without, files of the project."
)
@click.option(
    "--sort",
    type=click.Choice([sign + name for name in SORTS for sign in ("", "-")]),
    default="-created",
    show_default=True,
    metavar="[-]COLUMN",
    help=f"Column to sort by; - before it reverses the order: {', '.join(SORTS)}.",
)
@click.option("--limit", type=click.IntRange(1), help="Show at most this many.")
@click.option(
    "--page",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Which page to show, with --limit builds on each.",
)
@click.option("--images", is_flag=True, help="List the records of images instead, including failures.")
@options("project", "output-data")
def builds_list(
    pipeline: str | None,
    stack: str | None,
    engine: str | None,
    since: str | None,
    contains_code: bool | None,
    sort: str,
    limit: int | None,
    page: int,
    images: bool,
    project: Path | None,
    output: str,
) -> None:
    """List the builds, newest first."""
    if page > 1 and limit is None:
        raise click.UsageError("--page without --limit: add --limit, the number of builds on a page")
    records = Records(project_root(project))
    pattern = NamePattern.parse(pipeline) if pipeline else None
    skip = (page - 1) * (limit or 0)
    if images:
        if any(each is not None for each in (stack, engine, since, contains_code)) or sort != "-created":
            raise click.UsageError("--images takes only --pipeline, --limit and --page: leave out the others")
        _show_records(records.all(pattern, limit, skip), output, everything=pipeline is None)
        return
    query = BuildQuery(pattern, stack, engine, since, contains_code, sort, limit, skip)
    _show_page(records.builds(query), query, page, output)


def _show_page(found: BuildPage, query: BuildQuery, page: int, output: str) -> None:
    if output in ("json", "yaml"):
        data = {
            "schema": "stowplan/builds/2",
            "total": found.total,
            "page": page,
            "limit": query.limit,
            "builds": [{k: v for k, v in build_data(each).items() if k != "schema"} for each in found.builds],
        }
        (print_json if output == "json" else print_yaml)(data)
        return
    heads = ["id", "created", "pipeline", "stack", "images", "code", "engine", "seconds"]
    rows = [
        [
            each.id, _time(each.created), each.pipeline, each.stack, str(len(each.images)),
            _word(each.contains_code), each.engine, f"{each.seconds:.1f}",
        ]
        for each in found.builds
    ]  # fmt: skip
    asked = (query.pipeline, query.stack, query.engine, query.since, query.contains_code)
    everything = all(each is None for each in asked)
    # What a narrow terminal can do without, first what matters least.
    _show_table(
        heads,
        rows,
        output,
        ["seconds", "engine", "code", "images", "created", "stack"],
        everything=everything,
    )
    if found.total > len(rows) and output == "text" and query.limit is not None:
        pages = -(-found.total // query.limit)
        print_lines([f"page {page} of {pages}, {found.total} builds"], err=True)


def _show_records(found: Sequence[Record], output: str, *, everything: bool) -> None:
    if output in ("json", "yaml"):
        data = {"schema": "stowplan/records/1", "records": [asdict(record) for record in found]}
        (print_json if output == "json" else print_yaml)(data)
        return
    heads = ["record", "finished", "status", "image", "stack", "hash", "engine", "seconds"]
    rows = [
        [
            str(record.id), _time(record.finished), record.status, record.image, record.stack,
            record.hash.removeprefix("sha256:")[:12], record.engine, f"{record.seconds:.1f}",
        ]
        for record in found
    ]  # fmt: skip
    _show_table(
        heads, rows, output, ["seconds", "engine", "stack", "finished", "hash"], everything=everything
    )


def _show_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    output: str,
    spare: Sequence[str],
    *,
    everything: bool,
) -> None:
    if output == "markdown":
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(table_markdown(heads, rows))
    elif rows:
        print_table(heads, rows, spare=spare)
    else:
        print_lines(["nothing was built yet" if everything else "nothing matches"])


@click.command(
    "show",
    cls=Command,
    examples=(("stowplan builds show", "The newest build."),),
)
@click.argument("build", required=False, shell_complete=names_of("build"))
@options("project", "output-data")
def builds_show(build: str | None, project: Path | None, output: str) -> None:
    """Show a build, by id or its first characters, or the record of an image, by number or image hash.

    Default: the build that was used last.
    """
    records = Records(project_root(project))
    build = build or _last(records)
    record = None if is_build_file(build) else next(iter(records.find(build)), None)
    if record is not None:
        data = asdict(record)
        whole = {"schema": "stowplan/record/1", **data}
        facts = {"record": str(record.id)} | {
            name: _word(value) for name, value in data.items() if name != "id" and value not in (None, "")
        }
    else:
        found = named_build(records, build)
        whole, facts = build_data(found), _facts(found)
    match output:
        case "json":
            print_json(whole)
        case "yaml":
            print_yaml(whole)
        case "markdown":
            from executor.cli.render.markdown import facts_markdown  # noqa: PLC0415  # only what is printed

            print_markdown(facts_markdown(facts))
        case _:
            _show_facts(facts)


def _last(records: Records) -> str:
    """The id of the build that was used last."""
    last = records.builds(BuildQuery(sort="-used", limit=1)).builds
    if not last:
        raise UsageError.of("command line", "nothing was built yet", "make a build with `stowplan build`")
    return last[0].id


def _show_facts(facts: Mapping[str, str]) -> None:
    width = max(10, *map(len, facts))
    for name, value in facts.items():
        first, *more = value.split("\n")
        print_lines([f"{name:<{width}} {first}", *(f"{'':<{width}} {line.expandtabs()}" for line in more)])


def _facts(build: Build) -> dict[str, str]:
    """What there is to say of a build, by its name."""
    facts = {
        "build": build.id,
        "created": _time(build.created),
        "used": _time(build.used),
        "seconds": f"{build.seconds:.1f}",
        "pipeline": build.pipeline,
        "stack": build.stack,
        "plan": str(build.plan),
        "commit": build.commit or "",
        "engine": build.engine,
        "code": "included" if build.contains_code else "not included",
        **{f"image {image.name}": _image_words(image) for image in build.images},
    }
    return {name: value for name, value in facts.items() if value}


def _image_words(image: BuiltImage) -> str:
    """Where an image is, what runs in it, and what came of it."""
    used_by = f"{steps_text(image.steps)}, " if image.steps else ""
    return f"{image.pinned}  {used_by}{image.result}, {image.seconds:.1f} s"


def _time(text: str) -> str:
    """A time in UTC, shorter."""
    return text.replace("+00:00", "Z")


def _word(value: object) -> str:
    """A value in words."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


@click.command(
    "export",
    cls=Command,
    examples=(("stowplan builds export 1f2e3d build.json", "Name a build in other clones."),),
)
@click.argument("build", shell_complete=names_of("build"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options("project")
def builds_export(build: str, file: Path, project: Path | None) -> None:
    """Export a build to a file (.json, .yaml or .yml) that --build takes in other clones."""
    if not is_build_file(file.name):
        raise UsageError.of(str(file), "does not end in .json, .yaml or .yml", "choose one of these endings")
    found = named_build(Records(project_root(project)), build)
    write_build(found, file)
    print_lines([f"exported build {found.id} to {file}"])


COMMANDS = {"builds": builds, "list": builds_list, "show": builds_show, "export": builds_export}
