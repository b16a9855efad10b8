"""Clients in a closed loop: each sends its next request when it has read the answer to its last.

All of them are in one process of their own. Leaves what is asked to the callers.
"""

import multiprocessing
import os
import pathlib
import select
import socket
import time

import stage

# Threads whose name the system cut.
KINDS = {"sqlx-sqlite-wor": "sqlite"}


class Round:
    """What one round of a closed loop took."""

    def __init__(self, took, seconds, used):
        self.took, self.seconds, self.used = sorted(took), seconds, used

    def quantile(self, part):
        """Milliseconds that so many of the requests were answered within."""
        return self.took[min(len(self.took) - 1, int(part * len(self.took)))] * 1000

    def rate(self):
        """Requests of a second."""
        return len(self.took) / self.seconds

    def each(self, thread=None):
        """Microseconds of a core that each request took, of all threads or of one kind."""
        used = sum(self.used.values()) if thread is None else self.used.get(thread, 0)
        return used / len(self.took) / 1000


def drive(port, requests, seconds, processes):
    """One client for each of `requests`, and for so long. `processes` by name: those whose time is measured."""
    pipe, theirs = multiprocessing.Pipe()
    client = multiprocessing.Process(target=_drive, args=(port, requests, seconds, theirs), daemon=True)
    client.start()
    # So that its failure is the end of the pipe.
    theirs.close()
    pipe.recv()
    before = used(processes)
    pipe.send("go")
    took, lasted = pipe.recv()
    after = used(processes)
    client.join()
    return Round(took, lasted, {name: after[name] - before.get(name, 0) for name in after})


def used(processes):
    """Nanoseconds that each kind of thread has had a core; a process that is named for itself counts as one."""
    used = {}
    for name, number in processes.items():
        for task in pathlib.Path(f"/proc/{number}/task").iterdir():
            try:
                kind = name or task.joinpath("comm").read_text().strip().rstrip("-0123456789")
                spent = int(task.joinpath("schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
            kind = KINDS.get(kind, kind)
            used[kind] = used.get(kind, 0) + spent
    return used


class _Client:
    def __init__(self, port, request):
        self.socket = socket.create_connection(("127.0.0.1", port), stage.PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request, self.head, self.left, self.begun = request, b"", None, 0.0

    def ask(self):
        self.head, self.left, self.begun = b"", None, time.perf_counter()
        self.socket.sendall(self.request)

    def read(self):
        """Whether the answer is whole."""
        some = self.socket.recv(1 << 20)
        if not some:
            raise ConnectionError("closed in the middle of an answer")
        if self.left is None:
            self.head += some
            top, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                return False
            if not top.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(self.head.decode())
            self.left = int(top.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            some = rest
        self.left -= len(some)
        return self.left <= 0


def _drive(port, requests, seconds, pipe):
    clients = [_Client(port, request) for request in requests]
    for client in clients:
        # What only the first request of a connection costs is not measured.
        client.ask()
        while not client.read():
            pass
    poll, by_number, took = select.epoll(), {}, []
    for client in clients:
        by_number[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)
    pipe.send("ready")
    pipe.recv()
    begun = time.perf_counter()
    end, busy = begun + seconds, len(clients)
    for client in clients:
        client.ask()
    while busy:
        for number, _ in poll.poll():
            client = by_number[number]
            if client.read():
                now = time.perf_counter()
                took.append(now - client.begun)
                if now < end:
                    client.ask()
                else:
                    busy -= 1
    pipe.send((took, time.perf_counter() - begun))
    os._exit(0)
