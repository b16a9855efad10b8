"""The proxy under load, before the stand-in Karbor or an upstream that is stuck; what it weighs, what it counts.

Leaves clients to `clients`, what is measured to `latency` and `memory`.
"""

import collections
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time

PROJECT = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d"
# The stand-in's only one.
PROVIDER = "6f1ad2a4-4f0c-4f2b-9a55-0d6c4d9f0001"
IMAGE = {"id": "7c0c4a52-93b5-4a3e-b6f5-5d7d7b1f0001", "type": "OS::Glance::Image", "name": "load"}
PATIENCE = 60


def project(number):
    """One of any number of projects; none of them is PROJECT."""
    return f"{number:032x}"


def checkpoints(of=PROJECT):
    """The path of a project's checkpoints."""
    return f"/v1/{of}/providers/{PROVIDER}/checkpoints"


CHECKPOINTS = checkpoints()


def raise_file_limit():
    """Lets this process, and those it starts, have as many descriptors as the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def head(method, path, *fields, project=PROJECT):
    """A request head of a tenant."""
    lines = [f"{method} {path} HTTP/1.1", "Host: karbor.test", f"X-Auth-Token: user:{project}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(port, request):
    """The body of the answer, which must be 200."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(request)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body.decode()}")
    return body


def until(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE} s: {what}")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Child:
    """A process of ours, ended with the block."""

    def __init__(self, *command, stdout=subprocess.DEVNULL, environment=None):
        everything = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, env=everything)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class StandIn(Child):
    """The stand-in of `demo`; the demo's own proxy is not used."""

    def __init__(self, binary):
        self.port = free_port()
        super().__init__(binary, "demo", "--karbor", f"127.0.0.1:{self.port}", stdout=subprocess.PIPE)
        self.plan = None
        while self.plan is None:
            line = self.process.stdout.readline().decode()
            if not line:
                raise RuntimeError("the demo ended")
            named = re.search(r'"plan_id": "([0-9a-f-]{36})"', line)
            self.plan = named and named[1]

    def new_plan(self, project):
        """Makes a plan of another project; its id."""
        plan = {"name": "load", "provider_id": PROVIDER, "parameters": {}, "resources": [IMAGE]}
        body = json.dumps({"plan": plan}).encode()
        fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        answer = ask(self.port, head("POST", f"/v1/{project}/plans", *fields, project=project) + body)
        return json.loads(answer)["plan"]["id"]


class Proxy(Child):
    """The proxy as shipped, but for addresses, places and `settings`. Its ledger is a file of its own, unless
    `ledger` is another URL; what that needs in the environment is in `environment`."""

    def __init__(self, binary, karbor, settings="", ledger=None, environment=None):
        self.port, self.admin = free_port(), free_port()
        self._folder = tempfile.TemporaryDirectory()
        self.config = pathlib.Path(self._folder.name, "load.toml")
        ledger = ledger or f"sqlite:{self._folder.name}/ledger.sqlite"
        self.config.write_text(
            f'server.listen = "127.0.0.1:{self.port}"\nadmin.listen = "127.0.0.1:{self.admin}"\n'
            f'upstream.endpoints = ["http://127.0.0.1:{karbor}"]\naudit.file = "{self.config}.audit"\n'
            f'ledger.url = "{ledger}"\n{settings}'
        )
        super().__init__(binary, "serve", "--config", str(self.config), environment=environment)
        until("the proxy listens", lambda: listens(self.port))
        until("it has noticed that nobody came", lambda: self.connections() == 0)

    def __exit__(self, *_):
        super().__exit__()
        self._folder.cleanup()

    def resident(self):
        """Resident bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def connections(self, side="downstream"):
        """Connections it counts; None before it serves."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        counted = re.search(rf'^karbor_admission_connections{{side="{side}"}} (\d+)', page, re.M)
        return counted and int(counted[1])


class Certificate:
    """A certificate of our own in a folder, as settings; none of it where it is not `wanted`. Needs `openssl`."""

    def __init__(self, wanted):
        self._wanted, self._folder = wanted, tempfile.TemporaryDirectory()

    def __enter__(self):
        if not self._wanted:
            return ""
        chain, key = (pathlib.Path(self._folder.name, name) for name in ("chain.pem", "key.pem"))
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
        name = ("-subj", "/CN=karbor.test", "-addext", "subjectAltName=DNS:karbor.test")
        command = ("openssl", "req", "-x509", *kind, *name, "-keyout", key, "-out", chain)
        subprocess.run(command, check=True, capture_output=True)
        return f'server.tls.certificates = ["{chain}"]\nserver.tls.keys = ["{key}"]\n'

    def __exit__(self, *_):
        self._folder.cleanup()


