"""How much is taken from an archive and from a network, and how long that is waited for."""

from __future__ import annotations

PACKED_BYTES = 4 << 30
"""What is downloaded of one archive."""

UNPACKED_BYTES = 8 << 30
"""What comes out of one archive, headers included."""

MEMBERS = 500_000
"""Files, directories and links in one archive."""

HEADER_BYTES = 1 << 20
"""One header of an archive, such as a long name: it is in memory at once."""

CHUNK_BYTES = 1 << 20
"""What is read at once."""

DOWNLOAD_SECONDS = 900.0
"""A download, with all its tries."""

SILENCE_SECONDS = 30.0
"""A connection from which nothing more is heard."""

TRIES = 5
"""How often a download is tried. One that brought something new does not count."""

PAUSE_SECONDS = 1.0
"""The wait before the second try; each further wait is twice as long."""

LONGEST_PAUSE_SECONDS = 60.0
"""The longest wait, also where a server asks for a longer one."""
