"""Clients in a crowd: so many that each ask again and again, or so many requests a second whatever comes of them.

All of them are in one process of their own. Leaves what is asked, and what it means, to the callers.
"""

import collections
import multiprocessing
import os
import select
import socket
import time

import clients

# Connections that requests of a rate may take; a request that finds none is not sent.
MOST = 4000
PAUSE = 1.0


class Outcome:
    """What came of the requests of one crowd."""

    def __init__(self, statuses, took, asked, left, unsent, seconds):
        self.statuses, self.took, self.seconds = statuses, sorted(took), seconds
        self.asked, self.left, self.unsent = asked, left, unsent

    def goodput(self):
        """Answers of 200 a second."""
        return self.statuses[200] / self.seconds

    def offered(self):
        """Requests a second, answered or not."""
        return (self.asked + self.unsent) / self.seconds

    def quantile(self, part):
        """Milliseconds that so many of the good answers came within."""
        return self.took[min(len(self.took) - 1, int(part * len(self.took)))] * 1000 if self.took else float("nan")


def closed(port, request, count, seconds, patience):
    """So many clients; one that is put off waits a second, as it is told."""
    return _start(port, request, count, None, seconds, patience)


def open_loop(port, request, rate, seconds, patience):
    """So many requests a second."""
    return _start(port, request, 0, rate, seconds, patience)


def _start(port, request, count, rate, seconds, patience):
    pipe, theirs = multiprocessing.Pipe()
    work = (port, request, count, rate, seconds, patience, theirs)
    process = multiprocessing.Process(target=_work, args=work, daemon=True)
    process.start()
    # So that its failure is the end of the pipe.
    theirs.close()
    outcome = Outcome(*pipe.recv())
    process.join()
    return outcome


class _Client:
    def __init__(self, port, number):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind(clients.source(number))
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.begun, self.head, self.status, self.left, self.unsent = 0.0, b"", 0, None, memoryview(b"")

    def ask(self, request, now):
        self.begun, self.head, self.status, self.left = now, b"", 0, None
        self.unsent = memoryview(request)
        self.write()

    def write(self):
        """Whether there is more to write."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass
        return bool(self.unsent)

    def read(self):
        """Whether the answer is whole; `ConnectionError` when there will be no more."""
        some = self.socket.recv(1 << 16)
        if not some:
            raise ConnectionError
        if self.left is None:
            self.head += some
            top, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                return False
            self.status = int(top[9:12])
            self.left = int(top.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.closes, some = b"\r\nconnection: close" in top.lower(), rest
        self.left -= len(some)
        return self.left <= 0


class _Crowd:
    def __init__(self, port, request, patience, starts):
        self.port, self.request, self.patience = port, request, patience
        self.poll, self.all, self.idle, self.made = select.epoll(), {}, [], 0
        self.asked = collections.OrderedDict()
        self.statuses, self.took = collections.Counter(), []
        # From here on it counts.
        self.starts, self.sent, self.left, self.unsent = starts, 0, 0, 0

    def ask(self, now):
        """Asks on some connection; False if there is none."""
        client = self.idle.pop() if self.idle else self._another()
        if client is None:
            return False
        number = client.socket.fileno()
        self.sent += now >= self.starts
        try:
            client.ask(self.request, now)
        except OSError:
            self._forget(client)
            self.statuses["broken"] += 1
            return True
        self.asked[number] = client
        self.poll.modify(number, select.EPOLLIN | (select.EPOLLOUT if client.unsent else 0))
        return True

    def _another(self):
        if len(self.all) >= MOST:
            return None
        client = _Client(self.port, self.made % MOST)
        self.made += 1
        self.all[client.socket.fileno()] = client
        self.poll.register(client.socket, select.EPOLLIN)
        return client

    def _forget(self, client):
        number = client.socket.fileno()
        self.poll.unregister(number)
        self.all.pop(number)
        self.asked.pop(number, None)
        client.socket.close()

    def wait(self, seconds):
        """Takes what comes; gives the status of each request that came to its end."""
        ended, now_counts = [], time.perf_counter() >= self.starts
        for number, event in self.poll.poll(max(0.0, seconds)):
            client = self.all.get(number)
            if client is None:
                continue
            busy = number in self.asked
            try:
                if event & select.EPOLLOUT and not client.write():
                    self.poll.modify(number, select.EPOLLIN)
                if event & ~select.EPOLLOUT and not (client.read() and busy):
                    continue
                if not event & ~select.EPOLLOUT:
                    continue
            except BlockingIOError:
                continue
            except OSError:
                self._forget(client)
                if busy:
                    # One that was just opened and is turned away says so in its answer, if it can be read.
                    ended.append(client.status or "broken")
                continue
            status = client.status
            ended.append(status)
            if now_counts and status == 200:
                self.took.append(time.perf_counter() - client.begun)
            self.asked.pop(number)
            if client.closes:
                self._forget(client)
            else:
                self.idle.append(client)
        now = time.perf_counter()
        while self.asked:
            client = next(iter(self.asked.values()))
            if now - client.begun < self.patience:
                break
            self._forget(client)
            self.left += now_counts
            ended.append("left")
        self.idle = [client for client in self.idle if client.socket.fileno() >= 0]
        if now_counts:
            self.statuses.update(status for status in ended if status != "left")
        return ended


# What comes at first is not counted: queues fill, connections open.
WARM_UP = 1.5


def _work(port, request, count, rate, seconds, patience, pipe):
    begun = time.perf_counter()
    starts, end = begun + WARM_UP, begun + WARM_UP + seconds
    crowd = _Crowd(port, request, patience, starts)
    sent, waiting = 0, [begun] * count
    while (now := time.perf_counter()) < end:
        if rate is not None:
            while sent < (now - begun) * rate:
                sent += 1
                if not crowd.ask(now):
                    crowd.unsent += now >= starts
        while waiting and waiting[0] <= now and crowd.ask(now):
            waiting.pop(0)
        ended = crowd.wait(0.002 if rate else min(0.01, end - now))
        if rate is None:
            again = time.perf_counter()
            waiting += [again if status == 200 else again + PAUSE for status in ended]
            waiting.sort()
    pipe.send((crowd.statuses, crowd.took, crowd.sent, crowd.left, crowd.unsent, seconds))
    os._exit(0)
