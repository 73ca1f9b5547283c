"""Why a step was not run: what was found and what to do, each with a code."""

from __future__ import annotations

# EX_TEMPFAIL and EX_CONFIG of sysexits.h.
TRY_AGAIN = 75
WRONG = 78


class Refused(Exception):
    """The bootstrap cannot run the step. `code` is stable, `found` and `fix` are for people.

    `exit_code` is TRY_AGAIN where the same may work later, else WRONG.
    """

    def __init__(self, code: str, found: str, fix: str, exit_code: int = WRONG) -> None:
        self.code = code
        self.found = found
        self.fix = fix
        self.exit_code = exit_code
        super().__init__(f"{found}: {fix}")


def reason(error: BaseException) -> str:
    """What an error of the system says, without the path, which is named beside it."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
