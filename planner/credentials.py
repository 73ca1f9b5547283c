"""What of a text is a credential, as far as its shape tells.

Owns the parts of a secret that have to be hidden by themselves: of a file with a password in it, a program
shows the password and not the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["credential_parts"]

# A value after a name that says what it is: netrc, INI files, JSON, YAML, .npmrc, .env.
_NAMED: Final = re.compile(
    r"(?i)(?:password|passwd|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth)\w*"
    r"[\"']?\s*(?:[=:]|\s)\s*[\"']?([^\s\"']{4,})"
)
# A line of its own without a blank or a quote, or a part of one.
_WORD: Final = re.compile(r"[^\s\"'`,;(){}\[\]<>]{8,}")
_HOST: Final = re.compile(r"(?i)(?:[a-z]+://)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?::[0-9]+)?(?:/[a-z0-9_./-]*)?")


def credential_parts(value: str) -> Iterator[str]:
    """The parts of a secret that a program may show by themselves, and the secret as a whole.

    Hosts, paths and plain words stay: a log without them says nothing.

    >>> list(credential_parts("machine pypi.corp login me password s3cr3t"))[1:]
    ['s3cr3t']
    """
    yield value
    if len(value.split()) < 2 and not re.search("[:={@]", value):
        return
    for match in _NAMED.finditer(value):
        yield match[1]
    for match in _WORD.finditer(value):
        word = match[0]
        # Behind a name and its sign stands a value.
        for part in (word, *re.split(r"[=:@]", word)):
            if len(part) >= 8 and re.search("[0-9A-Z]", part) and not _HOST.fullmatch(part):
                yield part
