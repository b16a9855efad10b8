"""Ledgers to measure: where they are, and what fills them. Leaves the proxy to `stage`."""

import itertools
import os
import pathlib
import subprocess
import tempfile

import stage

# Where the server is: HOST:PORT:USER:PASSWORD, as tests/ledger/mariadb says it.
SERVER = os.environ.get("LEDGER_TEST_MARIADB")
TENANTS = 100
ID = "{:032x}"


class Places:
    """A folder and databases of our own, gone with the block."""

    def __init__(self):
        self._databases = []
        self._folder = tempfile.TemporaryDirectory(prefix="karbor-admission-load-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for database in self._databases:
            _sql(f"DROP DATABASE {database}")
        self._folder.cleanup()

    def engines(self):
        return ["sqlite", "mariadb"] if SERVER else ["sqlite"]

    def new(self, engine, name):
        """What a proxy with a ledger of its own is told: URL and environment."""
        if engine == "sqlite":
            return {"ledger": f"sqlite:{self._folder.name}/{name}.sqlite"}
        host, port, user, password = SERVER.split(":", 3)
        database = f"load_{os.getpid()}_{name}"
        _sql(f"CREATE DATABASE {database}")
        self._databases.append(database)
        return {
            "ledger": f"mysql://{user}@{host}:{port}/{database}",
            "environment": {"KARBOR_ADMISSION_LEDGER__PASSWORD": password},
        }


def _sql(text):
    host, port, user, password = SERVER.split(":", 3)
    subprocess.run(
        ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={user}", "-e", text],
        env={**os.environ, "MYSQL_PWD": password},
        check=True,
    )


def server_process():
    """The number of the server's process, if it is one of this machine."""
    port = f"--port={SERVER.split(':')[1]}".encode()
    for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"mariadbd") and port in words:
            return int(line.parent.name)
    return None


def export(binary, proxy, place):
    """The lines of a proxy's ledger, without the heading."""
    done = subprocess.run(
        [binary, "export", "--config", str(proxy.config)],
        env={**os.environ, **place.get("environment", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return done.stdout.splitlines(keepends=True)[1:]


def fill(binary, proxy, place, entries, kept):
    """Has a proxy's ledger hold `kept`, lines of another, and so many entries in all."""
    feeder = subprocess.Popen(
        [binary, "import", "--config", str(proxy.config)],
        env={**os.environ, **place.get("environment", {})},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    feeder.stdin.write(b'{"karbor_admission_ledger":1}\n')
    feeder.stdin.writelines(itertools.chain(kept, map(_line, range(entries - len(kept)))))
    feeder.stdin.close()
    if feeder.wait() != 0:
        raise RuntimeError("the import failed")


def _line(at):
    """An entry like those of `ledger.py`: its trigger's id is shared by four others, none of them theirs."""
    tenant = stage.project(at % TENANTS)
    environment = "prod" if at // TENANTS % 2 else "test"
    text = (
        f'{{"id":"{ID.format(at)}","tenant":"{tenant}","provider":"{stage.PROVIDER}","plan":"plan",'
        f'"checkpoint":"filled-{at}","state":"kept","extra_info":{{"x-trigger-master--trigger-id":"f{at // 500}-{at % TENANTS}",'
        f'"x-trigger-master--environment":"{environment}","karbor-created-by":"trigger"}},"reserved_at":{at},'
        f'"changed_at":{at},"due_at":null,"created_at":{at},"request_id":"req","revision":"load"}}\n'
    )
    return text.encode()
