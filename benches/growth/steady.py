"""What a request takes while all connections stand: neither their beginning nor their end is counted.

Leaves which points are measured to `axes`, and their order to `run`.
"""

import http.client
import os
import signal
import subprocess
import time

import rounds
import serving

# For those of the round before to end, and pools and queues to have their size.
SETTLE = 0.5
# Longer than any request waits.
LATEST = "20s"


class Requests:
    """How many requests Karbor has had since the last beginning. Whoever is measured hands each on."""

    def __init__(self, karbor):
        self._connection = http.client.HTTPConnection("127.0.0.1", karbor.port, timeout=serving.PATIENCE)
        self._before = 0

    def begin(self):
        self._before += self.so_far()

    def so_far(self):
        self._connection.request("GET", "/requests")
        # This one is among those that follow.
        self._before += 1
        return int(self._connection.getresponse().read().split()[9]) - self._before


class Point:
    """One place on an axis: the proxies that are asked, together, and what for. `x` is where it stands, and `series`
    which line it belongs to."""

    def __init__(self, series, x, peers, script, connections=32):
        self.series, self.x, self.peers, self.script, self.connections = series, x, peers, script, connections

    @property
    def name(self):
        return f"{self.series}, {self.x}"

    def measure(self, others, requests, cores, seconds):
        """One round. `others` serve it, and are not measured."""
        requests.begin()
        clients = [self._ask(peer, cores) for peer in self.peers]
        try:
            self._until_steady(clients, requests)
            time.sleep(SETTLE)
            served = [client.pid for client in clients]
            first = self._reading(others, served, requests)
            time.sleep(seconds)
            last = self._reading(others, served, requests)
        finally:
            told = [self._stop(client) for client in clients]
        for peer, text in zip(self.peers, told):
            rounds.answered(text, f"{peer.name} at {self.name}", False)
            peer.forget()
        counted, took, spent, writer, besides, machine = (after - since for after, since in zip(last, first))
        if not counted:
            raise RuntimeError(f"{self.name}: no request reached Karbor in {seconds} s")
        return {"micros": spent / counted * 1e6, "writer": writer / counted * 1e6,
                "rate": counted / took, "busy": spent / took,
                "others": max(0, machine - spent - besides) / took}

    def _ask(self, peer, cores):
        command = ["wrk", "-t1", f"-c{self.connections // len(self.peers)}", "-d1h", "--timeout", LATEST,
                   "-s", self.script, f"http://127.0.0.1:{peer.port}"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def _until_steady(self, clients, requests):
        """All connections stand, and have had an answer or two: it is long before the last of many is served."""
        share, deadline = self.connections // len(self.peers), time.monotonic() + serving.PATIENCE
        while requests.so_far() < 2 * self.connections or any(peer.descriptors() < share for peer in self.peers):
            if time.monotonic() > deadline or any(client.poll() is not None for client in clients):
                raise RuntimeError(f"{self.name}: the clients are not served")
            time.sleep(0.05)

    def _reading(self, others, clients, requests):
        return (requests.so_far(), time.monotonic(), sum(peer.cpu() for peer in self.peers),
                sum(peer.cpu_of("audit") for peer in self.peers),
                sum(map(serving.cpu, clients)) + sum(other.cpu() for other in others), rounds.machine())

    @staticmethod
    def _stop(client):
        client.send_signal(signal.SIGINT)
        try:
            return client.communicate(timeout=serving.PATIENCE)[0]
        except subprocess.TimeoutExpired:
            client.kill()
            return client.communicate()[0]
