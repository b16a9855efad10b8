"""What the soak stands on: a folder, certificates, Karbor and the ways to it, the proxy as a deployer starts it.

Every process is ours and is ended with the block. Leaves what goes wrong on purpose to `faults`.
"""

import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60
HERE = pathlib.Path(__file__).parent
RELAYS = 3

# Projects: plain ones, and those that are told apart by their settings.
PLAIN = [f"{number:032x}" for number in range(0xA1, 0xA7)]
WARN, OBSERVE, TURNED, QUOTA, RATE = (f"{number:032x}" for number in range(0xB1, 0xB6))
QUOTA_CHECKPOINTS = 12
RATE_CREATIONS, RATE_SECONDS = 12, 8
# What a reload turns between for the project TURNED.
ENTRIES = (4, 8)

# Timeouts are short, so that each can be met in minutes; see `model` for what follows from them.
SETTINGS = """
server.listen = ["127.0.0.1:{port}", "unix:{folder}/listen.sock"]
server.workers = 2
server.head_timeout = "4s"
server.body_timeout = "5s"
server.keep_alive_timeout = "6s"
server.write_timeout = "15s"
server.drain_idle = "2s"
server.tls.certificates = ["{folder}/certificates/server.pem"]
server.tls.keys = ["{folder}/certificates/server.key"]
server.tls.client_certificates = "optional"
server.tls.client_ca = "{folder}/ca.pem"
admin.listen = "127.0.0.1:{admin}"
log.format = "json"
audit.file = "{folder}/audit.jsonl"
upstream.endpoints = [{endpoints}]
upstream.connect_timeout = "2s"
upstream.first_byte_timeout = "4s"
upstream.idle_timeout = "4s"
upstream.pool_idle_timeout = "3s"
upstream.eject_for = "200ms"
upstream.eject_for_most = "1s"
upstream.queue_timeout = "2s"
ledger.url = "{ledger}"
ledger.lease = "30s"
policy.applications = ["soak", "soak-*"]
limits.body_bytes = "32 KiB"
limits.total_bytes = 8192
policy.karbor_keys.karbor-created-by = {{ values = ["manual", "operation-engine"] }}
policy.karbor_keys.karbor-ref = {{}}
tenants.{warn}.enforcement = "warn"
tenants.{observe}.enforcement = "observe"
tenants.{turned}.limits.entries = {entries}
tenants.{quota}.quotas.checkpoints = {quota_checkpoints}
tenants.{rate}.quotas.creations = "{rate_creations} / {rate_seconds}s"
"""


class Kept:
    """A port that stays ours while nobody listens on it, as it does for whoever shares it."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]


def until(what, holds, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {patience} s: {what}")
        time.sleep(0.05)


class Helper:
    """A script of ours in a process of its own. It ends when its input does, so also when we are killed."""

    def __init__(self, *command):
        command = [sys.executable, *(str(word) for word in command)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said = self.process.stdout.readline().decode().strip()
        if not self.said:
            raise RuntimeError(f"{command} did not begin")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Relay:
    """One way that can fail: see `relay.py`."""

    def __init__(self, target, seed):
        self.kept, self.target, self.seed = Kept(), target, seed
        self.helper = None
        self.start()

    @property
    def port(self):
        return self.kept.port

    def start(self):
        self.helper = Helper(HERE / "relay.py", self.port, self.target, self.seed)

    def signal(self, number):
        self.helper.signal(number)

    def kill(self):
        if self.helper is not None:
            self.helper.kill()
        self.helper = None


class Proxy:
    """A process of the program under test. Its log goes to a file that all of them share."""

    def __init__(self, ground, beside=False):
        command = [str(ground.binary), "serve", "--config", str(ground.config)] + ["--beside"] * beside
        # What is set for others, this one's own name too, would count as settings.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KARBOR_ADMISSION_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=ground.log.open("ab"),
            env={**inherited, **ground.environment},
        )

    @property
    def pid(self):
        return self.process.pid

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def files(self):
        """What they are; sockets without their numbers."""
        folder, names = f"/proc/{self.pid}/fd", []
        for number in os.listdir(folder):
            try:
                names.append(re.sub(r":\[\d+\]", "", os.readlink(f"{folder}/{number}")))
            except FileNotFoundError:
                continue
        return names

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def resident(self):
        """KiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


