"""nginx as Karbor, and before it nginx, HAProxy and the proxy, each with one worker, on free ports of loopback.

Leaves what is asked of them and what it takes to `run`.
"""

import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import time

import workload

PATIENCE = 30
# Daemons stand there, where an ordinary user's PATH does not lead.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_buffer_size 64k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
"""
KARBOR = NGINX + """
    default_type application/json;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = {plan_path} {{ return 200 '{plan_answer}'; }}
        location = {checkpoints_path} {{ return 200 '{creation_answer}'; }}
    }}
}}
"""
PLAIN_NGINX = NGINX + """
    upstream karbor {{
        server 127.0.0.1:{karbor};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://karbor; }}
    }}
}}
"""
PLAIN_HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend clients
    bind 127.0.0.1:{port} backlog 1024
    default_backend karbor
backend karbor
    server karbor 127.0.0.1:{karbor}
"""
OURS = """
server.listen = "127.0.0.1:{port}"
server.workers = 1
admin.listen = "127.0.0.1:{admin}"
upstream.endpoints = ["http://127.0.0.1:{karbor}"]
audit.file = "{folder}/audit"
ledger.url = "off"
log.level = "warn"
"""


class Peer:
    """A program that serves on `port` within the block. Its settings, and all that it writes, are in a folder of its
    own."""

    def __init__(self, name, folder, cores, settings, command, **values):
        self.name, self.port = name, free_port()
        self.folder = pathlib.Path(folder, name)
        self.folder.mkdir()
        file = self.folder / "settings"
        user = "user root;" if os.geteuid() == 0 else ""
        file.write_text(settings.format(port=self.port, folder=self.folder, user=user, **values))
        self._command, self._cores = [word.format(file=file, folder=self.folder) for word in command], cores

    def __enter__(self):
        # Whoever names the program by a variable like its settings does not mean a setting.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KARBOR_ADMISSION_")}
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=inherited, preexec_fn=lambda: os.sched_setaffinity(0, self._cores)
            )
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.name} does not listen: {(self.folder / 'log').read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cpu(self):
        """Seconds that it has had of a core, the kernel's work for it included: all threads, and of children too."""
        processes, spent = [self._process.pid], 0
        for process in processes:
            for task in pathlib.Path(f"/proc/{process}/task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
                processes += map(int, (task / "children").read_text().split())
        return spent / 1e9

    def status(self, request):
        """The status of its answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(request.method, request.path, request.body, request.fields)
        return connection.getresponse().status

    def forget(self):
        """Drops what it has written of single requests: some hundred megabytes a round."""
        audit = self.folder / "audit"
        if audit.exists():
            os.truncate(audit, 0)


def karbor(folder, cores):
    """nginx as Karbor: the same bytes to each request."""
    return Peer(
        "karbor", folder, cores, KARBOR, nginx(),
        plan_path=workload.PLAN_PATH, plan_answer=workload.PLAN_ANSWER,
        checkpoints_path=workload.CHECKPOINTS_PATH, creation_answer=workload.CREATION_ANSWER,
    )


def peers(folder, cores, karbor, binaries):
    """What is compared. nginx and HAProxy judge nothing; `binaries` are those of the proxy, by name."""
    plain = [Peer("nginx", folder, cores, PLAIN_NGINX, nginx(), karbor=karbor.port)]
    if haproxy := shutil.which("haproxy", path=PATH):
        command = [haproxy, "-db", "-f", "{file}"]
        plain.append(Peer("haproxy", folder, cores, PLAIN_HAPROXY, command, karbor=karbor.port))
    return plain + [
        Peer(name, folder, cores, OURS, [str(binary), "serve", "--config", "{file}"],
             karbor=karbor.port, admin=free_port())
        for name, binary in binaries.items()
    ]


def nginx():
    return [shutil.which("nginx", path=PATH), "-e", "{folder}/errors", "-p", "{folder}", "-c", "{file}"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
