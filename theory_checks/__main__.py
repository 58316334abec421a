"""Runs every check, or those named: ``python -m theory_checks [--quick] [NAME ...]``; exits with 1 where one fails."""

import argparse
import sys
from time import perf_counter

from theory_checks import (
    binomial,
    certificates,
    checkers,
    compression,
    frontier_width,
    integrality,
    interval_tree,
    orders,
    pebbling,
    rotor,
    sandwich,
    sqrt_law,
    staging,
)
from theory_checks.claims import Check, ClaimFailed

CHECKS: dict[str, Check] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        binomial,
        sqrt_law,
        interval_tree,
        compression,
        pebbling,
        sandwich,
        orders,
        frontier_width,
        certificates,
        checkers,
        integrality,
        staging,
        rotor,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of claims and verdicts; 0 where all hold."""
    parser = argparse.ArgumentParser(prog="python -m theory_checks", description="Checks the claims of docs/theory.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"checks to run; all of: {', '.join(CHECKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller instances")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in CHECKS]
    if unknown:
        parser.error(f"there is no check {unknown[0]!r}; choose from {', '.join(CHECKS)}")
    failed = 0
    print(f"{'check':<15} {'instances':>9} {'seconds':>7}  verdict")
    for name in options.names or CHECKS:
        check = CHECKS[name]
        start = perf_counter()
        try:
            instances, verdict = str(check.check(not options.quick)), "holds"
        except ClaimFailed as error:
            instances, verdict = "-", f"FALSE: {error}"
            failed += 1
        print(f"{name:<15} {instances:>9} {perf_counter() - start:>7.1f}  {verdict}")
        print(f"    claim:  {check.CLAIM}\n    source: {check.SOURCE}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
