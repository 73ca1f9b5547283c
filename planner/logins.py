"""Logins in URLs, references and headers: what is one, and a text without them.

Every error, log and record passes here. The time it takes grows with the length of a text and not faster,
whatever the text is. Refuses to know where a text comes from.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["HIDDEN", "HOST_PORT", "holds_login", "quoted", "typed", "without_logins"]

HIDDEN: Final = "***"
HOST_PORT: Final = r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"

# Patterns are text until they are used: most texts have neither an `@` nor a parameter.
_WORD: Final = r"\S+"
_AUTHORITY: Final = r"[^/?#\"<>]*"
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*(?=:$)"
# A port, where a user without a colon in the name would have a password.
_PORT: Final = r"\[|[^:]*(?::\d{0,5}(?:[/?#\"'<>`),;\]}]|$)|$)"
# Of the planning machine in settings, `${NAME}`, or of a shell.
_VARIABLE: Final = r"\$(?:\w+|\{\w+\})"
_ONLY_VARIABLES: Final = rf"(?:[^:@]*:)?(?:{_VARIABLE})+"
_ACCOUNT: Final = r"[\w.-]{1,64}"
# A login of these schemes is a token even without a password. Others, like ssh, name an account.
_TOKENS: Final = r"(?i:(?:.*[+.-])?(?:https?|ftps?)|)"
_REFERENCE: Final = r"(?<![^'\"`(=,\[{<])[^:/@'\"`(=,\[{<]+:(?!/)[^@/]+@(?!sha\d+:)(?=[\w-][\w.-]*(?::\d+)?/)"
_LONGEST_REFERENCE: Final = 4096
_PARAMETER: Final = (
    r"(?i)(?<=[?&;#])("
    r"[\w.-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|pwd|(?:api|access|private|account)[_-]?key|credential"
    r"|signature)[\w.-]{0,40}|auth|authorization|jwt|key|pass|sig"
    rf")=(?!(?:{_VARIABLE})+(?![^\s&#\"'<>`]))[^\s&#\"'<>`]+"
)
# As clients print it when they are asked to be verbose.
_HEADER: Final = (
    r"(?i)(authorization[\"']{0,2}\s{0,4}[:=]\s{0,4}[\"']?(?:(?:basic|bearer|token|negotiate)\s{1,4})?)"
    r"[^\s\"',;}]+"
)


def without_logins(text: str) -> str:
    """A text without what is or may be a login.

    That is what stands before the `@` of a URL or a reference, the value of a parameter or of an
    `Authorization` header.

    Names of accounts without a password stay in URLs of ssh and the like, and so do logins that are
    `${VARIABLES}` alone.
    """
    if "@" in text:
        text = " ".join([_words(part) if "@" in part else part for part in text.split(" ")])
    if "=" in text and ("?" in text or "&" in text or "#" in text or ";" in text):
        text = re.sub(_PARAMETER, rf"\1={HIDDEN}", text)
    if "uthorization" in text or "UTHORIZATION" in text:
        text = re.sub(_HEADER, rf"\1{HIDDEN}", text)
    return text


def _words(text: str) -> str:
    return re.sub(_WORD, lambda match: _word(match[0]), text)


def _word(word: str) -> str:
    """A word without logins. It is gone through once, however many URLs look like being in it."""
    start, last = word.find("//"), word.rfind("@")
    if last < 0:
        return word
    if start < 0:
        return re.sub(_REFERENCE, f"{HIDDEN}@", word) if len(word) <= _LONGEST_REFERENCE else word
    parts, done = [], 0
    while start >= 0 and start + 2 <= last:
        begin = start + 2
        authority = re.compile(_AUTHORITY).match(word, begin)
        end = authority.end() if authority else begin
        at = word.rfind("@", begin, end)
        if not re.compile(_PORT).match(word, begin, end + 1) and at < last and not _is_fine(word, begin, at):
            # A password may hold what should have been written otherwise.
            at = last
        if at >= 0 and not _is_fine(word, begin, at):
            parts += [word[done:begin], HIDDEN]
            done = at
        start = word.find("//", max(end, done))
    return "".join(parts) + word[done:]


def _is_fine(word: str, begin: int, at: int) -> bool:
    """Whether what stands before an `@` is no secret."""
    if at < 0:
        return False
    login = word[begin:at]
    if re.fullmatch(_ONLY_VARIABLES, login):
        return True
    scheme = re.search(_SCHEME, word[max(0, begin - 34) : begin - 2])
    return not re.fullmatch(_TOKENS, scheme[0] if scheme else "") and bool(re.fullmatch(_ACCOUNT, login))


def holds_login(text: str) -> bool:
    """Whether a text has something in it that `without_logins` hides."""
    return without_logins(text) != text


_CLEAN: Final = rf"(?:git@)?{HOST_PORT}(?:/|$|[?#'`\s][^@]*$)"
# Each is wider than a URL on purpose: what is shown may lose a path, and must not show a password.
_TYPED: Final = (
    (rf"(?s)//(?!{_CLEAN}).*@", f"//{HIDDEN}@"),
    (rf"(?s)//(?!{_CLEAN}|\*\*\*@|/).*", f"//{HIDDEN}"),
    # Only the URL of a version control system has an @ in its path: the revision.
    (r"(?<!\+http:)(?<!\+https:)(?<!\+ssh:)(?<!\+git:)//\S*@", f"//{HIDDEN}@"),
    (r"[^\s:/@'\"]*:(?!//|[0-9]+/)\S*@(?!sha\d+:)", f"{HIDDEN}@"),
)
_LONGEST_TYPED: Final = 1000


def typed(text: str) -> str:
    """What somebody typed where it does not belong, fit to be shown: wider than `without_logins`.

    Whatever may be a user or a password before an `@` is `***`, and of a long text only its first word is
    left.
    """
    if len(text) > _LONGEST_TYPED:
        text = re.split(r"[:/@]", text[:100], maxsplit=1)[0] + "…"
    if "@" in text or "//" in text:
        for pattern, mask in _TYPED:
            text = re.sub(pattern, mask, text)
    return without_logins(text)


def quoted(text: str) -> str:
    """What somebody `typed`, in quotes."""
    return repr(typed(text))
