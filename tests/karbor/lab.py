"""The real Karbor and the proxy as processes, with their configuration. Leaves what is asked of them to `ask`."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent

PROVIDER = '5b0f3c2e-7f1d-4d0a-9c51-0a6d2f6c7e01'

# Projects, and so tenants. Those of TENANTS_TOML are configured by name, the others fall under the defaults.
OPEN = 'a0' * 16
SAME_DIRECT = 'a1' * 16
SAME_PROXIED = 'a2' * 16
NARROW = 'b0' * 16
TIGHT = 'b1' * 16
WATCHED = 'c0' * 16
WARNED = 'c1' * 16
SCHEDULED = 'd0' * 16
# Behind the proxy without a ledger.
SAME_FORGETFUL = 'a3' * 16

TENANTS_TOML = f'''
[tenants.{NARROW}]
applications = ["trigger-master", "acme-*"]

[tenants.{TIGHT}.limits]
entries = 2
key_bytes = 24
value_bytes = 16
total_bytes = 64
body_bytes = 512

[tenants.{WATCHED}]
enforcement = "observe"

[tenants.{WARNED}]
enforcement = "warn"

[tenants.{SCHEDULED}]
applications = []
'''

PROXY_TOML = '''
[server]
listen = "127.0.0.1:{port}"
workers = 2

[admin]
listen = "127.0.0.1:{admin}"

[upstream]
endpoints = ["http://127.0.0.1:{upstream}"]
{settings[upstream]}

[audit]
file = "{audit}"

[ledger]
url = "{ledger}"
{settings[ledger]}
[policy.karbor_keys]
karbor-created-by = {{ values = ["manual", "operation-engine"] }}
karbor-trigger-id = {{}}
karbor-scheduled-operation-id = {{}}
{tenants}'''

# Lines for tables of PROXY_TOML.
NO_SETTINGS = {'upstream': '', 'ledger': ''}

KARBOR_CONF = '''
[DEFAULT]
auth_strategy = noauth
transport_url = fake://
host = lab
osapi_karbor_listen = 127.0.0.1
osapi_karbor_listen_port = {port}
osapi_karbor_workers = 1
api_paste_config = {venv}/etc/karbor/api-paste.ini
state_path = {state}
provider_config_dir = {state}/providers.d
log_file = {state}/karbor.log
# The time trigger's patterns are those of cron, and may come round every minute.
time_format = crontab
min_interval = 50
min_window_time = 5
max_window_time = 20
trigger_poll_interval = 1

[karbor_client]
version = 1

[database]
connection = sqlite:///{state}/karbor.sqlite

[oslo_concurrency]
lock_path = {state}/locks

[oslo_messaging_notifications]
driver = noop
'''

PROVIDER_CONF = '''
[provider]
name = files
description = protects nothing, keeps checkpoints as files
id = {provider}
plugin = karbor-noop-protection-plugin
bank = karbor-fs-bank-plugin
enabled = True

[file_system_bank_plugin]
file_system_bank_path = {state}/bank
bank_object_container = karbor
'''


class Broken(Exception):
    """The lab itself does not work, so that no check can tell anything."""


_given = set()


def free_ports(count):
    """That many loopback ports that nobody listens on, none of them given before."""
    held, ports = [], []
    while len(ports) < count:
        held.append(socket.create_server(('127.0.0.1', 0)))
        port = held[-1].getsockname()[1]
        if port not in _given:
            _given.add(port)
            ports.append(port)
    for s in held:
        s.close()
    return ports


def wait_for(what, seconds, probe):
    """The first true answer of `probe`, asked until `seconds` are over; then `Broken`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Broken(f'{what}: not within {seconds} s')
        time.sleep(0.1)


def inherited():
    """Our environment, without what the proxy, which takes settings from variables of its name, would take for its."""
    return {name: value for name, value in os.environ.items() if not name.startswith('KARBOR_ADMISSION_')}


class Process:
    """A program started by us, and its output in a file."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.log = name, log
        # What is started again goes on in the same file.
        with open(log, 'ab') as out:
            # A session of its own: Ctrl-C reaches the runner alone, which then stops everything in order.
            self.child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**inherited(), **(env or {})}, start_new_session=True)

    def ready_at(self, url, seconds):
        def probe():
            if self.child.poll() is not None:
                tail = ''.join(self.log.read_text(errors='replace').splitlines(True)[-15:])
                raise Broken(f'{self.name} ended with {self.child.returncode} before it was ready:\n{tail}')
            try:
                # Any 2xx: Karbor without authentication answers 204 to who brings no token.
                urllib.request.urlopen(url, timeout=5).close()
                return True
            except (OSError, urllib.error.URLError):
                return False
        wait_for(f'{self.name} ready', seconds, probe)

    def stop(self):
        """Asks it to end, insists after ten seconds; its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.child.returncode

    def kill(self):
        """Ends it on the spot."""
        self.child.kill()
        self.child.wait(10)


