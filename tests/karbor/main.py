"""Starts the lab, runs the checks, stops the lab, says how it went."""
import argparse
import pathlib
import signal
import sys

import lab
from checks import Checks, World, denials, evidence, forms, ledger, outcomes, schedule, stances, together, unchanged, wire


def gather():
    """The checks in order. The schedule begins first: Karbor's trigger comes once a minute, and the rest fills it."""
    checks = Checks()
    schedule.begin(checks)
    unchanged.add(checks)
    denials.add(checks)
    forms.add(checks)
    wire.add(checks)
    stances.add(checks)
    ledger.add(checks)
    outcomes.add(checks)
    together.add(checks)
    schedule.end(checks)
    evidence.add(checks)
    return checks


def stopped_by(signum, _frame):
    raise SystemExit(128 + signum)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--proxy', type=pathlib.Path, required=True)
    parser.add_argument('--lab', type=pathlib.Path, required=True)
    parser.add_argument('--only', default=[''], nargs='+', metavar='WORDS',
                        help='only the checks whose title holds one of these')
    options = parser.parse_args()
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, stopped_by)

    running, passed, failed = lab.Lab(options.proxy, options.lab), 0, 1
    try:
        running.start()
        passed, failed = gather().run(World(running), options.only)
        codes = running.stop()
        if any(codes.values()):
            failed += 1
            print(f'FAIL  the proxies end when told to: exit codes {codes}')
        else:
            passed += 1
            print('ok    the proxies end when told to')
    except (lab.Broken, OSError) as problem:
        print(f'FAIL  the lab: {problem}')
    finally:
        running.stop()
        if failed:
            print(f'logs, audit file and configuration are kept in {running.state}')
        else:
            running.discard()
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
