"""The modes of the bootstrap: `python bootstrap.pyz MODE …`.

A mode is a module that has `main`, which takes the arguments and gives the exit code. Only the one that is
asked for is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from .door import offer

MODES = ("describe", "run")


def main(arguments: list[str]) -> int:
    """Run a mode. 64 (EX_USAGE) for one that is not known."""
    if not arguments or arguments[0] not in MODES:
        sys.stderr.write("usage: bootstrap.pyz {} …\n".format("|".join(MODES)))
        return 64
    offer()
    return int(import_module("." + arguments[0], __package__).main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
