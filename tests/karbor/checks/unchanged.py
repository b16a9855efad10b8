"""The client cannot tell the proxy is there: the same commands at Karbor and through the proxy print the same.

Without a ledger, wholly. With one, apart from the maps that it was given to keep.
"""
import json
import re

import ask
import lab

from . import CHECKPOINTS, VALUE, expect, token

# As wide as what it stands for, so that tables keep their shape.
_SAME = [
    (re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'), 'u' * 36),
    (re.compile(f'{lab.SAME_DIRECT}|{lab.SAME_PROXIED}|{lab.SAME_FORGETFUL}'), 't' * 32),
    (re.compile(r'\d{4}-\d{2}-\d{2}'), 'yyyy-mm-dd'),
    (re.compile(r'127\.0\.0\.1:\d+'), 'here:port'),
]
UNKNOWN = '00000000-0000-4000-8000-000000000000'

# What Karbor says of every checkpoint, and the two maps that are sent here.
OWN = {'created_by': 'manual'}
ONE = {'x-acme--reference': VALUE}
SEVERAL = {'x-acme--a:b.c': f'{VALUE} a=b=c', 'x-trigger-master--Some Name#1': '', 'karbor-trigger-id': VALUE,
           'karbor-created-by': 'manual', 'created_by': 'operation-engine'}


def alike(text):
    """`text` without what must differ between two runs: ids, dates, ports."""
    for pattern, same in _SAME:
        text = pattern.sub(same, text)
    return text


def filled(entries):
    """The text of a map as it is to come back: Karbor's own entries, then the kept ones."""
    return json.dumps({**{key: value for key, value in OWN.items() if key not in entries}, **entries})


def without_maps(text):
    """`text` with what Karbor alone would say in place of the maps, and of what a table makes of their width."""
    for entries in ONE, SEVERAL:
        for form in (lambda found: found), (lambda found: json.dumps(found)[1:-1]):
            text = text.replace(form(filled(entries)), form(json.dumps(OWN)))
    return re.sub(' +', ' ', re.sub('-{4,}', '----', text))


class Side:
    """One of the places, a tenant of its own, and what it has made there."""

    def __init__(self, world, base, tenant, keeps=False):
        self.world, self.base, self.tenant, self.keeps = world, base, tenant, keeps
        self.cli = world.cli(tenant, base)
        self.plan = self.checkpoint = None

    def make_plan(self):
        run = self.cli('plan-create', 'a plan', lab.PROVIDER, f'{ask.IMAGE}=OS::Glance::Image=an image')
        self.plan = run.property('id')
        return run

    def create(self, *options, entries=None):
        given = ['--extra_info', *(f'{key}={value}' for key, value in entries.items())] if entries else []
        run = self.cli('checkpoint-create', lab.PROVIDER, self.plan, *options, *given)
        self.checkpoint = run.property('id') or self.checkpoint
        self.shows(run, entries)
        self.world.settled(self.tenant)
        return run

    def shows(self, run, entries):
        """`run`, if it printed this map, or just what Karbor says where nothing keeps it."""
        wanted = filled(entries) if self.keeps and entries else json.dumps(OWN)
        expect(run.property('extra_info') == wanted, f'not {wanted}: {run}')
        return run

    def at(self, command, *options):
        return self.cli(command, *options, lab.PROVIDER, self.checkpoint)

    def same(self, text):
        """`text` from here, or from elsewhere, without what may differ here."""
        return without_maps(alike(text)) if self.keeps else alike(text)

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
     lambda s: s.create(entries=ONE), 0),
    ('checkpoint-show of one with a map', lambda s: s.shows(s.at('checkpoint-show'), ONE), 0),
    ('checkpoint-create --extra_info with several entries',
     lambda s: s.create(entries=SEVERAL), 0),
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
        seen.append((side, answer, kept, ids))
    _, direct, direct_headers, direct_ids = seen[0]
    for side, answer, kept, ids in seen[1:]:
        expect(answer.status == direct.status, f'{answer}; directly {direct}')
        # A list in a bank of files comes in no order: as sets of characters the bodies would be too weak, as lines enough.
        texts = [sorted(side.same(a.body.decode('utf-8', 'replace')).split('}, {')) for a in (direct, answer)]
        expect(texts[0] == texts[1], f'{answer}; directly {direct}')
        kept.pop('via', None)
        if len(answer.body) != len(direct.body) and side.keeps:
            expect(int(kept.pop('content-length')) == len(answer.body), f'headers {kept}')
            kept['content-length'] = direct_headers.get('content-length')
        expect(kept == direct_headers, f'headers {kept}; directly {direct_headers}')
        expect(ids >= direct_ids, f'request ids in {ids}; directly in {direct_ids}')


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

    def all_of(world):
        if not sides:
            sides.extend([
                Side(world, world.lab.direct, lab.SAME_DIRECT),
                Side(world, world.lab.forgetful.url, lab.SAME_FORGETFUL),
                Side(world, world.lab.proxied, lab.SAME_PROXIED, keeps=True),
            ])
        return sides

    def command(title, act, code):
        @checks.check(f'the same as without the proxy: {title}')
        def compare(world):
            runs = [(side, act(side)) for side in all_of(world)]
            direct = runs[0][1]
            expect(direct.exit == code, f'directly: {direct}')
            for side, run in runs[1:]:
                expect((run.exit, side.same(run.out), side.same(run.err))
                       == (direct.exit, side.same(direct.out), side.same(direct.err)), f'{run}; directly {direct}')

    for row in COMMANDS:
        command(*row)

    def request(title, *how):
        @checks.check(f'the same as without the proxy: HTTP, {title}')
        def compare(world):
            _compare_requests(all_of(world), *how)

    for row in REQUESTS:
        request(*row)

    @checks.check('the same as without the proxy: copy')
    def copy(world):
        direct, *others = (_copy(side) for side in all_of(world))
        expect(direct[0] == 1, f'directly {direct[0]} copies')
        for other in others:
            expect(other == direct, f'{other}; directly {direct}')

    @checks.check('the same as without the proxy: Python API')
    def python(world):
        api, side = world.api(lab.SAME_PROXIED), all_of(world)[2]
        made = api.checkpoints.create(lab.PROVIDER, side.plan, ONE)
        expect(made.status == 'protecting' and made.project_id == lab.SAME_PROXIED, made.to_dict())
        expect(json.loads(made.extra_info) == {**OWN, **ONE}, f'created with {made.extra_info}')
        listed = {c.id: c.extra_info for c in api.checkpoints.list(lab.PROVIDER)}
        expect(made.id in listed, 'created, but not listed')
        expect(json.loads(listed[made.id]) == {**OWN, **ONE}, f'listed with {listed[made.id]}')
        world.settled(lab.SAME_PROXIED)
        api.checkpoints.reset_state(lab.PROVIDER, made.id, 'error')
        shown = api.checkpoints.get(lab.PROVIDER, made.id)
        expect(shown.status == 'error', 'state not reset')
        expect(json.loads(shown.extra_info) == {**OWN, **ONE}, f'shown with {shown.extra_info}')
        api.checkpoints.delete(lab.PROVIDER, made.id)
        world.settled(lab.SAME_PROXIED)
        expect(made.id not in world.checkpoints(lab.SAME_PROXIED), 'deleted, but listed')
