"""What is left out of an image where nobody said so, and what in a tree looks as if it should have been.

Owns three lists of names, each judged by name alone: the rules of a project without an ignore file, the
files of stowplan itself, and the names under which secrets and history are usually found. Refuses to leave
anything out of a tree: whoever asks for one says by which rules.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from planner.files.ignore import IgnoreRules
from planner.files.tree import Kind, Tree, decode_node

__all__ = ["DEFAULT_PATTERNS", "OWN_FILES", "default_rules", "suspicious"]

# In no context, whatever an ignore file says: they change without the code changing, or say what is planned.
OWN_FILES: Final = (".stowplan", "stowplan.lock", "stowplan.toml")

# What programs write beside the code and git does not have, so that it would move the hash from one checkout
# to the next, and what holds secrets. Not among these, as they are somebody's package or product: `env`,
# `build`, `dist`, `lib`; `venv` is left out at the root only. What is taken back in stands before the names
# of directories: nothing below those comes back, and a walk need not enter them.
DEFAULT_PATTERNS: Final = (
    "**/.env.*",
    "!**/.env.example",
    "!**/.env.sample",
    "!**/.env.template",
    "**/.env",
    # History.
    "**/.git",
    "**/.hg",
    "**/.svn",
    # Environments: an image has its own.
    "**/.venv",
    "venv",
    "**/.tox",
    "**/.nox",
    "**/node_modules",
    # What Python and its tools keep for the next run.
    "**/__pycache__",
    "**/*.py[co]",
    "**/*.egg-info",
    "**/.mypy_cache",
    "**/.ruff_cache",
    "**/.pytest_cache",
    "**/.hypothesis",
    "**/.ipynb_checkpoints",
    "**/.coverage",
    "**/.stowplan",
    # What editors and desktops leave behind: backups, locks, unsaved text.
    "**/.idea",
    "**/.vscode",
    "**/.DS_Store",
    "**/.*.sw[op]",
    "**/*~",
    "**/.#*",
    "**/#*#",
)


@cache
def default_rules() -> IgnoreRules:
    """The rules of a project without an ignore file: read when one is met."""
    return IgnoreRules(DEFAULT_PATTERNS)


_HISTORY: Final = frozenset({".git", ".hg", ".svn"})
# By name only, and only what is rarely anything else: a *.pem is mostly a certificate, so one that is a key
# has to say so. Each with a part that a node holds if it holds such a name: looking for that in the nodes of
# 50,000 files is ten times as fast as reading them.
_SECRETS: Final = {
    part: rf"(?s:.*/)?(?:{path})"
    for part, path in {
        b".env": r"\.env(?:\.(?!(?:example|sample|template)\Z)[^/]*)?",
        b"id_": r"id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?",
        b".pem": r"(?:[^/]*[-_.])?(?:key|private)\.pem",
        b".p12": r"[^/]*\.p12",
        b".pfx": r"[^/]*\.pfx",
        b"netrc": r"[._]netrc",
        b".pypirc": r"\.pypirc",
        b".pgpass": r"\.pgpass",
        b".git-credentials": r"\.git-credentials",
        b"credentials": r"(?:application_default_)?credentials\.json|\.aws/credentials",
        b"client_secret": r"client_secret[^/]*\.json",
        b"config.json": r"\.docker/config\.json",
    }.items()
}
# One search for all parts takes a third of the time of one for each.
_ANY_SECRET: Final = re.compile(b"|".join(map(re.escape, _SECRETS)))


def suspicious(tree: Tree) -> tuple[str, ...]:
    """The paths that are most likely secrets or history, sorted: files, and the directory of a history.

    Told from names alone, so that an innocent file may be among them: enough for a note, not for an error.
    """
    found = []
    for directory, node in tree.nodes.items():
        *above, last = directory.split("/")
        if not _HISTORY.isdisjoint(above):
            continue
        if last in _HISTORY:
            found.append(directory)
        elif _ANY_SECRET.search(node):
            patterns = [pattern for part, pattern in _SECRETS.items() if part in node]
            for name, kind, _ in decode_node(node):
                path = f"{directory}/{name}" if directory else name
                if kind is not Kind.DIRECTORY and any(re.fullmatch(each, path) for each in patterns):
                    found.append(path)
    return tuple(sorted(found, key=str.encode))
