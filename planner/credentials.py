"""What of a text is a credential, as far as its shape and the name before it tell.

Owns the shapes that issuers of tokens gave them, and the names that people give to credentials; and the parts
of a secret that have to be hidden by themselves: of a file with a password in it, a program shows the
password and not the file. Refuses to be sure: what looks like a credential is enough for a note.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Final

from planner.values import EnvTemplate

__all__ = ["credential_parts", "has_credential_shape", "looks_like_credential"]

# As their issuers document them, so that scanners find them. Patterns are text until they are used.
_SHAPES: Final = "|".join((
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}",
    r"gl[a-z]{2,6}-[A-Za-z0-9_-]{20,}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}",  # Slack
    r"hooks\.slack\.com/services/[A-Z0-9]+/[A-Z0-9]+/[A-Za-z0-9]{10,}",
    r"pypi-[A-Za-z0-9_-]{16,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"AIza[0-9A-Za-z_-]{35}",  # Google
    r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}",  # Stripe
    r"sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic and others
    r"dckr_pat_[A-Za-z0-9_-]{20,}|dop_v1_[0-9a-f]{40,}",
    r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}={0,2}",  # Azure
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # RFC 7519
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
))  # fmt: skip
_SHAPE: Final = rf"(?<![A-Za-z0-9])(?:{_SHAPES})"
# The last words of a name: `TOKEN_FILE` and `SECRET_NAME` say where something is, or what it is called.
_CALLED: Final = (
    r"(?i)(?:.*[_.-])?(?:[a-z]*token|[a-z]*secret|[a-z]*password|passwd|passphrase|pwd|credentials?"
    r"|(?:api|access|private|secret|account|encryption|signing|license)[_.-]?key|[a-z]*apikey)"
)
_SHORTEST: Final = 8
# Bits for each character. Words of a language have less, and so have names, numbers and versions.
_LEAST_ENTROPY: Final = 2.9
# Where something is, and not what it is; and words that stand for nothing.
_HARMLESS: Final = (
    r"(?:~|\.{0,2})/.*|[a-z]+://[^@]*|[0-9.,:_-]+|(?i:true|false|none|null|yes|no|default|disabled|enabled)"
)


def has_credential_shape(text: str) -> bool:
    """Whether a text holds a token of one of the known issuers, a JSON web token or a private key."""
    return re.search(_SHAPE, text) is not None


def looks_like_credential(name: str, value: EnvTemplate) -> bool:
    """Whether a variable, or another value with a name, looks like a credential.

    >>> looks_like_credential("HF_TOKEN", EnvTemplate("${HF_TOKEN}"))
    True
    >>> looks_like_credential("TOKENIZERS_PARALLELISM", EnvTemplate("false"))
    False
    """
    if any(re.fullmatch(_CALLED, each) for each in value.variables):
        return True
    if has_credential_shape(value.text):
        return True
    if not re.fullmatch(_CALLED, name):
        return False
    # What stands for a value that is not here has the name of a credential.
    return bool(value.variables) or _is_random(value.text)


def _is_random(text: str) -> bool:
    """Whether a text is one that nobody would write who means a word, a number or a place."""
    if len(text) < _SHORTEST or " " in text or re.fullmatch(_HARMLESS, text):
        return False
    if not (re.search("[0-9]", text) or (re.search("[a-z]", text) and re.search("[A-Z]", text))):
        return False
    counts = Counter(text)
    entropy = -sum(count / len(text) * log2(count / len(text)) for count in counts.values())
    return entropy >= min(_LEAST_ENTROPY, log2(len(text)))


# A value after a name that says what it is: netrc, INI files, JSON, YAML, .npmrc, .env.
_NAMED: Final = (
    r"(?i)(?:password|passwd|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth)\w{0,40}"
    r"[\"']?(?:\s*[=:]\s*|\s+)[\"']?([^\s\"']{4,})"
)
_WORD: Final = r"[^\s\"'`,;(){}\[\]<>]{8,}"
_HOST: Final = r"(?i)(?:[a-z]+://)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?::[0-9]+)?(?:/[a-z0-9_./-]*)?"


def credential_parts(value: str) -> Iterator[str]:
    """The parts of a secret that a program may show by themselves, and the secret as a whole.

    Hosts, paths and plain words stay: a log without them says nothing.

    >>> list(credential_parts("machine pypi.corp login me password s3cr3t"))[1:]
    ['s3cr3t']
    """
    yield value
    if len(value.split()) == 1 and not re.search("[:={@]", value):
        return
    yield from re.findall(_NAMED, value)
    for word in re.findall(_WORD, value):
        # Behind a name and its sign stands a value.
        for part in (word, *re.split(r"[=:@]", word)):
            if len(part) >= _SHORTEST and re.search("[0-9A-Z]", part) and not re.fullmatch(_HOST, part):
                yield part
