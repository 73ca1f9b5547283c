"""What is wrong with a single statement, whatever stands around it: its keyword, its flags, its words.

The rules are those of github.com/moby/buildkit (`frontend/dockerfile/instructions/parse.go`). What the engine
says of the rest, such as the time of a HEALTHCHECK, is left to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from planner.dockerfiles.model import Statement
from planner.errors import did_you_mean

__all__ = ["HEREDOC", "KEYWORDS", "Fault", "statement_faults"]

Fault = tuple[str, str, str]
"""What was found, what to do, and the code."""

_SYNTAX: Final = "dockerfile-syntax"
_UNSUPPORTED: Final = "dockerfile-unsupported"

# The flags of each instruction; a flag has a value, is on or off, or may stand several times.
_VALUE, _SWITCH, _LIST = "value", "switch", "list"
_COPY: Final = {"chown": _VALUE, "chmod": _VALUE, "link": _SWITCH, "exclude": _LIST}
KEYWORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ADD": {**_COPY, "keep-git-dir": _SWITCH, "checksum": _VALUE, "unpack": _SWITCH},
    "ARG": {},
    "CMD": {},
    "COPY": {**_COPY, "from": _VALUE, "parents": _SWITCH},
    "ENTRYPOINT": {},
    "ENV": {},
    "EXPOSE": {},
    "FROM": {"platform": _VALUE},
    "HEALTHCHECK": dict.fromkeys(
        ("interval", "timeout", "start-period", "start-interval", "retries"), _VALUE
    ),
    "LABEL": {},
    "MAINTAINER": {},
    "ONBUILD": {},
    "RUN": {"mount": _LIST, "network": _VALUE, "security": _VALUE, "device": _LIST},
    "SHELL": {},
    "STOPSIGNAL": {},
    "USER": {},
    "VOLUME": {},
    "WORKDIR": {},
}
HEREDOC: Final = re.compile(r"[0-9]*<<-?[\t\v\f\r ]*[^<\s][^<]*")
_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9._-]*")
_ONE_WORD: Final = ("MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR")
# What a RUN may ask for beyond what its builder lets it do: it takes `--allow`, which nothing here gives.
_PRIVILEGES: Final = {
    "security": ("insecure", "a RUN that needs privileges is not supported"),
    "network": ("host", "a RUN in the network of the host is not supported"),
}


def statement_faults(statement: Statement) -> Iterator[Fault]:
    """All that is wrong with a statement by itself."""
    keyword = statement.keyword
    if keyword not in KEYWORDS:
        shown = keyword if len(keyword) <= 40 else keyword[:40] + "…"
        fix = did_you_mean(keyword, KEYWORDS, "see the Dockerfile reference for the instructions there are")
        yield f"unknown instruction {shown}", fix, _SYNTAX
        return
    yield from _flag_faults(statement)
    if keyword == "ONBUILD":
        yield from _trigger_faults(statement)
    elif not statement.words:
        yield f"{keyword} with nothing after it", _missing(keyword), _SYNTAX
    elif keyword == "FROM":
        yield from _from_faults(statement)
    elif keyword in ("ADD", "COPY"):
        yield from _copy_faults(statement)
    elif keyword == "RUN":
        yield from _run_faults(statement)
    elif keyword == "SHELL" and not statement.json:
        yield "SHELL is not a JSON array", 'write SHELL ["/bin/bash", "-c"]', _SYNTAX
    elif keyword == "HEALTHCHECK" and statement.words[0].upper() not in ("NONE", "CMD"):
        yield f"HEALTHCHECK {statement.words[0]}", "write HEALTHCHECK CMD … or HEALTHCHECK NONE", _SYNTAX
    elif keyword in ("ENV", "LABEL") and not all(statement.words[::2]):
        yield f"{keyword} with an empty name", f"write {keyword} NAME=value", _SYNTAX
    elif keyword == "ARG" and any(word.startswith("=") for word in statement.words):
        yield "ARG with an empty name", "write ARG NAME or ARG NAME=default", _SYNTAX


def _missing(keyword: str) -> str:
    if keyword == "FROM":
        return "name an image, a stage or scratch"
    if keyword in ("ADD", "COPY"):
        return "name what to copy, and where to"
    return "complete it, or remove it"


def _flag_faults(statement: Statement) -> Iterator[Fault]:
    known = KEYWORDS[statement.keyword]
    counted = Counter(flag.partition("=")[0][2:] for flag in statement.flags)
    for flag in statement.flags:
        name, equals, value = flag[2:].partition("=")
        kind = known.get(name)
        written = f"{statement.keyword} --{name}"
        if not flag.isascii():
            # The parser takes bytes for characters there.
            yield f"{written} with characters beyond ASCII", "write it in ASCII", _UNSUPPORTED
        elif kind is None:
            fix = did_you_mean(name, known, f"{statement.keyword} has no flags" if not known else None)
            yield f"unknown flag {written}", fix, _SYNTAX
        elif counted[name] > 1 and kind != _LIST:
            counted[name] = 0
            yield f"{written} twice", "keep one of them", _SYNTAX
        elif kind == _SWITCH and value.lower() not in ("", "true", "false"):
            yield f"{written}={value}", "write true or false", _SYNTAX
        elif not value and (equals or kind != _SWITCH):
            yield f"{written} without a value", f"write {written}=…", _SYNTAX


def _from_faults(statement: Statement) -> Iterator[Fault]:
    words = statement.words
    if len(words) == 1:
        return
    if len(words) != 3 or words[1].upper() != "AS":
        yield f"FROM with {len(words)} words", "write FROM IMAGE or FROM IMAGE AS NAME", _SYNTAX
        return
    name = words[2]
    if not _STAGE_NAME.fullmatch(name.lower()):
        fix = "begin with a letter, and use letters, digits, '.', '_' and '-'"
        yield f"a stage with the name {name!r}", fix, _SYNTAX
    elif name.lower() == "scratch":
        yield "a stage with the name scratch", "that is the empty image: give the stage another name", _SYNTAX


def _copy_faults(statement: Statement) -> Iterator[Fault]:
    keyword, words = statement.keyword, statement.words
    if len(words) < 2:
        yield f"{keyword} {words[0]} without a destination", f"write {keyword} SOURCE DESTINATION", _SYNTAX
    elif words[0].startswith("[") and words[-1].endswith("]") and not statement.json:
        fix = f'write {keyword} ["source", "destination"], with double quotes'
        yield f"{keyword} with what looks like a JSON array but is not one", fix, _SYNTAX
    elif HEREDOC.fullmatch(words[-1]):
        yield f"{keyword} to a heredoc", "name the destination last", _SYNTAX


def _run_faults(statement: Statement) -> Iterator[Fault]:
    for name, (value, found) in _PRIVILEGES.items():
        if statement.flag(name) == value:
            yield f"RUN --{name}={value}", f"{found}: remove the flag", _UNSUPPORTED
    if statement.flag("device") is not None:
        yield (
            "RUN --device",
            "devices are not supported while an image is built: remove the flag",
            _UNSUPPORTED,
        )


def _trigger_faults(statement: Statement) -> Iterator[Fault]:
    trigger = statement.trigger
    if trigger is None:
        yield "ONBUILD with nothing after it", _missing("ONBUILD"), _SYNTAX
    elif trigger.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        yield f"ONBUILD {trigger.keyword}", "ONBUILD takes any other instruction", _SYNTAX
    else:
        yield from statement_faults(trigger)
