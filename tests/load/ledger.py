"""What the ledger costs: the proxy's time for a request, and what clients wait, beside a proxy without one.

Rounds of all proxies alternate, so that whatever else the machine does falls on each of them; a ratio is always
to the same round of the first. Every proxy has the settings as shipped but for its ledger, and for its patience
with it: where the disk stalls, that is to be seen, and no 503.
"""

import contextlib
import json
import os
import pathlib
import statistics
import tempfile
import time

import ledgers
import loop
import stage

LISTED = 1000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
CREATORS = (1, 16, 64)
LISTERS = 4
# So many of the listed checkpoints share a trigger.
TRIGGERED = 5


class Bench:
    """One kind of request at all proxies, round by round."""

    def __init__(self, binary, rounds, seconds):
        self.binary, self.rounds, self.seconds = binary, rounds, seconds
        self.results = []

    def run(self, what, proxies, requests):
        taken, synced = {name: [] for name in proxies}, []
        order = list(proxies)
        for at in range(self.rounds):
            synced.append(_sync())
            # Another first each time.
            for name in order[at % len(order):] + order[: at % len(order)]:
                proxy, processes = proxies[name]
                taken[name].append(loop.drive(proxy.port, requests, self.seconds, processes))
        self._tell(what, taken, synced)

    def _tell(self, what, taken, synced):
        print(f"\n{what}\n\nTo write 4 KiB and sync it took {_spread(synced, 2)} ms beside it.\n")
        print("| ledger | µs of CPU | × first | threads, µs | database, µs | p50 ms | p99 ms | requests/s |")
        print("|---|--:|--:|---|--:|--:|--:|--:|", flush=True)
        first = next(iter(taken.values()))
        for name, rounds in taken.items():
            ours = [_ours(one) for one in rounds]
            ratios = [own / _ours(base) for own, base in zip(ours, first)]
            kinds = sorted({kind for one in rounds for kind in one.used} - {"mariadbd"})
            threads = {kind: statistics.median(one.each(kind) for one in rounds) for kind in kinds}
            database = statistics.median(one.each("mariadbd") for one in rounds)
            row = {
                "what": what,
                "sync_ms": synced,
                "ledger": name,
                "cpu_us": ours,
                "ratio": ratios,
                "threads_us": threads,
                "database_us": database,
                "p50_ms": [one.quantile(0.5) for one in rounds],
                "p99_ms": [one.quantile(0.99) for one in rounds],
                "rate": [one.rate() for one in rounds],
            }
            self.results.append(row)
            named = ", ".join(f"{kind} {used:.0f}" for kind, used in threads.items() if used >= 1)
            cells = [_spread(row["cpu_us"], 0), _spread(ratios, 2), named, f"{database:.0f}" if database else ""]
            cells += [_spread(row["p50_ms"], 2), _spread(row["p99_ms"], 1), _spread(row["rate"], 0)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _ours(one):
    return one.each() - one.each("mariadbd")


def _sync():
    """What the disk itself takes, in ms: in the folder where the ledgers are too."""
    took = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(20):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def _spread(values, digits):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle + f" ({min(values):.{digits}f}–{max(values):.{digits}f})"


@contextlib.contextmanager
def proxy(binary, karbor, place):
    """A proxy, and the processes whose time its requests take."""
    with stage.Proxy(binary, karbor.port, 'ledger.timeout = "1m"\n', **place) as started:
        processes = {"": started.process.pid}
        database = ledgers.server_process() if place["ledger"].startswith("mysql:") else None
        yield started, processes | ({"mariadbd": database} if database else {})


def creation(project, plan, at=0):
    """A creation with a map as the feature's own example has it."""
    kept = {
        "x-trigger-master--trigger-id": str(at // TRIGGERED),
        "x-trigger-master--environment": "prod" if at % 2 else "test",
        "karbor-created-by": "trigger",
    }
    body = json.dumps({"checkpoint": {"plan_id": plan, "extra-info": kept}}).encode()
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return stage.head("POST", stage.checkpoints(project), *fields, project=project) + body


def creations(bench, places):
    with contextlib.ExitStack() as stack:
        karbor = stack.enter_context(stage.StandIn(bench.binary))
        told = {"off": {"ledger": "off"}} | {name: places.new(name, "created") for name in places.engines()}
        proxies = {
            name: stack.enter_context(proxy(bench.binary, karbor, place)) for name, place in told.items()
        }
        plans = {stage.project(at): karbor.new_plan(stage.project(at)) for at in range(max(CREATORS))}
        requests = [creation(*one) for one in plans.items()]
        for number in CREATORS:
            what = f"Creation with 3 entries, {number} at once, each of a tenant of its own"
            bench.run(what, proxies, requests[:number])
        bench.run(f"Creation with 3 entries, {LISTERS * 4} at once, all of one tenant", proxies,
                  requests[:1] * (LISTERS * 4))


def lists(bench, places, most):
    """A list filled with as many maps; then filtered lists by the size of the ledger."""
    with contextlib.ExitStack() as stack:
        karbor = stack.enter_context(stage.StandIn(bench.binary))
        project = stage.project(0)
        plan = karbor.new_plan(project)
        off = stack.enter_context(proxy(bench.binary, karbor, {"ledger": "off"}))
        sizes = [size for size in SIZES if size <= most]
        told, proxies, kept = {}, {}, None
        for engine in places.engines():
            for size in sizes:
                name = f"{engine}, {size}"
                told[name] = places.new(engine, f"filled_{size}")
                proxies[name] = started, _ = stack.enter_context(proxy(bench.binary, karbor, told[name]))
                if kept is None:
                    for at in range(LISTED):
                        stage.ask(started.port, creation(project, plan, at))
                    kept = ledgers.export(bench.binary, started, told[name])
                ledgers.fill(bench.binary, started, told[name], size, kept)
        listing = stage.head("GET", stage.checkpoints(project), project=project)
        ends = tuple({f", {size}" for size in (sizes[0], sizes[-1])})
        some = {"off": off} | {name: proxies[name] for name in proxies if name.endswith(ends)}
        for name, (started, _) in some.items():
            found = stage.ask(started.port, listing).count(b"x-trigger-master--trigger-id")
            if found != (0 if name == "off" else LISTED):
                raise RuntimeError(f"{name}: {found} maps in the list")
        for number in (1, LISTERS):
            bench.run(f"List of {LISTED} checkpoints with their maps, {number} at once", some, [listing] * number)
        searches = {
            "one value, 5 found": ("extra-info.x-trigger-master--trigger-id=7", TRIGGERED),
            "a value that half of all have, a page of 100": (
                "extra-info.x-trigger-master--environment=prod&limit=100", 100),
        }
        for what, (query, expected) in searches.items():
            search = stage.head("GET", f"{stage.checkpoints(project)}?{query}", project=project)
            for name, (started, _) in proxies.items():
                found = stage.ask(started.port, search).count(b"x-trigger-master--trigger-id")
                if found != expected:
                    raise RuntimeError(f"{name}: {found} checkpoints found")
            bench.run(f"Filtered list of {LISTED} by size of the ledger: {what}", proxies, [search] * LISTERS)


def run(binary, rounds, seconds, most, file):
    bench = Bench(binary, rounds, seconds)
    print(f"{rounds} rounds of {seconds} s of each proxy, in turn: median (least–most)")
    with ledgers.Places() as places:
        if "mariadb" not in places.engines():
            print("without MariaDB: tests/ledger/mariadb tests/load/run ledger has one")
        creations(bench, places)
    if most:
        with ledgers.Places() as places:
            lists(bench, places, most)
    if file:
        pathlib.Path(file).write_text(json.dumps(bench.results, indent=1) + "\n")