class Proxy:
    """A proxy that can be started again: same ports, same ledger."""

    def __init__(self, name, binary, state, upstream, ledger, tenants=TENANTS_TOML, settings=NO_SETTINGS):
        self.name, self.binary = name, binary
        self.config, self.log, self.audit_file = (state / f'{name}.{end}' for end in ('toml', 'log', 'jsonl'))
        port, admin = free_ports(2)
        self.url, self.admin = f'http://127.0.0.1:{port}', f'http://127.0.0.1:{admin}'
        self.address = '127.0.0.1', port
        self.process = None
        self.config.write_text(PROXY_TOML.format(
            port=port, admin=admin, upstream=upstream, audit=self.audit_file, tenants=tenants, settings=settings,
            ledger=ledger))

    def start(self):
        self.process = Process(f'the proxy {self.name}', [self.binary, 'serve', '--config', str(self.config)], self.log)
        self.process.ready_at(self.admin + '/readyz', 20)

    def stop(self):
        return self.process.stop() if self.process else 0

    def kill(self):
        self.process.kill()

    def run(self, *argv):
        """That command of the program with the same configuration, ended."""
        return subprocess.run([self.binary, argv[0], '--config', str(self.config), *argv[1:]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60,
                              env=inherited())

    def command(self, *argv):
        """What it prints; it must not fail."""
        done = self.run(*argv)
        if done.returncode != 0:
            raise Broken(f'{argv[0]} ended with {done.returncode}: {done.stderr.strip()}')
        return done.stdout



class Lab:
    """Karbor, the proxies in front of it, and the folder with their state.

    Most checks go through `proxy`; `forgetful` has no ledger. Both have been told of the same tenants.
    """

    def __init__(self, binary, folder):
        self.binary = binary
        self.venv = pathlib.Path(sys.prefix)
        folder.mkdir(parents=True, exist_ok=True)
        self.state = pathlib.Path(tempfile.mkdtemp(prefix='run-', dir=folder))
        self.access_log = self.state / 'karbor.log'
        self.karbor_port, = free_ports(1)
        self.direct = f'http://127.0.0.1:{self.karbor_port}'
        self.proxies, self.karbor = [], None
        self.proxy = self.add_proxy('proxy', self.karbor_port, f'sqlite:{self.state}/ledger.sqlite')
        self.forgetful = self.add_proxy('forgetful', self.karbor_port, 'off')
        self.proxied, self.admin, self.address = self.proxy.url, self.proxy.admin, self.proxy.address
        self.audit_file = self.proxy.audit_file
        self._write_karbor(self.karbor_port)

    def add_proxy(self, name, upstream, ledger, **others):
        """One more proxy, not started; stopped with all others."""
        self.proxies.append(Proxy(name, self.binary, self.state, upstream, ledger, **others))
        return self.proxies[-1]

    def _write_karbor(self, port):
        for part in 'providers.d', 'locks', 'bank':
            (self.state / part).mkdir()
        (self.state / 'karbor.conf').write_text(KARBOR_CONF.format(port=port, state=self.state, venv=self.venv))
        (self.state / 'providers.d' / 'files.conf').write_text(
            PROVIDER_CONF.format(provider=PROVIDER, state=self.state))

    def start(self):
        """All running and ready; the operation engine told that Karbor is where the proxy is."""
        configuration = ['--config-file', str(self.state / 'karbor.conf')]
        subprocess.run([self.venv / 'bin/karbor-manage', *configuration, 'db', 'sync'], check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.karbor = Process('Karbor', [sys.executable, str(HERE / 'karbor_service.py'), *configuration],
                              self.state / 'karbor.out',
                              {'ENGINE_ENDPOINT': self.proxied + '/v1/%(project_id)s'})
        self.karbor.ready_at(f'{self.direct}/v1/{OPEN}/providers', 60)
        self.proxy.start()
        self.forgetful.start()

    def stop(self):
        """Ends the proxies before Karbor; the exit codes of the proxies by name."""
        codes = {proxy.name: proxy.stop() for proxy in self.proxies}
        if self.karbor:
            self.karbor.stop()
        return codes

    def discard(self):
        shutil.rmtree(self.state, ignore_errors=True)
