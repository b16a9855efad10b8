"""The sums at the end: audit lines, what reached Karbor, the log, the ledger, and what the process holds.

Leaves answers to `model`, which has held each against what it may be when it came.
"""

import collections
import json
import time

import shots
from model import ANYTHING, NO_LINE, NOTHING, ONCE, ONE_LINE, QUESTIONS, VERDICTS

# Memory that is not given back is not lost: allocators keep some, caches fill. What leaks goes on growing.
RESIDENT_KIB = 24 << 10
# Longer than any timeout after which something idle is closed.
SETTLE_SECONDS = 20
# SQLite keeps the descriptor of a connection that was replaced for the next one, of each kind. On a server connections
# come and go, up to `ledger.connections`.
LEDGER_DESCRIPTORS = {"sqlite": 2, "mysql": 4}
SUBJECT = "CN=soak client"
# Levels and words of the log that the faults explain.
EXPLAINED = ("reload", "ledger", "configuration", "certificate")


def audit_lines(place):
    for path in sorted(place.folder.glob("audit.jsonl*")):
        with path.open(encoding="ascii") as lines:
            for line in lines:
                yield json.loads(line)


def hold_audit(book, place):
    """Each judged request has its line, and no other has one."""
    seen, strangers = bytearray(len(book.line)), 0
    total, verdicts = 0, collections.Counter()
    for line in audit_lines(place):
        total += 1
        verdicts[line["verdict"]] += 1
        number = book.number_of(line.get("global_request_id", ""))
        if number is None:
            number = book.given.get(line["request_id"])
        if number is None:
            strangers += 1
            continue
        seen[number] += 1
        hold_line(book, number, line)
    for number, lines in enumerate(seen):
        least, most = {NO_LINE: (0, 0), ONE_LINE: (1, 1)}.get(book.line[number], (0, 1))
        if not least <= lines <= most:
            book.violated(f"{book.mark(number)} has {lines} audit lines, not {least} to {most}; status {book.status[number]}")
    if strangers > book.unheard:
        book.violated(f"{strangers} audit lines are of requests that nobody sent, not {book.unheard} at most")
    return total, verdicts


def hold_line(book, number, line):
    """One line against the answer that its client got."""
    status, verdict = book.status[number], VERDICTS[book.verdict[number]]
    if status and line.get("status") != status:
        book.violated(f"{book.mark(number)} was answered {status}, and its audit line says {line}")
    if verdict and line["verdict"] not in verdict.split("|"):
        book.violated(f"{book.mark(number)} should be {verdict}: {line}")
    if status and (line.get("client_certificate") == SUBJECT) != bool(book.shown[number]):
        book.violated(f"{book.mark(number)} showed {'a' if book.shown[number] else 'no'} certificate: {line}")


def hold_karbor(book, place):
    """What reached Karbor: nothing that was denied, and no write twice."""
    writes, questions, foreign = bytearray(len(book.line)), bytearray(len(book.line)), 0
    with place.seen.open(encoding="ascii") as notes:
        for note in notes:
            mark, method, _ = note.split(" ")
            number = book.number_of(mark)
            if number is None:
                foreign += 1
            elif method in ("GET", "HEAD"):
                questions[number] = 1
            else:
                writes[number] += 1
    for number, count in enumerate(writes):
        reach = book.reach[number]
        wrong = {
            ANYTHING: count > 1, QUESTIONS: count > 0, NOTHING: count + questions[number] > 0, ONCE: count != 1,
        }
        if wrong[reach]:
            book.violated(f"{book.mark(number)} reached Karbor {count} times; answered {book.status[number]}")
    if foreign:
        book.violated(f"{foreign} requests reached Karbor under ids that are not ours")
    return sum(writes)


def hold_log(book, place):
    """No panic, no error that nothing explains."""
    levels = collections.Counter()
    for line in place.log.read_text().splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            book.violated(f"the log has a line that is none: {line[:300]}")
            continue
        levels[said["level"]] += 1
        text = line.lower()
        if "panic" in text or (said["level"] == "ERROR" and not any(word in text for word in EXPLAINED)):
            book.violated(f"the log says {line[:500]}")
    return levels


def hold_counts(book):
    """Requests sent are requests answered, or given up by whoever sent them, or excused."""
    ends = ("answered", "left by their clients", "turned back", "cut by a fault")
    ended = sum(book.counts[end] for end in ends)
    if ended != book.counts["sent"]:
        book.violated(f"{book.counts['sent']} requests were sent, and {ended} came to an end")


async def hold_maps(book, traffic):
    """Every map that was kept is shown, by the list of its project and one by one."""
    wire = await traffic.open("unix")
    checked = 0
    for project, kept in book.kept.items():
        shot = shots.listing(book, traffic.chance, project)
        shot.target = shot.target.partition("?")[0] + "?limit=1000"
        known = dict(kept)
        shot.check = lambda book, reply, during, known=known, project=project: shots.misfit(book, project, reply, known, True)
        await traffic.ask(wire, shot)
        for one in list(kept):
            wire = wire if wire.is_fresh else await traffic.open("unix")
            await traffic.ask(wire, shots.show(book, project, one, kept[one]))
        checked += len(kept)
    wire.close()
    return checked


class Held:
    """What the process holds when nobody asks anything."""

    def __init__(self, place):
        metrics = place.metrics()
        self.descriptors, self.threads, self.resident = place.proxy.descriptors(), place.proxy.threads(), place.proxy.resident()
        gauges = ('connections{side="downstream"}', 'connections{side="upstream"}', "requests_in_flight", "upstream_waiting_requests")
        self.files = place.proxy.files()
        self.gauges = {name: metrics.get(name) for name in gauges}

    def __str__(self):
        return f"{self.descriptors} descriptors, {self.threads} threads, {self.resident / 1024:.1f} MiB resident"


def settle(place, like=None):
    """Waits until nothing is under way, and, with `like`, until no more is held than then."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        held = Held(place)
        idle = not any(held.gauges.values())
        if (idle and (like is None or not excess(place, like, held))) or time.monotonic() > deadline:
            return held
        time.sleep(0.5)


def excess(place, before, after):
    """What is held that was not: files by name, and threads."""
    more = collections.Counter(after.files) - collections.Counter(before.files)
    name = "socket" if place.ledger_way else f"{place.folder}/ledger.sqlite"
    if more[name] <= LEDGER_DESCRIPTORS[place.ledger.partition(":")[0]]:
        more.pop(name, None)
    more["threads"] = max(0, after.threads - before.threads)
    return +more


def hold_resources(book, place, before, after):
    for name, value in after.gauges.items():
        if value:
            book.violated(f"{name} is {value} when nothing is under way")
    if more := excess(place, before, after):
        book.violated(f"before: {before}; after: {after}; more are {dict(more)}")
    if after.resident > before.resident + RESIDENT_KIB:
        book.violated(f"resident memory grew by more than {RESIDENT_KIB >> 10} MiB. Before: {before}; after: {after}")
