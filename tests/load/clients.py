"""Clients: a crowd that dribbles, from many addresses, and one that is measured.

Both run in processes of their own. Leaves the proxy to `stage`.
"""

import itertools
import multiprocessing
import select
import socket
import time

import stage

# Well below `server.max_connections_per_address`, as shipped.
PER_ADDRESS = 500
# Somewhat more than the buffers on the way hold, so that the upstream's own do not take the memory of all sockets.
ANSWER_BYTES = 512 << 10
# Parts of a second in which the bytes of a second are sent.
SLICES = 50


def source(number):
    """The address from which the client of this number comes; 127.0.0.1 is left to others."""
    return (f"127.0.{1 + number // PER_ADDRESS}.1", 0)


def connect(port, number, buffer_bytes=None):
    """The system buffers no more than `buffer_bytes` on this side, so that it is seen what the other holds."""
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if buffer_bytes is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    client.settimeout(stage.PATIENCE)
    client.bind(source(number))
    client.connect(("127.0.0.1", port))
    return client


def kinds():
    """What each kind of dribbler sends at once; one byte a second follows, or is read by the last."""
    json = "Content-Type: application/json"
    return {
        "head": b"GET / HTTP/1.1\r\nHost: karbor.test\r\nX-Slow: ",
        "creation's body": stage.head("POST", stage.CHECKPOINTS, json, "Content-Length: 100000"),
        "passed body": stage.head("PUT", f"/v1/{stage.PROJECT}/blob", "Content-Length: 100000"),
        "slow reader": stage.head("GET", f"/v1/{stage.PROJECT}/blob?bytes={ANSWER_BYTES}"),
    }


class Crowd:
    """So many dribblers in a process of their own; one that is ended is replaced at once."""

    def __init__(self, port, count):
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_dribble, args=(port, count, theirs), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(stage.PATIENCE) or self._pipe.recv() != "there":
            raise RuntimeError("the crowd did not come together")

    def end(self):
        """Sends them home; gives how many were ended by the proxy, by kind."""
        self._pipe.send("end")
        ended = self._pipe.recv()
        self._process.join()
        return ended


def _dribble(port, count, pipe):
    begins = list(kinds().items())
    poll, clients, ended = select.epoll(), {}, dict.fromkeys(kinds(), 0)
    slices = [set() for _ in range(SLICES)]

    def begin(number):
        kind, begun = begins[number % len(begins)]
        client = connect(port, number, 4096 if kind == "slow reader" else None)
        client.sendall(begun)
        client.setblocking(False)
        clients[client.fileno()] = (client, number, kind)
        # A reader has always something to read; only its end is of interest.
        poll.register(client, 0 if kind == "slow reader" else select.EPOLLIN | select.EPOLLRDHUP)
        slices[number % SLICES].add(client.fileno())

    def replace(number):
        client, who, kind = clients.pop(number)
        slices[who % SLICES].discard(number)
        client.close()
        ended[kind] += 1
        begin(who)

    for number in range(count):
        begin(number)
    pipe.send("there")
    due = time.monotonic()
    for now in itertools.cycle(slices):
        for number in list(now):
            client, _, kind = clients[number]
            try:
                if kind == "slow reader":
                    client.recv(1)
                else:
                    client.send(b" ")
            except BlockingIOError:
                pass
            except OSError:
                replace(number)
        for number, _ in poll.poll(0):
            replace(number)
        if pipe.poll():
            pipe.send(ended)
            return
        due += 1 / SLICES
        time.sleep(max(0, due - time.monotonic()))


def measure(port, plan, seconds):
    """Another client's requests, one after the other, every 3 ms or so: the seconds each took, by kind."""
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_measure, args=(port, plan, seconds, theirs), daemon=True)
    process.start()
    # So that its failure is the end of the pipe.
    theirs.close()
    took = pipe.recv()
    process.join()
    return took


def _measure(port, plan, seconds, pipe):
    body = b'{"checkpoint": {"plan_id": "%s", "extra-info": {"x-load--key": "value"}}}' % plan.encode()
    creation = stage.head(
        "POST", stage.CHECKPOINTS, "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    requests = {
        "passed": stage.head("GET", f"/v1/{stage.PROJECT}/plans/{plan}"),
        "creation": creation + body,
    }
    took = {kind: [] for kind in requests}
    client = socket.create_connection(("127.0.0.1", port), stage.PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, request in requests.items():
            begun = time.perf_counter()
            client.sendall(request)
            _read_answer(client)
            took[kind].append(time.perf_counter() - begun)
            time.sleep(0.003)
    pipe.send(took)


def _read_answer(client):
    read = b""
    while b"\r\n\r\n" not in read:
        read += _some(client)
    top, _, rest = read.partition(b"\r\n\r\n")
    if not top.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(top.decode())
    length = int(top.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(rest) < length:
        rest += _some(client)


def _some(client):
    some = client.recv(65536)
    if not some:
        raise ConnectionError("closed in the middle of an answer")
    return some
