"""What a check is, what checks may use, and running them in order."""
import contextlib
import json
import re
import socket
import time
import traceback

import ask
import lab

# In every value of an entry that these checks send, so that it can be looked for where no value may stand.
VALUE = 'never-written-down'


class Failed(Exception):
    """A check did not find what it expects."""


def expect(condition, what):
    """Fails the running check with `what` (also an answer, for its text) unless `condition`."""
    if not condition:
        raise Failed(str(what))


def _one_line(text):
    return ' '.join(str(text).split())


class Checks:
    """Checks in the order in which they were added."""

    def __init__(self):
        self.list = []

    def check(self, title):
        """Adds the function below it, which is given the `World` and may return a text worth showing."""
        def add(function):
            self.list.append((title, function))
            return function
        return add

    def run(self, world, wanted):
        """Prints one line for each check whose title holds one of `wanted`; (passed, failed)."""
        passed = failed = 0
        for title, function in self.list:
            if not any(words in title for words in wanted):
                continue
            start = time.monotonic()
            try:
                shown = function(world)
                passed += 1
                print(f'ok    {title} ({time.monotonic() - start:.1f} s){": " + _one_line(shown) if shown else ""}')
            except (Failed, lab.Broken) as problem:
                failed += 1
                print(f'FAIL  {title}: {_one_line(problem)}')
            except Exception as problem:  # a check that breaks has failed, and the others still tell something
                failed += 1
                at = traceback.extract_tb(problem.__traceback__)[-1]
                print(f'FAIL  {title}: {problem!r} at {at.filename}:{at.lineno}')
        return passed, failed


def token(tenant, user='tess-whose-token-is-secret'):
    """A token of Karbor without authentication: the user's name and the project."""
    return f'{user}:{tenant}'


class World:
    """The lab, and what several checks need of it."""

    # Who looks at Karbor directly, told apart from clients in Karbor's log.
    LOOKER = 'looker'

    def __init__(self, running_lab):
        self.lab = running_lab
        self.plans = {}
        self.notes = {}

    def cli(self, tenant, base=None):
        return ask.Cli(base or self.lab.proxied, tenant, token(tenant))

    def api(self, tenant):
        """The official client's Python API, through the proxy."""
        from karborclient import client
        return client.Client('1', endpoint=f'{self.lab.proxied}/v1/{tenant}', token=token(tenant))

    def request(self, method, path, tenant, body=None, headers=None):
        """Plain HTTP through the proxy; `path` goes on after the tenant."""
        return ask.http_request(f'{self.lab.proxied}/v1/{tenant}{path}', method, token(tenant), body, headers)

    def raw(self, data):
        """The answers to these bytes on one connection to the proxy."""
        return ask.raw(self.lab.address, data)

    def leave(self, data):
        """Sends these bytes to the proxy and hangs up."""
        with socket.create_connection(self.lab.address, timeout=10) as connection:
            connection.sendall(data)

    def look(self, tenant, path, method='GET', body=None):
        """Karbor's own answer, past the proxy."""
        return ask.http_request(f'{self.lab.direct}/v1/{tenant}{path}', method, token(tenant, self.LOOKER), body)

    def plan(self, tenant):
        """A plan of that tenant, made at Karbor directly when first asked for."""
        if tenant not in self.plans:
            made = self.look(tenant, '/plans', 'POST', {'plan': {
                'name': 'a plan', 'description': '', 'provider_id': lab.PROVIDER, 'parameters': {},
                'resources': [{'id': ask.IMAGE, 'type': 'OS::Glance::Image', 'name': 'an image'}]}})
            if made.status != 200:
                raise lab.Broken(f'no plan: {made}')
            self.plans[tenant] = made.json()['plan']['id']
        return self.plans[tenant]

    def body(self, tenant, extra_info):
        """A creation's body as the official client writes it."""
        return json.dumps({'checkpoint': {'plan_id': self.plan(tenant), 'extra-info': extra_info}}).encode()

    def checkpoints(self, tenant):
        """What Karbor lists, by id."""
        listed = self.look(tenant, f'{CHECKPOINTS}?limit=1000')
        if listed.status != 200:
            raise lab.Broken(f'no list: {listed}')
        return {c['id']: c for c in listed.json()['checkpoints']}

    def settled(self, tenant):
        """The same, once Karbor works on none of them any more."""
        def probe():
            found = self.checkpoints(tenant)
            busy = {'protecting', 'copying', 'wait_copying', 'deleting'}
            return None if any(c['status'] in busy for c in found.values()) else [found]
        return lab.wait_for('checkpoints settled', 20, probe)[0]

    def arrived(self, tenant):
        """How many requests about that tenant reached Karbor from anyone but us."""
        # Karbor writes one line when it has answered. Ours, asked last, fences those before it.
        self.look(tenant, '/providers')
        ours = f' {self.LOOKER} '
        return sum(1 for line in self.lab.access_log.read_text(errors='replace').splitlines()
                   if 'eventlet.wsgi.server' in line and tenant in line and ours not in line)

    @contextlib.contextmanager
    def nothing_reaches(self, tenant):
        """Fails the check if within it Karbor gets a request about the tenant, or a checkpoint of it."""
        before = self.arrived(tenant), set(self.checkpoints(tenant))
        yield
        after = self.arrived(tenant), set(self.checkpoints(tenant))
        expect(before[1] == after[1], f'a checkpoint came into being: {after[1] - before[1]}')
        expect(before[0] == after[0], f'{after[0] - before[0]} requests reached Karbor')

    @contextlib.contextmanager
    def makes(self, tenant, count):
        """Fails the check unless within it Karbor gets this many new checkpoints of the tenant. Gives their ids."""
        before, new = set(self.checkpoints(tenant)), []
        yield new
        new.extend(set(self.checkpoints(tenant)) - before)
        expect(len(new) == count, f'{len(new)} checkpoints came into being, not {count}')

    def audit(self):
        """Every audit line so far."""
        if not self.lab.audit_file.exists():
            return []
        whole = self.lab.audit_file.read_text().rpartition('\n')[0]
        return [json.loads(line) for line in whole.splitlines()]

    def audited(self, request_id):
        """The one audit line of that request."""
        # Lines are written off the hot path: the answer may be there first.
        lines = lab.wait_for(f'audit line of {request_id}', 5, lambda: [
            line for line in self.audit() if line.get('request_id') == request_id])
        expect(len(lines) == 1, f'{len(lines)} audit lines of {request_id}')
        return lines[0]

    def metrics(self, proxy=None):
        """{(name, {label=value, …}): number} of an admin listener."""
        text = ask.http_request((proxy or self.lab.proxy).admin + '/metrics', 'GET', '').body.decode()
        return {(m[1], frozenset(re.findall(r'(\w+)="([^"]*)"', m[2] or ''))): float(m[3])
                for m in re.finditer(r'^(\w+)(\{[^}]*\})? (\S+)$', text, re.M)}

    def metric(self, name, **labels):
        """The sum of that metric where it has these labels."""
        wanted = set(labels.items())
        return sum(number for (found, has), number in self.metrics().items()
                   if found == 'karbor_admission_' + name and wanted <= has)


CHECKPOINTS = f'/providers/{lab.PROVIDER}/checkpoints'
