"""Makes a failing case smaller while it fails in the same way, and keeps cases in files."""
import ast
import pprint
import re
import time

from words import Case, Request

TRIALS = 1500
# Only these do not lean on what the case was meant to be, so that any bytes may go.
OF_ANY_BYTES = 'bypass', 'reached', 'bodiless', 'unseen', 'dead'
FIELDS = 'data', 'probe', 'must', 'head', 'call', 'entries', 'asks', 'streams', 'lasts'


class Shrinker:
    """`fails` plays a case and gives the kinds of failure that come of it."""

    def __init__(self, fails, kind, seconds):
        self.fails, self.kind = fails, kind
        self.trials, self.deadline = TRIALS, time.monotonic() + seconds

    def still(self, case):
        if self.trials <= 0 or time.monotonic() > self.deadline:
            return False
        self.trials -= 1
        return self.kind in self.fails(case)

    def shrink(self, case):
        case = self.fewer_requests(case)
        if self.kind in OF_ANY_BYTES or self.kind.startswith('proxy '):
            size = None
            while size != len(case.data()):
                size = len(case.data())
                for at in range(len(case.requests)):
                    case = self.shorter_head(case, at)
                    case = self.shorter_body(case, at)
                    case = self.fewer_bytes(case, at)
        return case

    def fewer_requests(self, case):
        at = 0
        while at < len(case.requests) and len(case.requests) > 1:
            smaller = Case(case.name, case.requests[:at] + case.requests[at + 1:])
            if self.still(smaller):
                case = smaller
            else:
                at += 1
        return case

    def with_data(self, case, at, data):
        """The case with these bytes for a request, if it still fails."""
        old = case.requests[at]
        new = Request(data, old.probe, head=old.head, asks=old.asks, streams=old.streams)
        smaller = Case(case.name, case.requests[:at] + [new] + case.requests[at + 1:])
        return smaller if self.still(smaller) else None

    def shorter_head(self, case, at):
        line = 1
        while True:
            lines = case.requests[at].data.split(b'\r\n')
            if line >= len(lines) or not lines[line]:
                return case
            smaller = self.with_data(case, at, b'\r\n'.join(lines[:line] + lines[line + 1:]))
            if smaller:
                case = smaller
            else:
                line += 1

    def shorter_body(self, case, at):
        """Takes pieces out of the body and corrects the length, where it was right."""
        head, gap, body = case.requests[at].data.partition(b'\r\n\r\n')
        length = re.compile(rb'(?i)(content-length:\s*)%d\b' % len(body))
        if not body or not length.search(head):
            return case
        for size in sizes(len(body)):
            place = 0
            while place < len(body):
                less = body[:place] + body[place + size:]
                corrected = re.sub(rb'(?i)(content-length:\s*)%d\b' % len(body), rb'\g<1>%d' % len(less), head)
                smaller = self.with_data(case, at, corrected + gap + less)
                if smaller:
                    case, head, body = smaller, corrected, less
                else:
                    place += size
        return case

    def fewer_bytes(self, case, at):
        for size in sizes(min(64, len(case.requests[at].data))):
            place = 0
            while place < len(case.requests[at].data):
                data = case.requests[at].data
                smaller = self.with_data(case, at, data[:place] + data[place + size:])
                if smaller:
                    case = smaller
                else:
                    place += size
        return case


def sizes(size):
    while size > 1:
        size = (size + 1) // 2
        yield size


def save(path, case, failure):
    """Writes a case for `--replay`: a Python literal."""
    content = {'kind': failure.kind, 'why': failure.text, 'name': case.name, 'cuts': tuple(case.cuts),
               'requests': [{field: getattr(request, field) for field in FIELDS} for request in case.requests]}
    path.write_text(pprint.pformat(content, width=160, sort_dicts=False) + '\n')


def load(path):
    content = ast.literal_eval(path.read_text())
    return Case(content['name'], [Request(**request) for request in content['requests']], content['cuts'])
