"""The axes: for each, its points, the title of its plot, what stands below it, its scales, and the ticks of x.

Leaves measuring to `steady`, and drawing to `plot`.
"""

import json
import pathlib

import rounds
import serving
import workload
from steady import Point

GET, CREATE, DENSE, PASS = "GET", "creation, 3 entries", "creation, 16 entries", "POST that passes"
TENANT = workload.PROJECT[:20] + "%012d"
KIB = 1024
# Open files of the proxy with the most connections: those of clients, and those to Karbor.
DESCRIPTORS = 12_000


class Stand:
    """Where proxies are started for an axis. They end with it."""

    def __init__(self, stack, folder, binary, cores, karbor, reader):
        self._stack, self.folder, self._binary, self._cores = stack, pathlib.Path(folder), binary, cores
        self._karbor, self._reader = karbor, reader

    def proxy(self, name, *, reads=False, **settings):
        karbor = self._reader if reads else self._karbor
        return self._stack.enter_context(serving.ours(name, self.folder, self._cores, self._binary, karbor, **settings))

    def script(self, name, request):
        return rounds.write_script(self.folder, name, request)

    def varied(self, name, request, tenants):
        """A request of one tenant after another, in no order that a cache would know."""
        head, tail = request.to_bytes().decode().split(workload.PROJECT, 1)
        path = self.folder / f"{name}.lua"
        path.write_text(
            f"local head, tail, at = {json.dumps(head + TENANT[:20])}, {json.dumps(tail)}, 1\n"
            "request = function()\n    at = at * 16807 % 2147483647\n"
            f"    return head .. string.format('%012d', at % {tenants}) .. tail\nend\n"
        )
        return path


def tenants(stand):
    """Tenants that are configured, each with a limit of its own; all of them ask."""
    points = []
    for number in (1, 10, 100, 1000, 10_000, 100_000):
        named = "\n".join(f"[tenants.{TENANT % at}]\nlimits.entries = {64 + at % 100}" for at in range(number))
        proxy = stand.proxy(f"tenants-{number}", more=named)
        for series, request in ((GET, workload.REQUESTS["get"]), (CREATE, workload.REQUESTS["create-3"])):
            points.append(Point(series, number, [proxy], stand.varied(f"{request.method}-{number}", request, number)))
    ticks = [(1, "1"), (10, "10"), (100, "100"), (1000, "1 000"), (10_000, "10 000"), (100_000, "100 000")]
    return points, "CPU per request by configured tenants", "tenants, all of them asking", "log-linear", ticks


def entries(stand):
    """Entries of a creation, all as large."""
    proxy, numbers = stand.proxy("entries"), (0, 1, 3, 8, 16, 32, 64)
    points = []
    for number in numbers:
        request = workload.creation(workload.entries(number) if number else {})
        points.append(Point("creation", number, [proxy], stand.script(f"entries-{number}", request)))
    ticks = [(number, str(number)) for number in numbers if number not in (1, 3)]
    return points, "CPU per creation by entries of its map", "entries, 40 bytes of value each", "linear", ticks


def body(stand):
    """Bytes of a creation whose map has the same entries, up to what a map may have; and of a body that passes."""
    proxy, passing = stand.proxy("bodies"), stand.proxy("passing", reads=True)
    points = []
    for value in (16, 64, 256, 1000):
        request = workload.creation(workload.entries(16), bytes_of_value=value)
        points.append(Point(DENSE, len(request.body), [proxy], stand.script(f"value-{value}", request)))
    for size in (1, 4, 16, 64, 256, 512, 1024, 2048):
        filler = "x" * (size * KIB - len(json.dumps({"plan": {"name": ""}})))
        request = workload.Request("POST", workload.PLANS_PATH, json.dumps({"plan": {"name": filler}}))
        points.append(Point(PASS, size * KIB, [passing], stand.script(f"pass-{size}", request)))
    ticks = [(size * KIB, f"{size} KiB") for size in (1, 4, 16, 64, 256)] + [(1024 * KIB, "1 MiB")]
    return points, "CPU per request by bytes of its body", "bytes of the body", "log-log", ticks


def connections(stand):
    """Connections, each of which asks again as soon as it has its answer."""
    numbers, points = (10, 32, 100, 320, 1000, 3200, 9500), []
    room = ('server.max_connections = 10000\nserver.max_connections_per_address = "unlimited"\n'
            "upstream.queue_per_worker = 10000\n")
    kinds = {"GET, pool as shipped": room, "pool of 1024": f"{room}upstream.pool_idle_per_worker = 1024\n"}
    script = stand.script("connections", workload.REQUESTS["get"])
    for series, more in kinds.items():
        proxy = stand.proxy(series, more=more)
        points += [Point(series, number, [proxy], script, number) for number in numbers]
    ticks = [(number, f"{number:,}".replace(",", " ")) for number in numbers]
    return points, "CPU per GET by connections", "connections, all of them asking", "log-linear", ticks


def audit(stand):
    """Where audit lines go, and how the names of keys stand in them."""
    kinds = {"off": {"audit": ""}, "to a file": {}, "keys hashed": {"more": 'audit.key_names = "hashed"'}}
    points = []
    for name, settings in kinds.items():
        proxy = stand.proxy(f"audit-{name}", **settings)
        for series, request in (("creation, 3 entries", "create-3"), ("creation, 64 entries", "create-64")):
            points.append(Point(series, name, [proxy], stand.script(request, workload.REQUESTS[request])))
    return points, "CPU per creation by what is audited", "audit lines", "names", [(name, name) for name in kinds]


def workers(stand):
    """One worker, two, and two processes with one each, which share nothing."""
    kinds = {"1 worker": [1], "2 workers": [2], "2 processes of 1": [1, 1]}
    points = []
    for name, shares in kinds.items():
        proxies = [stand.proxy(f"{name}, {at}", workers=share) for at, share in enumerate(shares)]
        for series, request in ((GET, "get"), (CREATE, "create-3")):
            points.append(Point(series, name, proxies, stand.script(request, workload.REQUESTS[request]), 64))
    ticks = [(name, name) for name in kinds]
    return points, "CPU per request by workers", "on cores that clients share", "names", ticks


AXES = {axis.__name__: axis for axis in (tenants, entries, body, connections, audit, workers)}
# Those whose proxies have all cores, as have their clients and Karbor.
UNPINNED = {"workers"}
