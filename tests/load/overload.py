"""Goodput at the load that can be carried, and at four times that load; what memory it takes, and who still answers.

Rounds of both alternate, so that whatever else the machine does falls on both.
"""

import contextlib
import http.client
import re
import statistics
import threading
import time

import crowd
import latency
import loop
import stage

# What Karbor carries: so many at once, so long each.
SLOTS, SECONDS = 8, 0.04
BODY = 100 << 10
# After so long a client has left, and what is still done for it is in vain.
PATIENCE = 4.0
TIMES = 4

# Small, so that budgets are met: 128 requests of the largest size.
SMALL = 'server.body_budget = "16 MiB"\nserver.max_connections = 2000\naudit.queue_lines = 1024\n'
# No bound that would be met.
UNBOUND = 'server.body_budget = "4 GiB"\nserver.max_requests = 1000000\nserver.max_connections = 20000\n'


class Watch:
    """Looks at the proxy while a crowd is there: memory, the admin side, and what only passes."""

    def __init__(self, proxy):
        self._proxy, self._over = proxy, threading.Event()
        self.resident, self.admin, self.passed, self.failed = 0, [], [], 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look, self._pass)]
        for thread in self._threads:
            thread.start()

    def _look(self):
        while not self._over.wait(0.2):
            self.resident = max(self.resident, self._proxy.resident())
            for page in ("/readyz", "/metrics"):
                self._ask(self._proxy.admin, page, self.admin)

    def _pass(self):
        while not self._over.wait(0.05):
            self._ask(self._proxy.port, f"/v1/{stage.PROJECT}/plans", self.passed)

    def _ask(self, port, page, took):
        begun = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=stage.PATIENCE)
            connection.request("GET", page, headers={"X-Auth-Token": f"user:{stage.PROJECT}"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            self.failed += answer.status != 200
        except OSError:
            self.failed += 1
        took.append((time.perf_counter() - begun) * 1000)

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


class Side:
    """One way to load one proxy, round by round."""

    def __init__(self, name, proxy, load):
        self.name, self.proxy, self.load = name, proxy, load
        self.outcomes, self.used, self.watches = [], [], []

    def round(self):
        before = sum(loop.used({None: self.proxy.process.pid}).values())
        watch = Watch(self.proxy)
        outcome = self.load(self.proxy)
        watch.end()
        used = sum(loop.used({None: self.proxy.process.pid}).values()) - before
        self.outcomes.append(outcome)
        self.used.append(used / 1e3 / (outcome.goodput() * (outcome.seconds + crowd.WARM_UP) or 1))
        self.watches.append(watch)
        return outcome

    def tell(self, first):
        goodput = [outcome.goodput() for outcome in self.outcomes]
        parts = [own / base.goodput() for own, base in zip(goodput, first.outcomes)]
        statuses = sum((outcome.statuses for outcome in self.outcomes), start=type(self.outcomes[0].statuses)())
        whole = sum(outcome.seconds for outcome in self.outcomes)
        others = {status: round(number / whole) for status, number in statuses.items() if status != 200}
        others["left"] = round(sum(outcome.left for outcome in self.outcomes) / whole)
        others["not sent"] = round(sum(outcome.unsent for outcome in self.outcomes) / whole)
        told = ", ".join(f"{status} {number}" for status, number in others.items() if number) or "none"
        admin = sorted(took for watch in self.watches for took in watch.admin)
        passed = sorted(took for watch in self.watches for took in watch.passed)
        cells = [
            self.name,
            f"{statistics.median(outcome.offered() for outcome in self.outcomes):.0f}",
            f"{statistics.median(goodput):.0f} ({min(goodput):.0f}–{max(goodput):.0f})",
            f"{statistics.median(parts):.2f} ({min(parts):.2f}–{max(parts):.2f})",
            told,
            f"{statistics.median(outcome.quantile(0.5) for outcome in self.outcomes):.0f}",
            f"{statistics.median(self.used):.0f} ({min(self.used):.0f}–{max(self.used):.0f})",
            latency.mib(max(watch.resident for watch in self.watches)),
            f"{statistics.median(admin):.0f}, {admin[-1]:.0f}",
            f"{statistics.median(passed):.0f}, {latency.quantile(passed, 0.99):.0f}",
            f"{sum(watch.failed for watch in self.watches)}",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def table(what, sides):
    print(f"\n{what}\n")
    print("| load | offered/s | 200/s | of the first | others/s | p50 ms | µs of CPU for each 200 | resident at most | admin ms, p50, most | passed ms, p50, p99 | of both failed |")
    print("|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|")
    for side in sides:
        side.tell(sides[0])


def bound(proxy):
    """What the proxy says that it takes at worst."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.admin, timeout=stage.PATIENCE)
    connection.request("GET", "/config")
    return re.search(r"^# memory: (.*)", connection.getresponse().read().decode(), re.M)[1]


def creation(plan, size):
    body = b'{"checkpoint": {"plan_id": "%s", "extra-info": {"x-load--key": "value"}}}' % plan.encode()
    body += b" " * (size - len(body))
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return stage.head("POST", stage.CHECKPOINTS, *fields) + body


def run(binary, rounds, seconds):
    before_karbor(binary, rounds, seconds)
    before_itself(binary, rounds, seconds)


def before_karbor(binary, rounds, seconds):
    """Karbor is what carries no more."""
    request = creation(stage.PROVIDER, BODY)
    with contextlib.ExitStack() as stack:
        karbor = stack.enter_context(stage.SlowKarbor(SLOTS, SECONDS))
        settings = ("", SMALL, UNBOUND)
        proxy, small, other = (stack.enter_context(stage.Proxy(binary, karbor.port, more)) for more in settings)
        rate = TIMES * crowd.closed(proxy.port, request, 2 * SLOTS, seconds, PATIENCE).goodput()

        def too_much(it):
            return crowd.open_loop(it.port, request, rate, seconds, PATIENCE)

        sides = [
            Side(f"{2 * SLOTS} clients", proxy, lambda it: crowd.closed(it.port, request, 2 * SLOTS, seconds, PATIENCE)),
            Side(f"{rate:.0f} a second, as shipped", proxy, too_much),
            Side("the same, small budgets", small, too_much),
            Side("the same, no bounds", other, too_much),
        ]
        for _ in range(rounds):
            for side in sides:
                side.round()
                # What clients left behind at Karbor is nobody's in the next round.
                stage.until("Karbor has nothing to do", lambda: karbor.waiting() == 0)
        table(f"Karbor carries {SLOTS / SECONDS:.0f} creations a second; bodies of {BODY >> 10} KiB. Small budgets: {bound(small)}", sides)


def before_itself(binary, rounds, seconds):
    """The proxy and its ledger carry no more."""
    with contextlib.ExitStack() as stack:
        karbor = stack.enter_context(stage.StandIn(binary))
        proxy = stack.enter_context(stage.Proxy(binary, karbor.port))
        request = creation(karbor.plan, 200)

        tried = {count: [] for count in (16, 32, 64, 128)}
        for _ in range(3):
            for count, goodput in tried.items():
                goodput.append(crowd.closed(proxy.port, request, count, 2, PATIENCE).goodput())
        best = max(tried, key=lambda count: statistics.median(tried[count]))

        bounded = f"server.max_requests = {best}\n{SMALL}"
        small = stack.enter_context(stage.Proxy(binary, karbor.port, bounded))

        def load(count):
            return lambda it: crowd.closed(it.port, request, count, seconds, PATIENCE)

        sides = [
            Side(f"{best} clients", proxy, load(best)),
            Side(f"{TIMES * best} clients", proxy, load(TIMES * best)),
            Side(f"{TIMES * best} clients, {best} requests at once", small, load(TIMES * best)),
        ]
        for at in range(rounds):
            for side in sides[at % len(sides) :] + sides[: at % len(sides)]:
                side.round()
        table(f"Karbor answers at once; bodies of 200 bytes, a ledger of SQLite. {bound(proxy)}", sides)