def socket_memory():
    """Bytes that the system holds for all TCP sockets of this machine."""
    text = pathlib.Path("/proc/net/sockstat").read_text()
    return int(re.search(r"^TCP:.* mem (\d+)", text, re.M)[1]) * os.sysconf("SC_PAGE_SIZE")


class StuckUpstream:
    """An upstream that reads one head and nothing more. What it says is in the path:
    `…/silent` nothing; `…/short` a whole answer; `…/endless` one without an end; a creation gets most of 1 MiB."""

    def __init__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.port = listener.getsockname()[1]
        self._process = multiprocessing.Process(target=_stuck, args=(listener,), daemon=True)
        self._process.start()
        listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def _stuck(listener):
    poll, talks = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, event in poll.poll():
            if number == listener.fileno():
                talk, _ = listener.accept()
                talk.setblocking(False)
                talks[talk.fileno()] = [talk, None]
                poll.register(talk, select.EPOLLIN)
                continue
            talk, left = talks[number]
            try:
                if left is None:
                    left = _answer(talk.recv(4096))
                    talks[number][1] = left
                while left:
                    left = left[talk.send(left) :] or left[:0]
                    talks[number][1] = left
                poll.modify(talk, 0)
            except BlockingIOError:
                poll.modify(talk, select.EPOLLOUT)
            except OSError:
                poll.unregister(talk)
                talks.pop(number)[0].close()


def _answer(request):
    if b"/endless" in request:
        return memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(16 << 20))
    if b"/short" in request:
        return memoryview(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    if request.startswith(b"POST") and b"/checkpoints " in request:
        return memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b" " * 1_000_000)
    return memoryview(b"")


class SlowKarbor:
    """An upstream that makes so many checkpoints at once, each in so many seconds; the rest waits in line. Everything
    else it answers at once."""

    def __init__(self, slots, seconds):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port, self._waiting = listener.getsockname()[1], multiprocessing.Value("i", 0)
        work = (listener, slots, seconds, self._waiting)
        self._process = multiprocessing.Process(target=_slow, args=work, daemon=True)
        self._process.start()
        listener.close()

    def waiting(self):
        """Creations that it has not answered."""
        return self._waiting.value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def _slow(listener, slots, seconds, waiting):
    poll, talks, line, busy, made = select.epoll(), {}, collections.deque(), [], 0
    poll.register(listener, select.EPOLLIN)
    while True:
        now = time.monotonic()
        while busy and busy[0][0] <= now:
            _, talk = busy.pop(0)
            made += 1
            made_one = {"id": f"00000000-0000-4000-8000-{made:012x}", "project_id": PROJECT, "status": "available"}
            _say(talk, {"checkpoint": made_one})
        while line and len(busy) < slots:
            busy.append((now + seconds, line.popleft()))
        waiting.value = len(line) + len(busy)
        for number, _ in poll.poll(max(0.0, busy[0][0] - now) if busy else 1):
            if number == listener.fileno():
                talk, _ = listener.accept()
                talks[talk.fileno()] = [talk, b"", 0]
                poll.register(talk, select.EPOLLIN)
                continue
            _listen(poll, talks, number, line)


def _listen(poll, talks, number, line):
    """Reads on; a request that is whole is answered or waits in line."""
    state = talks[number]
    try:
        some = state[0].recv(1 << 17)
    except OSError:
        some = b""
    if not some:
        # One that waits in line is made all the same, as by Karbor.
        poll.unregister(number)
        talks.pop(number)
        return
    if state[2] > 0:
        state[2] -= len(some)
    else:
        state[1] += some
        top, end, rest = state[1].partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", top)
        state[2] = (int(length[1]) if length else 0) - len(rest)
    if state[2] > 0:
        return
    creates = state[1].startswith(b"POST")
    state[1], state[2] = b"", 0
    if creates:
        line.append(state[0])
    else:
        _say(state[0], {"plans": []})


def _say(talk, document):
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        talk.sendall(head.encode() + body)
    except OSError:
        pass
