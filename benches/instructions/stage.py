"""The proxy under callgrind, an upstream and a client beside it, and the counts of what lies between them.

Counted is what every thread of the proxy does for a request: what moves from a worker to another thread is not
gone. Leaves what the counts mean to `run`.
"""

import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import workload
from serving import end, environment, free_port

PATIENCE = 60
# Before the first request that counts: pools, buffers and tables have their size then.
WARM_UP = 100
# callgrind counts `rep movsb` as an instruction for each byte, and not every processor is given it: without.
PLAIN_COPIES = "glibc.cpu.hwcaps=-ERMS,-FSRM"


def read_message(stream):
    """First line and body of the next message, or None at the end."""
    first = stream.readline()
    if not first:
        return None
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return first, stream.read(length)


class Upstream:
    """Karbor, as far as these requests need one: the same bytes to each."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        answers = {
            method: f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"x-openstack-request-id: req-{workload.PLAN}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{body}".encode()
            for method, body in ((b"GET", workload.PLAN_ANSWER), (b"POST", workload.CREATION_ANSWER))
        }
        with connection, connection.makefile("rb") as stream:
            while (message := read_message(stream)) is not None:
                connection.sendall(answers[message[0].split(b" ")[0]])


class Proxy:
    """The proxy under callgrind, with one worker; as shipped but for addresses, without a ledger, and with the audit
    log in a file. Nothing is counted before it is asked for."""

    def __init__(self, binary, upstream):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)
        self.port, self.admin = free_port(), free_port()
        config = self.folder / "proxy.toml"
        config.write_text(
            f'server.listen = "127.0.0.1:{self.port}"\nserver.workers = 1\nadmin.listen = "127.0.0.1:{self.admin}"\n'
            f'upstream.endpoints = ["http://127.0.0.1:{upstream.port}"]\naudit.file = "{self.folder}/audit"\n'
            'ledger.url = "off"\nlog.level = "warn"\n'
        )
        callgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes",
                     "--compress-strings=no", f"--callgrind-out-file={self.folder}/counts"]
        command = [*callgrind, str(binary), "serve", "--config", str(config)]
        self._process = subprocess.Popen(command, env={**environment(), "GLIBC_TUNABLES": PLAIN_COPIES})
        self._dumps = 0

    def __enter__(self):
        try:
            self._until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self._process, PATIENCE)
        self._folder.cleanup()

    def _until_ready(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=PATIENCE):
                    return
            except (urllib.error.URLError, ConnectionError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the proxy does not get ready under callgrind") from None
                time.sleep(0.1)

    def counted(self, request, number, function):
        """Instructions for one of `number` such requests, one after another on one connection: all of them, and those
        of `function` with whatever it calls."""
        data, status = request.to_bytes(), b"HTTP/1.1 %d " % request.status
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client, client.makefile("rb") as stream:
            def ask(times):
                for _ in range(times):
                    client.sendall(data)
                    first, body = read_message(stream)
                    if not first.startswith(status):
                        raise RuntimeError(f"{first.decode()}{body.decode()}")

            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask(WARM_UP)
            self._control("-i", "on")
            ask(number)
            self._control("-i", "off")
        self._control("-d")
        self._dumps += 1
        counts = [inclusive(file.read_text(), function) for file in self.files()]
        return tuple(sum(kind) / number for kind in zip(*counts))

    def files(self):
        """What callgrind has written of the last ones counted, a file for each thread."""
        return list(self.folder.glob(f"counts.{self._dumps}-*"))

    def _control(self, *words):
        command = ["callgrind_control", *words, str(self._process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode or "OK" not in done.stdout:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def inclusive(text, function):
    """Of one file of callgrind's: all instructions, and those of `function` with what it calls."""
    total = int(re.search(r"^totals: (\d+)", text, re.M)[1])
    calls = re.findall(r"^cfn=(.*)\n(?:c\w+=.*\n)*?calls=.*\n\S+ (\d+)$", text, re.M)
    return total, sum(int(cost) for name, cost in calls if name.startswith(function))
