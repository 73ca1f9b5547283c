"""Text that requirements may not hold: credentials, variables, control characters.

Owns the search for them. Refuses to let a credential reach a value or an error, and to expand a variable.
"""

from __future__ import annotations

import re

from planner.errors import Place, PlannerError, Problem
from planner.logins import holds_login, typed

__all__ = ["PRIVATE_INDEX", "fault", "refuse_controls", "refuse_unreadable"]

# str.splitlines, and so pip, breaks lines at some of these: what is a comment to one reader would be a
# requirement to the other.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_VARIABLE = re.compile(r"\$\{\w*\}")

_WITH_USER = r"(?P<scheme>[A-Za-z][\w+.-]{0,20})://(?P<user>[^/?#\s]*)@(?P<host>[^/?#\s]*)"

PRIVATE_INDEX = "remove them; name the index in package_indexes, and the secret that has its login"


def fault(where: Place, found: str, fix: str) -> PlannerError:
    """One problem as an error, with credentials masked."""
    return PlannerError([Problem(where, typed(found), fix)])


def refuse_controls(text: str, where: Place) -> None:
    """PlannerError if `text` holds a control character."""
    if control := _CONTROL.search(text):
        raise fault(where, f"the control character {control[0]!r}", "remove it")


def refuse_unreadable(text: str, where: Place) -> None:
    """PlannerError if `text` holds a control character, a `${VARIABLE}` or a URL with credentials."""
    refuse_controls(text, where)
    if variable := _VARIABLE.search(text):
        raise fault(
            where,
            f"the variable {variable[0]}",
            "variables in requirements files are not supported; name the index in package_indexes, and the "
            "secret that has its login",
        )
    # Stricter than what may be shown: of other schemes an account is refused too, and so is `$NAME`, which no
    # installer expands.
    for match in re.finditer(_WITH_USER, text):
        # `git+ssh://git@host` names an account, not a secret: ssh keeps its keys elsewhere.
        if not (match["scheme"].lower().endswith("ssh") and re.fullmatch(r"[\w.-]+", match["user"])):
            raise fault(
                where, f"credentials in the URL {match['scheme']}://***@{match['host']}", PRIVATE_INDEX
            )
    if holds_login(text):
        raise fault(where, f"credentials in {text!r}", PRIVATE_INDEX)
