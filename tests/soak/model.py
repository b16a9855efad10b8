"""What each answer may be, and the book of all that was asked.

A request says what it may be answered while nothing is wrong (`Expect`). What is wrong, from when to when, stands in
`Weather`; for each kind of it `GRACE` says what may come besides. Whatever else comes is a violation. Leaves the sums
over audit log, Karbor and ledger to `sums`.
"""

import array
import collections
import dataclasses
import json
import time

# How long a kind of trouble still shows once it has ended: connections are made anew, addresses tried again.
TAIL = 3.0
# The most of a violation's request that is printed.
REPRO_BYTES = 400

NOT_SENT = "was not carried out and can be repeated"


@dataclasses.dataclass(frozen=True)
class Grace:
    """What a kind of trouble excuses in requests that need Karbor, or the ledger."""

    statuses: frozenset = frozenset()
    may_cut: bool = False


GRACE = {
    # Connections to Karbor break, while other addresses are there.
    "breaks": Grace(frozenset({502}), True),
    # One address takes requests and says nothing.
    "silence": Grace(frozenset({502, 504}), True),
    # No address answers, or none is believed to.
    "down": Grace(frozenset({502, 503, 504}), True),
    # The ledger does not answer; what that excuses depends on the request.
    "ledger": Grace(),
    # A setting is being changed; see `shots.turned`.
    "reload": Grace(),
    # Another process takes over; see `Book.cut`.
    "upgrade": Grace(),
    # We ourselves had no processor: timeouts of any kind.
    "stall": Grace(frozenset({408, 502, 503, 504}), True),
}


class Weather:
    """What is wrong, and since when."""

    def __init__(self):
        self.spans = collections.deque(maxlen=1000)

    def begin(self, kind):
        span = [kind, time.monotonic(), float("inf")]
        self.spans.append(span)
        return span

    def end(self, span, tail=TAIL):
        span[2] = time.monotonic() + tail

    def was(self, kind, begin, end):
        """Notes what is over already."""
        self.spans.append([kind, begin, end])

    def during(self, begin):
        """The kinds between then and now."""
        now = time.monotonic()
        return {kind for kind, since, until in self.spans if since <= now and until >= begin}


# What is said of the audit line of a request.
NO_LINE, ONE_LINE, PERHAPS = range(3)
# What of it may reach Karbor: anything; no more than questions; nothing; it itself, exactly once.
ANYTHING, QUESTIONS, NOTHING, ONCE = range(4)
VERDICTS = ["", "admitted", "warned", "would-have-been-denied", "denied", "refused", "upstream-failed", "refused|upstream-failed"]


@dataclasses.dataclass(frozen=True)
class Expect:
    """The answer while nothing is wrong, and what the request needs of others."""

    statuses: frozenset
    # The rule or refusal of a fault that is ours.
    code: str = ""
    # Whether Karbor is asked.
    karbor: bool = True
    # What the ledger does: `hold` a map, `fill` an answer, `find`.
    ledger: str = ""
    line: int = NO_LINE
    verdict: str = ""
    # Whether it changes something, and so may not be sent twice.
    writes: bool = False


