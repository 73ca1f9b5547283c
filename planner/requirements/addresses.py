"""The grammar of names and addresses of package indexes."""

from __future__ import annotations

from typing import Final

from planner.logins import HOST_PORT

__all__ = ["INDEX_NAME", "INDEX_URL"]

INDEX_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
INDEX_URL: Final = rf"(?i:https?://{HOST_PORT}(?:[/?#]\S*)?)"
