"""A proxy with a ledger of its own that checks may end and start again, and what they ask of it."""
import contextlib
import json
import sqlite3

import ask
import lab
import relay

from . import CHECKPOINTS, expect, token

# One tenant for each subject, so that none sees what another left.
KEPT = 'e0' * 16
SEARCHED = 'e1' * 16
FULL = 'e2' * 16
HURRIED = 'e3' * 16
REFUSED = 'e4' * 16
COPIED = 'e5' * 16
GUEST = 'e6' * 16
HOST = 'e7' * 16
SHARED = 'e8' * 16
CROWDED = 'e9' * 16
VERIFIED = 'ea' * 16
LOST = 'f0' * 16
KILLED = 'f1' * 16
TWO_PROXIES = 'f2' * 16
TWO_PROXIES_LOST = 'f3' * 16

TENANTS = f'''
[tenants.{KEPT}.quotas]
checkpoints = 100

[tenants.{FULL}.quotas]
checkpoints = 2

[tenants.{HURRIED}.quotas]
creations = "2 / 1h"

[tenants.{REFUSED}.quotas]
checkpoints = 5

[tenants.{SHARED}.quotas.applications.trigger-master]
stored_entries = 2

[tenants.{CROWDED}.quotas]
checkpoints = 5

[tenants.{LOST}.quotas]
checkpoints = 2

[tenants.{KILLED}.quotas]
checkpoints = 100

[tenants.{TWO_PROXIES}.quotas]
checkpoints = 5

[tenants.{TWO_PROXIES_LOST}.quotas]
checkpoints = 5
'''

LEASE_SECONDS = 20
SETTINGS = {
    'upstream': 'first_byte_timeout = "12s"\nidle_timeout = "5s"\nqueue_timeout = "1s"',
    'ledger': f'lease = "{LEASE_SECONDS}s"',
}

# On its first day a ledger ties no checkpoint to what was lost.
OLDER = 'UPDATE schema_version SET applied_at = applied_at - 172800000'

# What Karbor says of every checkpoint by itself.
OWN = {'created_by': 'manual'}


class Keeper:
    """That proxy, Karbor behind a relay."""

    def __init__(self, world, name, ledger, more=''):
        self.world = world
        self.relay = relay.Relay(world.lab.karbor_port)
        settings = {**SETTINGS, 'ledger': f'{SETTINGS["ledger"]}\n{more}'}
        self.proxy = world.lab.add_proxy(name, self.relay.port, ledger, tenants=TENANTS, settings=settings)
        self.proxy.start()

    def cli(self, tenant):
        return self.world.cli(tenant, self.proxy.url)

    def api(self, tenant):
        from karborclient import client
        return client.Client('1', endpoint=f'{self.proxy.url}/v1/{tenant}', token=token(tenant))

    def request(self, method, path, tenant, body=None, as_tenant=None, sent_token=None):
        """Plain HTTP; `path` goes on after the tenant."""
        told = token(as_tenant or tenant) if sent_token is None else sent_token
        return ask.http_request(f'{self.proxy.url}/v1/{tenant}{path}', method, told, body)

    def post(self, tenant, entries, plan=None):
        """The answer to a creation with this map."""
        body = {'checkpoint': {'plan_id': plan or self.world.plan(tenant), 'extra-info': entries}}
        return self.request('POST', CHECKPOINTS, tenant, body)

    def create(self, tenant, entries):
        """The id of a checkpoint that was made with this map."""
        answer = self.post(tenant, entries)
        expect(answer.status == 200, answer)
        made = answer.json()['checkpoint']
        expect(json.loads(made['extra_info']) == {**OWN, **(entries or {})}, f'created with {made["extra_info"]}')
        return made['id']

    def shown(self, tenant, checkpoint):
        """The map in the answer to a show."""
        answer = self.request('GET', f'{CHECKPOINTS}/{checkpoint}', tenant)
        expect(answer.status == 200, answer)
        return json.loads(answer.json()['checkpoint']['extra_info'])

    def listed(self, tenant, query=''):
        """The maps in the answer to a list, by id."""
        answer = self.request('GET', CHECKPOINTS + query, tenant)
        expect(answer.status == 200, answer)
        return {c['id']: json.loads(c['extra_info']) for c in answer.json()['checkpoints']}

    def verify(self, tenant, *options):
        """What `verify` prints of each checkpoint, by id, and its exit code."""
        token_file = self.world.lab.state / 'token'
        token_file.write_text(token(tenant) + '\n')
        done = self.proxy.run('verify', '--karbor-url', self.world.lab.direct, '--token-file', str(token_file),
                              '--tenant', tenant, '--provider', lab.PROVIDER, *options)
        lines = (line.split(' ', 1)[1].split(': ') for line in done.stdout.splitlines())
        return {made: said for made, said in lines}, done.returncode

    def limits(self, tenant):
        """What the tenant is told of its limits and quotas."""
        answer = self.request('GET', '/extra-info-limits', tenant)
        expect(answer.status == 200, answer)
        return answer.json()['extra_info_limits']

    def used(self, tenant):
        """How many checkpoints are charged to the tenant."""
        return self.limits(tenant)['quotas']['project']['checkpoints']['used']


def keeper(world):
    """The one of this run, started when first asked for."""
    if 'keeper' not in world.notes:
        ledger = world.lab.state / 'kept.sqlite'
        world.notes['keeper'] = Keeper(world, 'keeper', f'sqlite:{ledger}')
        with contextlib.closing(sqlite3.connect(str(ledger), isolation_level=None, timeout=10)) as other:
            other.execute(OLDER)
    return world.notes['keeper']

