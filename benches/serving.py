"""Programs that are measured, or serve those that are, on free ports of loopback: nginx as Karbor, and the proxy, with one
worker; and what it takes to start and end any.

Leaves what is asked of them, and beside what, to the benches.
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
        location ~ ^/v1/[^/]+/plans/[^/]+$ {{ return 200 '{plan_answer}'; }}
        location ~ ^/v1/[^/]+/providers/[^/]+/checkpoints$ {{ return 200 '{creation_answer}'; }}
        location = /requests {{ stub_status; }}
    }}
}}
"""
# Before what asks Karbor.
NGINX_BEFORE = NGINX + """
    upstream karbor {{
        server 127.0.0.1:{karbor};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
"""
# Answers without the body would come before its end: here it is read first, and Karbor answers a GET.
READER = NGINX_BEFORE + """
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        client_max_body_size 0;
        location / {{
            client_body_buffer_size 4m;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            proxy_http_version 1.1;
            rewrite ^ {plan_path} break;
            proxy_pass http://karbor;
        }}
    }}
}}
"""
OURS = """
server.listen = "127.0.0.1:{port}"
server.workers = {workers}
admin.listen = "127.0.0.1:{admin}"
upstream.endpoints = ["http://127.0.0.1:{karbor}"]
audit.file = "{audit}"
ledger.url = "off"
log.level = "warn"
{more}
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
        self._command, self._cores = [word.format(file=file, folder=self.folder, port=self.port) for word in command], cores

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=environment(),
                preexec_fn=lambda: os.sched_setaffinity(0, self._cores),
            )
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.name} does not listen: {(self.folder / 'log').read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        end(self._process)

    def code(self):
        """What it ended with, after the block."""
        return self._process.returncode

    def cpu(self):
        """Seconds that it has had of a core."""
        return cpu(self._process.pid)

    def cpu_of(self, thread):
        """Seconds that its thread of that name has had of a core; 0 without one."""
        tasks = pathlib.Path(f"/proc/{self._process.pid}/task").iterdir()
        own = [task for task in tasks if (task / "comm").read_text().rstrip() == thread]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in own) / 1e9

    def descriptors(self):
        """How many descriptors it has open; a connection is one."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

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


def reader(folder, cores, karbor):
    """nginx as a Karbor that reads bodies to their end."""
    return Peer("reader", folder, cores, READER, nginx(), karbor=karbor.port, plan_path=workload.PLAN_PATH)


def ours(name, folder, cores, binary, karbor, *, workers=1, audit=None, more=""):
    """The proxy, judging, with its audit lines in a file unless told otherwise; `more` are further settings."""
    audit = pathlib.Path(folder, name, "audit") if audit is None else audit
    return Peer(name, folder, cores, OURS, [str(binary), "serve", "--config", "{file}"],
                karbor=karbor.port, admin=free_port(), workers=workers, audit=audit, more=more)


def cpu(process):
    """Seconds that a process has had of a core, the kernel's work for it included: all threads, and of children too."""
    processes, spent = [process], 0
    for process in processes:
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
            processes += map(int, (task / "children").read_text().split())
    return spent / 1e9


def environment():
    """This program's, less its settings: whoever names the program by a variable like those does not mean one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KARBOR_ADMISSION_")}


def end(process, patience=PATIENCE):
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def nginx():
    return [shutil.which("nginx", path=PATH), "-e", "{folder}/errors", "-p", "{folder}", "-c", "{file}"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
