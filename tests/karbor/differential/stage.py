"""The proxy and Karbor's application behind it, as processes of one worker."""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.request

import lab
import places

HERE = pathlib.Path(__file__).resolve().parent

PROXY_TOML = '''
[server]
listen = "127.0.0.1:{port}"
workers = 1

[admin]
listen = "127.0.0.1:{admin}"

[upstream]
endpoints = ["http://127.0.0.1:{upstream}"]
pool_idle_per_worker = {pooled}

[audit]
file = ""

[ledger]
url = "off"
'''

KARBOR_CONF = '''
[DEFAULT]
auth_strategy = noauth
transport_url = fake://
host = oracle
osapi_karbor_listen = 127.0.0.1
osapi_karbor_listen_port = {port}
osapi_karbor_workers = 1
api_paste_config = {venv}/etc/karbor/api-paste.ini
state_path = {state}

[database]
connection = sqlite://

[oslo_concurrency]
lock_path = {state}

[oslo_messaging_notifications]
driver = noop
'''

# Requests that went to Karbor, those of them that were given up without an answer, and all that are under way.
COUNTERS = (
    ('karbor_admission_upstream_requests_total{', ''), ('karbor_admission_upstream_requests_total{', 'status="none"'),
    ('karbor_admission_requests_in_flight ', ''))
# So long Karbor may take to note what it has got.
SETTLE = 5


class Stage:
    """Started by `start`; counts from there."""

    def __init__(self, proxy, generation, folder):
        self.proxy_binary, self.generation = proxy, generation
        folder.mkdir(parents=True, exist_ok=True)
        self.state = pathlib.Path(tempfile.mkdtemp(prefix='differential-', dir=folder))
        karbor, port, self.admin = lab.free_ports(3)
        self.address = '127.0.0.1', port
        self.karbor_address = '127.0.0.1', karbor
        self.records = self.state / 'records.jsonl'
        self.read = 0
        self.processes = []
        (self.state / 'karbor.conf').write_text(
            KARBOR_CONF.format(port=karbor, state=self.state, venv=sys.prefix))
        # uWSGI closes after each answer without having said so: whoever keeps the connection finds it dead.
        (self.state / 'proxy.toml').write_text(PROXY_TOML.format(
            port=port, admin=self.admin, upstream=karbor, pooled=0 if generation == 'uwsgi' else 64))

    def start(self):
        environment = {'ORACLE_CONFIGURATION': str(self.state / 'karbor.conf'), 'ORACLE_RECORDS': str(self.records),
                       'PYTHONPATH': os.pathsep.join((str(HERE), str(HERE.parent)))}
        if self.generation == 'uwsgi':
            argv = [
                pathlib.Path(sys.prefix) / 'bin/uwsgi', '--http-socket', '%s:%d' % self.karbor_address,
                '--virtualenv', sys.prefix, '--module', 'oracle_uwsgi:application', '--processes', '1', '--master',
                '--lazy-apps', '--die-on-term', '--buffer-size', '65535', '--disable-logging', '--listen', '100']
        else:
            argv = [sys.executable, str(HERE / 'oracle_eventlet.py')]
        karbor = lab.Process('Karbor', argv, self.state / 'karbor.out', environment)
        self.processes.append(karbor)
        karbor.ready_at('http://%s:%d/v1/%s/providers' % (*self.karbor_address, places.PROJECT), 60)
        proxy = lab.Process('the proxy', [self.proxy_binary, 'serve', '--config', str(self.state / 'proxy.toml')],
                            self.state / 'proxy.log', {'MALLOC_ARENA_MAX': '2'})
        self.processes.append(proxy)
        proxy.ready_at('http://127.0.0.1:%d/readyz' % self.admin, 20)
        self.take_records()
        self.counted = self.counts()

    def alive(self):
        return all(process.child.poll() is None for process in self.processes)

    def counts(self):
        """What the proxy has counted since it started, as in `COUNTERS`."""
        with urllib.request.urlopen('http://127.0.0.1:%d/metrics' % self.admin, timeout=20) as page:
            lines = page.read().decode().splitlines()
        sums = [0] * len(COUNTERS)
        for line in lines:
            for at, (start, label) in enumerate(COUNTERS):
                if line.startswith(start) and label in line:
                    sums[at] += int(float(line.rsplit(' ', 1)[1]))
        return sums

    def take_records(self):
        """The records since the last time. A line that is not whole yet waits for the next."""
        with open(self.records, 'rb') as file:
            file.seek(self.read)
            data = file.read()
        whole = data.rfind(b'\n') + 1
        self.read += whole
        return [json.loads(line) for line in data[:whole].splitlines()]

    def settle(self):
        """The records and the first two counts since the last time, once they agree or `SETTLE` seconds later."""
        records, deadline = [], time.monotonic() + SETTLE
        while True:
            counts = self.counts()
            records += self.take_records()
            sent, given_up = (now - then for now, then in zip(counts[:2], self.counted))
            if (sent == len(records) and counts[2] == 0) or time.monotonic() > deadline:
                self.counted = counts
                return records, (sent, given_up)
            time.sleep(0.05)

    def stop(self):
        while self.processes:
            self.processes.pop().stop()

    def discard(self):
        shutil.rmtree(self.state, ignore_errors=True)
