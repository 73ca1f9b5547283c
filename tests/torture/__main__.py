"""`make torture`: runs campaigns at full length, prints each case that failed, and a table at the end.

    python -m tests.torture [--seed N] [--count N] [--only NUMBER] [--work DIR] [CAMPAIGN ...]

A run that was stopped goes on where it was: the verdicts are in DIR/journal.jsonl. Exits with 1 if anything
was torn, leaked, hung or answered with a traceback.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.torture.campaign import Campaign, Journal, drawn, run, table

# Each module has a CAMPAIGN.
CAMPAIGNS: Final[tuple[str, ...]] = ("kills", "runs", "hostile", "registry", "engines")


def main() -> int:
    """Run the campaigns that are named, by default all."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=", ".join(CAMPAIGNS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="how many cases of each campaign")
    parser.add_argument("--only", type=int, help="run this case alone, and keep no journal")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "stowplan-torture")
    asked = parser.parse_args()
    # What a campaign set up is taken down however it is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if unknown := set(asked.campaigns) - set(CAMPAIGNS):
        parser.error(f"no campaign {', '.join(sorted(unknown))}: there are {', '.join(CAMPAIGNS)}")
    asked.work.mkdir(parents=True, exist_ok=True)
    journal = Journal(asked.work / "journal.jsonl")
    results = []
    for name in asked.campaigns or CAMPAIGNS:
        campaign: Campaign = import_module(f"tests.torture.{name}").CAMPAIGN
        if asked.only is not None:
            (asked.work / name).mkdir(exist_ok=True)
            campaign.prepare(asked.work / name)
            try:
                verdict = campaign.case(asked.only, drawn(f"{asked.seed}:{name}", asked.only))
            finally:
                campaign.close()
            print(verdict)
            results.append((name, [verdict]))
            continue
        count = asked.count or campaign.count
        for number, verdict in run(campaign, asked.work / name, journal, seed=asked.seed, count=count):
            if not verdict.good:
                print(f"{name} {number}: {verdict}", flush=True)
            elif sys.stderr.isatty():
                print(f"\r{name} {number + 1}/{count}", end="", file=sys.stderr, flush=True)
        done = journal.read(name, asked.seed)
        results.append((name, [done[number] for number in sorted(done) if number < count]))
    print(table(results))
    return 0 if all(verdict.good for _, verdicts in results for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
