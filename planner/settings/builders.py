"""The builders, and which of them have all of the options that are given.

Owns the words that refuse an option to a builder that does not have it, at plan time as at build time.
Refuses to know which engine builds with which of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from planner.custom import Custom
from planner.errors import Problem
from planner.settings.build_options import BuildOptions
from planner.settings.cache_mount import CacheMount
from planner.settings.option_table import BUILDERS, OPTIONS

__all__ = [
    "builders_for",
    "builders_knowing",
    "cache_refusals",
    "dockerfile_refusals",
    "network_refusals",
    "refusals",
    "secret_refusals",
]


# The builders that mount something into a command.
_MOUNTING: Final = f"{BUILDERS['buildkit']} or {BUILDERS['podman']}"


def builders_for(options: BuildOptions) -> frozenset[str]:
    """The builders that have all of these options: of `buildkit`, `classic` and `podman`."""
    return frozenset(builder for builder in BUILDERS if not refusals(options, builder))


def refusals(options: BuildOptions, builder: str) -> tuple[Problem, ...]:
    """What keeps a builder from taking these options: one problem for each that it does not have.

    A value that asks for nothing is one that every builder takes. KeyError for no builder.
    """
    asked = options.by_name
    problems = []
    for name, value in asked.items():
        takers = OPTIONS[name].takers(value)
        if builder not in takers:
            shown = name if takers == OPTIONS[name].builders else f"{name} = {value!r}"
            having = " or ".join(said for taker, said in BUILDERS.items() if taker in takers)
            found = f"{BUILDERS[builder]} has no {shown}"
            problems.append(
                Problem.at(("build_options", name), found, f"leave it out, or build with {having}")
            )
    if "memory_swap" in asked and "memory" not in asked:
        problems.append(
            Problem.at(("build_options", "memory_swap"), "is memory and swap together", "set memory, too")
        )
    if "dns" in asked and asked.get("network") == "none":
        found = "there is no name server in reach without a network"
        problems.append(Problem.at(("build_options", "dns"), found, 'leave out dns, or network = "none"'))
    if "no_cache_filter" in asked and options.value("no_cache"):
        found = "no_cache already builds every stage again"
        problems.append(Problem.at(("build_options", "no_cache_filter"), found, "keep one of the two"))
    return tuple(problems)


def secret_refusals(names: Iterable[str], builder: str) -> tuple[Problem, ...]:
    """What keeps a builder from giving secrets to commands. KeyError for no builder."""
    said = BUILDERS[builder]
    if builder != "classic":
        return ()
    found = f"{said} gives no secrets to commands"
    return tuple(Problem.at(("secrets", name), found, f"build with {_MOUNTING}") for name in names)


def builders_knowing(custom: Custom) -> frozenset[str]:
    """The builders that know all of a custom Dockerfile: of `buildkit`, `classic` and `podman`."""
    return frozenset(builder for builder in BUILDERS if not dockerfile_refusals(custom, builder))


def network_refusals(builder: str) -> tuple[Problem, ...]:
    """What keeps a builder from giving commands the certificates of the machine. KeyError for no builder."""
    said = BUILDERS[builder]
    if builder != "classic":
        return ()
    found = f"{said} gives no certificates to commands"
    return (Problem.at("machine_network", found, f"leave it out, or build with {_MOUNTING}"),)


def dockerfile_refusals(custom: Custom, builder: str) -> tuple[Problem, ...]:
    """What keeps a builder from building a custom Dockerfile: one problem for each thing it does not know."""
    if builder == "buildkit":
        return ()
    missing = {what: line for what, line in custom.reach.buildkit.items() if not _knows(builder, what)}
    having = [
        said
        for each, said in BUILDERS.items()
        if each != builder and all(_knows(each, what) for what in missing)
    ]
    return tuple(
        Problem(
            custom.place(line),
            f"{BUILDERS[builder]} does not know {what}",
            f"leave it out, or build with {' or '.join(having)}",
            "dockerfile-builder",
        )
        for what, line in missing.items()
    )


# What other builders than BuildKit know of what only BuildKit knew once, as seen from Docker 26.1 and Podman
# 4.3. Both leave `# syntax=` aside.
_KNOWN: Final = {
    "classic": ("# syntax=",),
    "podman": ("# syntax=", "RUN --mount=", "COPY --chmod", "ADD --chmod", "variables of the platform"),
}


def _knows(builder: str, what: str) -> bool:
    return builder == "buildkit" or what.startswith(_KNOWN[builder])


def cache_refusals(mount: CacheMount, builder: str) -> tuple[Problem, ...]:
    """What keeps a builder from keeping this cache between builds. KeyError for no builder."""
    said, path = BUILDERS[builder], "python_package_installer_cache_mount"
    if builder == "classic":
        found = f"{said} keeps no cache between builds"
        return (Problem.at(path, found, f"leave it out, or build with {_MOUNTING}"),)
    if builder == "podman" and mount.sharing == "private":
        found = f"{said} has no cache with sharing=private"
        return (Problem.at(path, found, f"leave sharing out, or build with {BUILDERS['buildkit']}"),)
    return ()
