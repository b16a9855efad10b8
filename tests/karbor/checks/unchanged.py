"""The client cannot tell the proxy is there: the same commands at Karbor and through the proxy print the same."""
import re

import ask
import lab

from . import CHECKPOINTS, VALUE, expect, token

# As wide as what it stands for, so that tables keep their shape.
_SAME = [
    (re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'), 'u' * 36),
    (re.compile(f'{lab.SAME_DIRECT}|{lab.SAME_PROXIED}'), 't' * 32),
    (re.compile(r'\d{4}-\d{2}-\d{2}'), 'yyyy-mm-dd'),
    (re.compile(r'127\.0\.0\.1:\d+'), 'here:port'),
]
UNKNOWN = '00000000-0000-4000-8000-000000000000'


def alike(text):
    """`text` without what must differ between two runs: ids, dates, ports."""
    for pattern, same in _SAME:
        text = pattern.sub(same, text)
    return text


class Side:
    """One of the two places, a tenant of its own, and what it has made there."""

    def __init__(self, world, base, tenant):
        self.world, self.base, self.tenant = world, base, tenant
        self.cli = world.cli(tenant, base)
        self.plan = self.checkpoint = None

    def make_plan(self):
        run = self.cli('plan-create', 'a plan', lab.PROVIDER, f'{ask.IMAGE}=OS::Glance::Image=an image')
        self.plan = run.property('id')
        return run

    def create(self, *options):
        run = self.cli('checkpoint-create', lab.PROVIDER, self.plan, *options)
        self.checkpoint = run.property('id') or self.checkpoint
        self.world.settled(self.tenant)
        return run

    def at(self, command, *options):
        return self.cli(command, *options, lab.PROVIDER, self.checkpoint)

    def fetch(self, method, path, body=None, headers=None):
        return ask.http_request(f'{self.base}{path}', method, token(self.tenant), body, headers)


# (title, what a side does, the exit code). In order: each goes on with what the ones before have made.
COMMANDS = [
    ('provider-list', lambda s: s.cli('provider-list'), 0),
    ('provider-show', lambda s: s.cli('provider-show', lab.PROVIDER), 0),
    ('plan-create', Side.make_plan, 0),
    ('plan-show', lambda s: s.cli('plan-show', s.plan), 0),
    ('plan-list', lambda s: s.cli('plan-list'), 0),
    ('checkpoint-create', Side.create, 0),
    ('checkpoint-show', lambda s: s.at('checkpoint-show'), 0),
    ('checkpoint-list of one', lambda s: s.cli('checkpoint-list', lab.PROVIDER), 0),
    ('checkpoint-create --extra_info with one entry',
     lambda s: s.create('--extra_info', f'x-acme--reference={VALUE}'), 0),
    ('checkpoint-create --extra_info with several entries',
     lambda s: s.create('--extra_info', f'x-acme--a:b.c={VALUE} a=b=c', 'x-trigger-master--Some Name#1=',
                        f'karbor-trigger-id={VALUE}', 'karbor-created-by=manual', 'created_by=operation-engine'), 0),
    ('checkpoint-create --extra_info without an entry', lambda s: s.create('--extra_info'), 0),
    ('checkpoint-list of four', lambda s: s.cli('checkpoint-list', lab.PROVIDER), 0),
    ('checkpoint-list --plan_id --limit', lambda s: s.cli('checkpoint-list', lab.PROVIDER, '--plan_id', s.plan,
                                                          '--limit', '2'), 0),
    ('checkpoint-reset-state to error', lambda s: s.at('checkpoint-reset-state'), 0),
    ('checkpoint-show of one in error', lambda s: s.at('checkpoint-show'), 0),
    ('checkpoint-reset-state --available', lambda s: s.at('checkpoint-reset-state', '--available'), 0),
    ('checkpoint-show of one reset', lambda s: s.at('checkpoint-show'), 0),
    ('checkpoint-delete', lambda s: s.at('checkpoint-delete'), 0),
    ('checkpoint-delete of an unknown one', lambda s: s.cli('checkpoint-delete', lab.PROVIDER, UNKNOWN), 1),
    ('checkpoint-show of an unknown one', lambda s: s.cli('checkpoint-show', lab.PROVIDER, UNKNOWN), 1),
    ('checkpoint-create with an unknown plan',
     lambda s: s.cli('checkpoint-create', lab.PROVIDER, UNKNOWN, '--extra_info', f'x-acme--a={VALUE}'), 1),
    ('plan-delete of an unknown one', lambda s: s.cli('plan-delete', UNKNOWN), 1),
    ('quota-show', lambda s: s.cli('quota-show', '--tenant', s.tenant), 0),
]

# (title, method, path, body, headers)
REQUESTS = [
    ('list', 'GET', '/v1/{t}{c}', None, {}),
    ('list, a full page', 'GET', '/v1/{t}{c}?limit=1&sort=id:asc', None, {}),
    ('list, a bad limit', 'GET', '/v1/{t}{c}?limit=none', None, {}),
    ('show', 'GET', '/v1/{t}{c}/{id}', None, {}),
    ('HEAD', 'HEAD', '/v1/{t}{c}/{id}', None, {}),
    ('no token', 'GET', '/v1/{t}/providers', None, {'X-Auth-Token': ''}),
    ('no route, as HTML', 'GET', '/v1/{t}/nothing', None, {'Accept': '*/*'}),
    ('no route, as text', 'GET', '/v1/{t}/nothing', None, {}),
    ('no method', 'PATCH', '/v1/{t}/providers', {}, {}),
    ('versions', 'GET', '/v1', None, {}),
    ("Karbor's own 500", 'GET', '/', None, {}),
    ('project of another token', 'GET', '/v1/' + lab.OPEN + '/plans', None, {}),
    ('bad state', 'PUT', '/v1/{t}{c}/{id}', {'os-resetState': {'state': 'no such'}}, {}),
    ('bad plan', 'POST', '/v1/{t}/plans', {'plan': {'name': ''}}, {}),
]

# What each hop or each request has of its own.
_OWN = {'date', 'connection', 'keep-alive', 'transfer-encoding', 'x-openstack-request-id', 'x-compute-request-id'}


def _compare_requests(sides, method, path, body, headers):
    seen = []
    for side in sides:
        answer = side.fetch(method, path.format(t=side.tenant, c=CHECKPOINTS, id=side.checkpoint), body, headers)
        kept = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in _OWN}
        ids = {name.lower() for name in answer.headers} & {'x-openstack-request-id', 'x-compute-request-id'}
        seen.append((answer, kept, ids))
    (direct, direct_headers, direct_ids), (proxied, proxied_headers, proxied_ids) = seen
    expect(proxied.status == direct.status, f'{proxied}; directly {direct}')
    # A list in a bank of files comes in no order: as sets of characters the bodies would be too weak, as lines enough.
    texts = [sorted(alike(a.body.decode('utf-8', 'replace')).split('}, {')) for a in (direct, proxied)]
    expect(texts[0] == texts[1], f'{proxied}; directly {direct}')
    proxied_headers.pop('via', None)
    expect(proxied_headers == direct_headers, f'headers {proxied_headers}; directly {direct_headers}')
    expect(proxied_ids >= direct_ids, f'request ids in {proxied_ids}; directly in {direct_ids}')