class Ground:
    """All of it, from the first process to the last."""

    def __init__(self, binary, seed, mariadb=None):
        self.binary, self.seed, self.mariadb = binary, seed, mariadb
        self.environment, self.ledger_way = {}, None
        self.proxy, self.upgrading = None, False

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="soak-")
        self.folder = pathlib.Path(self._folder.name)
        self.config, self.log = self.folder / "soak.toml", self.folder / "log.jsonl"
        self.audit, self.seen = self.folder / "audit.jsonl", self.folder / "seen"
        self._authority()
        self.client_certificate = self.certify("client", "/CN=soak client", self.folder)
        self.new_certificates()
        self.karbor = Helper(HERE / "karbor.py", self.seen)
        self.relays = [Relay(int(self.karbor.said), self.seed + number) for number in range(RELAYS)]
        self._doors = [Kept(), Kept()]
        self.port, self.admin = (kept.port for kept in self._doors)
        self.ledger = f"sqlite:{self.folder}/ledger.sqlite"
        if self.mariadb:
            self._use_mariadb()
        self.write_config(ENTRIES[0])
        self.proxy = Proxy(self, beside=True)
        until("the proxy is ready", self.is_ready)
        return self

    def __exit__(self, *_):
        if self.proxy is not None and self.proxy.process.poll() is None:
            self.proxy.process.kill()
            self.proxy.process.wait()
        for relay in [*self.relays, self.ledger_way]:
            if relay is not None:
                relay.kill()
        self.karbor.kill()
        self._folder.cleanup()

    def _use_mariadb(self):
        """What `tests/ledger/mariadb` has started, by a way that can fail."""
        host, port, user, secret = self.mariadb.split(":")
        if host != "127.0.0.1":
            raise ValueError("the ledger's server must be on 127.0.0.1")
        self.ledger_way = Relay(int(port), self.seed)
        name = f"soak_{os.getpid()}"
        say = f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}"
        subprocess.run(
            ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={user}", "--skip-ssl", "--execute", say],
            env={**os.environ, "MYSQL_PWD": secret}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.ledger = f"mysql://{user}@127.0.0.1:{self.ledger_way.port}/{name}"
        self.environment["KARBOR_ADMISSION_LEDGER__PASSWORD"] = secret

    def is_ready(self):
        if self.proxy.process.poll() is not None:
            raise RuntimeError(f"the proxy ended:\n{self.log.read_text()[-3000:]}")
        return self.ask_admin("/readyz")[0] == 200

    def ask_admin(self, path):
        """Status and text; 0 where nobody answers."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""

    def metrics(self):
        """Each series with its value."""
        lines = self.ask_admin("/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name.removeprefix("karbor_admission_"): float(value) for name, value in pairs}

    def write_config(self, entries, more=""):
        endpoints = ", ".join(f'"http://127.0.0.1:{relay.port}"' for relay in self.relays)
        text = SETTINGS.format(
            port=self.port, admin=self.admin, folder=self.folder, endpoints=endpoints, ledger=self.ledger,
            entries=entries, warn=WARN, observe=OBSERVE, turned=TURNED, quota=QUOTA, rate=RATE,
            quota_checkpoints=QUOTA_CHECKPOINTS, rate_creations=RATE_CREATIONS, rate_seconds=RATE_SECONDS,
        )
        fresh = self.folder / "soak.toml.new"
        fresh.write_text(text + more)
        fresh.replace(self.config)

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def _authority(self):
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-days", "2", "-subj", "/CN=soak authority",
        )

    def certify(self, name, subject, folder):
        """A certificate for localhost and its key, as two files."""
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(paths[1]),
            "-out", "request.pem", "-subj", subject, "-addext", "subjectAltName=DNS:localhost",
        )
        self._openssl(
            "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-copy_extensions", "copy", "-out", str(paths[0]),
        )
        paths[1].chmod(0o600)
        return paths

    def new_certificates(self):
        """Puts other certificates into place, as mounted secrets change: by a link to another folder."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.certify("server", "/CN=localhost", place)
        link = self.folder / "certificates.new"
        link.symlink_to(place)
        link.replace(self.folder / "certificates")

    def upgrade(self):
        """Another process takes over while clients go on; gives the old one's exit status."""
        old, before = self.proxy, self.log.read_bytes().count(b'"listening')
        new = Proxy(self, beside=True)

        def listens():
            if new.process.poll() is not None:
                raise RuntimeError(f"the new proxy ended:\n{self.log.read_text()[-3000:]}")
            return self.log.read_bytes().count(b'"listening') > before

        until("the new proxy listens", listens)
        self.proxy = new
        return old.end(signal.SIGUSR1)
