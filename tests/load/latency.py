"""Whether thousands of clients that dribble make others wait, and what memory they take.

Rounds with and without them alternate, so that whatever else the machine does falls on both.
"""

import statistics
import threading
import time

import clients
import stage


class Peak:
    """The most that `look` gave, looked at every quarter of a second, or more often."""

    def __init__(self, look, pause=0.25):
        self._look, self._pause, self.most, self._over = look, pause, look(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while not self._over.wait(self._pause):
            self.most = max(self.most, self._look())

    def end(self):
        self._over.set()
        self._thread.join()
        return self.most


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def mib(count):
    return f"{count / (1 << 20):.1f} MiB"


def run(binary, count, rounds, seconds):
    with stage.StandIn(binary) as karbor, stage.Proxy(binary, karbor.port) as proxy:
        clients.measure(proxy.port, karbor.plan, 2)
        before = proxy.resident()
        took = {False: [], True: []}
        resident, sockets, ended = 0, 0, dict.fromkeys(clients.kinds(), 0)
        for at in range(2 * rounds):
            # without, with, with, without, …: neither comes first more often.
            crowded = at % 4 in (1, 2)
            if not crowded:
                took[crowded].append(clients.measure(proxy.port, karbor.plan, seconds))
                continue
            watch, kernel = Peak(proxy.resident), Peak(stage.socket_memory)
            crowd = clients.Crowd(proxy.port, count)
            stage.until("all are there", lambda: proxy.connections() >= count * 0.99)
            took[crowded].append(clients.measure(proxy.port, karbor.plan, seconds))
            for kind, number in crowd.end().items():
                ended[kind] += number
            stage.until("all are gone", lambda: proxy.connections() == 0)
            resident, sockets = max(resident, watch.end()), max(sockets, kernel.end())
            time.sleep(1)
        time.sleep(3)
        print(f"{count} dribblers, {rounds} rounds of {seconds} s each, with and without, in turn")
        print(f"{'':10}{'':9}{'p50 ms: median (least … most)':>34}{'p99 ms: median (least … most)':>34}  requests")
        for kind in ("passed", "creation"):
            for crowded, name in ((False, "without"), (True, "with")):
                rows = [times[kind] for times in took[crowded]]
                cells = []
                for part in (0.5, 0.99):
                    each = [quantile(row, part) * 1000 for row in rows]
                    middle = statistics.median(each)
                    cells.append(f"{middle:.2f} ({min(each):.2f} … {max(each):.2f})")
                print(f"{kind:10}{name:9}{cells[0]:>34}{cells[1]:>34}  {sum(len(row) for row in rows)}")
        print("ended by the proxy and replaced:", ", ".join(f"{kind} {n}" for kind, n in ended.items()))
        print(f"resident: before {mib(before)}, at most {mib(resident)}, after {mib(proxy.resident())};"
              f" per dribbler {(resident - before) / count / 1024:.1f} KiB")
        print(f"the system's buffers of all TCP sockets of this machine, at most: {mib(sockets)}")