def _copy(side):
    """How many checkpoints a copy made, and its answer without ids."""
    # Of a plan of its own: Karbor cannot finish copying two checkpoints of one resource at once.
    side.make_plan()
    side.create()
    before = side.world.checkpoints(side.tenant)
    answer = side.fetch('POST', f'/v1/{side.tenant}{CHECKPOINTS}/action',
                        {'copy': {'plan_id': side.plan, 'parameters': {}}})
    expect(answer.status == 200, answer)
    after = side.world.settled(side.tenant)
    return len(set(after) - set(before)), alike(answer.body.decode())


def add(checks):
    sides = []

    def both(world):
        if not sides:
            sides.extend([Side(world, world.lab.direct, lab.SAME_DIRECT), Side(world, world.lab.proxied, lab.SAME_PROXIED)])
        return sides

    def command(title, act, code):
        @checks.check(f'the same as without the proxy: {title}')
        def compare(world):
            direct, proxied = (act(side) for side in both(world))
            expect(direct.exit == code, f'directly: {direct}')
            expect((proxied.exit, alike(proxied.out), alike(proxied.err)) == (direct.exit, alike(direct.out), alike(direct.err)),
                   f'{proxied}; directly {direct}')

    for row in COMMANDS:
        command(*row)

    def request(title, *how):
        @checks.check(f'the same as without the proxy: HTTP, {title}')
        def compare(world):
            _compare_requests(both(world), *how)

    for row in REQUESTS:
        request(*row)

    @checks.check('the same as without the proxy: copy')
    def copy(world):
        direct, proxied = (_copy(side) for side in both(world))
        expect(direct[0] == 1, f'directly {direct[0]} copies')
        expect(proxied == direct, f'{proxied}; directly {direct}')

    @checks.check('the same as without the proxy: Python API')
    def python(world):
        api, side = world.api(lab.SAME_PROXIED), both(world)[1]
        made = api.checkpoints.create(lab.PROVIDER, side.plan, {'x-acme--reference': VALUE})
        expect(made.status == 'protecting' and made.project_id == lab.SAME_PROXIED, made.to_dict())
        expect(made.id in [c.id for c in api.checkpoints.list(lab.PROVIDER)], 'created, but not listed')
        world.settled(lab.SAME_PROXIED)
        api.checkpoints.reset_state(lab.PROVIDER, made.id, 'error')
        expect(api.checkpoints.get(lab.PROVIDER, made.id).status == 'error', 'state not reset')
        api.checkpoints.delete(lab.PROVIDER, made.id)
        world.settled(lab.SAME_PROXIED)
        expect(made.id not in world.checkpoints(lab.SAME_PROXIED), 'deleted, but listed')
