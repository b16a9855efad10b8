"""Plays cases on one stage, batch by batch, and looks at what came of them."""
import collections
import itertools

import client
import generator
import verdicts
from words import Request

# Large, because the end of each batch waits for the slowest connection.
BATCH = 8000


class Worker:
    """Every `step`th case of a seed, from `first` on."""

    def __init__(self, stage, seed, first, step, batch=BATCH):
        self.stage, self.seed, self.batch = stage, seed, batch
        self.indexes = itertools.count(first, step)
        self.client = client.Client(stage.address)
        self.tally = collections.Counter()

    def run_batch(self, most):
        """Plays new cases with about so many requests; the failures."""
        cases, requests = [], 0
        while requests < min(most, self.batch):
            case = generator.case(self.seed, next(self.indexes))
            requests += len(case.requests)
            cases.append(case)
        failures = self.play(cases, tallied=True)
        for failure in failures:
            if failure.kind == 'count' and failure.case is None:
                failure.case = self.find(cases)
        return failures

    def play(self, cases, tallied=False):
        """What is wrong with these cases, each counted once."""
        played = list(self.client.play(cases))
        records, counts = self.stage.settle()
        ledger = verdicts.Ledger(played, records, hasty=self.stage.generation == 'uwsgi')
        failures = list(ledger.failures())
        if not self.stage.alive():
            failures.append(verdicts.Failure('dead', 'the proxy or Karbor has ended'))
        if not failures:
            failure = verdicts.of_counts(*counts, ledger.late(), len(records))
            failures += [failure] if failure else []
        if tallied:
            self.count(played, records, counts, ledger)
        return failures

    def find(self, cases):
        """The case that alone makes the numbers differ, if one does."""
        while len(cases) > 1:
            halves = cases[:len(cases) // 2], cases[len(cases) // 2:]
            cases = next((half for half in halves if any(self.play(half))), ())
        return cases[0] if cases else None

    def count(self, played, records, counts, ledger):
        tally = self.tally
        for one in played:
            tally['connections'] += 1
            tally['unsettled'] += not one.settled
            tally['hung'] += one.hung
            for request in one.case.requests:
                tally['requests'] += 1
                tally['fine'] += request.must == Request.FORWARDED
                tally['to be denied'] += request.must == Request.DENIED
            for answer in one.answers:
                tally["Karbor's answers" if answer.number is not None else "the proxy's answers"] += 1
            # The end of a case is no request.
            tally["the proxy's answers"] -= len(one.answers) > len(one.case.requests)
        for record in records:
            for call in record.get('calls', ()):
                tally[call['kind']] += 1
        tally['sent'] += counts[0]
        tally['seen by Karbor'] += len(records)
        tally['given up'] += counts[1]
        tally['refused late'] += ledger.late()
        tally['cut by Karbor'] += sum(len(one.cut) for one in played)