class Book:
    """Everything that was sent, by number, and what came of it."""

    def __init__(self, seed):
        self.seed, self.weather = seed, Weather()
        # By number: what the audit log and Karbor's notes are held against in the end.
        self.line, self.reach, self.verdict = array.array("B"), array.array("B"), array.array("B")
        self.status, self.shown = array.array("H"), array.array("B")
        # Ids that the proxy gave to requests whose own it could not read.
        self.given = {}
        self.counts = collections.Counter()
        self.kinds = collections.Counter()
        # Project → checkpoint → map, of what must be there.
        self.kept = collections.defaultdict(dict)
        # Those of them that a client looks after, and those that may still be there although they were to be deleted.
        self.owned, self.undead = set(), collections.deque()
        # Heads that the proxy may have refused, under ids of its own, without their clients' hearing of it.
        self.unheard = 0
        self.violations, self.wrong = [], 0
        self.slowest = 0.0

    def number(self):
        """The next number."""
        self.line.append(PERHAPS)
        self.reach.append(ANYTHING)
        self.verdict.append(0)
        self.status.append(0)
        self.shown.append(0)
        return len(self.line) - 1

    def mark(self, number):
        """It as a request id."""
        return f"req-{self.seed & 0xFFFFFFFF:08x}-0000-4000-8000-{number:012x}"

    def number_of(self, mark):
        """The other way round; nothing if it is none of ours."""
        begins = f"req-{self.seed & 0xFFFFFFFF:08x}-0000-4000-8000-"
        return int(mark[len(begins) :], 16) if mark.startswith(begins) else None

    def violated(self, what, shot=None):
        self.wrong += 1
        if len(self.violations) < 50:
            after = sorted(self.weather.during(time.monotonic() - 10))
            text = f"{what} [{', '.join(after) or 'nothing wrong'}]"
            if shot is not None:
                repro = shot.repro()[:REPRO_BYTES]
                text = f"#{shot.number} {shot.kind}: {text}\n    repeat: {repro!r}"
            self.violations.append(text)

    def sent(self, shot, shows=False):
        """`shows` says whether its client showed a certificate."""
        self.counts["sent"] += 1
        self.kinds[shot.kind] += 1
        # Until its answer says otherwise.
        expect = shot.expect
        self.reach[shot.number] = ANYTHING if expect.karbor else NOTHING
        self.shown[shot.number] = shows

    def left(self, shot, lines=PERHAPS):
        """Its client gave it up."""
        self.counts["left by their clients"] += 1
        self.line[shot.number] = lines

    def turned_back(self, shot):
        """Its connection ended in good order before its turn came."""
        self.counts["turned back"] += 1
        self.unheard += shot.raw is not None

    def cut(self, shot, begun, error):
        """Its connection ended without a whole answer."""
        during = self.weather.during(begun)
        # Begun for the proxy is not begun for the client: a head may be given up before it is written.
        excused = shot.expect.karbor and any(GRACE[kind].may_cut for kind in during)
        # Half a head is no request, and the process that ends does not wait for the rest of it.
        excused |= shot.expect.code == "head-timeout" and "upgrade" in during
        if not excused:
            self.violated(f"the connection ended {error}", shot)
        self.unheard += shot.expect.code == "head-timeout"
        self.counts["cut by a fault"] += 1

    def answered(self, shot, reply, begun):
        """Holds an answer against the model; whether it was one of those without trouble."""
        self.counts["answered"] += 1
        self.counts[f"{reply.status}"] += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)
        expect, during = shot.expect, self.weather.during(begun)
        number, code = shot.number, reply.code() if reply.status >= 400 else ""
        self.status[number] = reply.status
        if reply.status in expect.statuses and (reply.status < 400 or code == expect.code):
            self._as_expected(shot, reply)
            wrong = shot.check(self, reply, during) if shot.check else None
            if wrong:
                self.violated(wrong, shot)
            return True
        if not self._is_excused(expect, reply, code, during):
            wanted = "/".join(str(status) for status in sorted(expect.statuses))
            said = reply.body[:300].decode("latin-1")
            self.violated(f"{reply.status} {code}, not {wanted} {expect.code}: {said}", shot)
        self.counts["excused by a fault"] += 1
        self.line[number] = ONE_LINE if expect.line == ONE_LINE or code else NO_LINE
        self.verdict[number] = VERDICTS.index("refused|upstream-failed")
        if NOT_SENT.encode() in reply.body or code:
            self.reach[number] = QUESTIONS
        return False

    def _as_expected(self, shot, reply):
        expect, number = shot.expect, shot.number
        self.line[number] = expect.line
        if expect.verdict:
            self.verdict[number] = VERDICTS.index(expect.verdict)
        if reply.status < 400 and expect.writes:
            self.reach[number] = ONCE
        elif expect.code and expect.karbor:
            self.reach[number] = QUESTIONS
        if expect.line == ONE_LINE and reply.request_id:
            # Where its own id was not read, the line has only the one of the answer.
            self.given[reply.request_id] = number

    @staticmethod
    def _is_excused(expect, reply, code, during):
        if "ledger" in during and code == "ledger":
            return reply.status == 503 and expect.ledger in ("hold", "find")
        return not code and expect.karbor and any(reply.status in GRACE[kind].statuses for kind in during)

    def keeps(self, project, checkpoint, entries):
        self.kept[project][checkpoint] = entries

    def leaves(self, project, checkpoint):
        """It is about to be deleted."""
        self.kept[project].pop(checkpoint, None)
        self.owned.discard(checkpoint)

    def fits(self, shown, entries):
        """Why a shown `extra_info` is not the map that is kept; nothing if it is."""
        try:
            shown = json.loads(shown)
        except (TypeError, ValueError):
            return f"extra_info is no JSON: {shown!r}"
        missing = {key for key, value in entries.items() if shown.get(key) != value}
        others = set(shown) - set(entries) - {"created_by"}
        if missing or others:
            return f"the map that was kept is not the one shown: missing {sorted(missing)}, too many {sorted(others)}"
        return None
