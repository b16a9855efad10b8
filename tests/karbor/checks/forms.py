"""Creations and changes as other clients than the official one write them."""
import json

import lab

from . import CHECKPOINTS, VALUE, expect
from .denials import audited_denial, says

UNKNOWN = '00000000-0000-4000-8000-000000000000'
GOOD = {'x-acme--reference': VALUE}

# (title, what makes the body of a plan's id)
SHORT_BODIES = [
    ('flat', lambda plan: {'plan_id': plan, 'extra-info': GOOD}),
    ('flat, without a map', lambda plan: {'plan_id': plan}),
    ('wrapped', lambda plan: {'checkpoint': {'plan_id': plan, 'extra-info': GOOD}}),
]

# (title, body with PLAN for a plan's id, status, rule). All are taken or misread by Karbor, or by some reader.
BODIES = [
    ('the map twice, the last one in order', '{"checkpoint": {"plan_id": "PLAN", "extra-info": {"bad": "1"}, "extra-info": {}}}',
     400, 'duplicate-member'),
    ('the map twice, once escaped', '{"checkpoint": {"plan_id": "PLAN", "extra-info": {}, "\\u0065xtra-info": {"bad": "1"}}}',
     400, 'duplicate-member'),
    ('the checkpoint twice', '{"checkpoint": {"plan_id": "PLAN"}, "checkpoint": {"plan_id": "PLAN"}}', 400, 'duplicate-member'),
    ('a key twice', '{"checkpoint": {"plan_id": "PLAN", "extra-info": {"x-a--b": "1", "x-a--b": "2"}}}', 400, 'duplicate-member'),
    ('an escaped name for the map', '{"checkpoint": {"plan_id": "PLAN", "\\u0065xtra-info": {"bad": "1"}}}', 400, 'malformed-key'),
    ('another spelling of the map', '{"checkpoint": {"plan_id": "PLAN", "extra_info": {"x-a--b": "1"}}}', 400, 'unknown-member'),
    ('a member beside the checkpoint', '{"checkpoint": {"plan_id": "PLAN"}, "type": "x"}', 400, 'unknown-member'),
    ('NaN', '{"checkpoint": {"plan_id": "PLAN", "extra-info": NaN}}', 400, 'malformed-body'),
    ('half a character', '{"checkpoint": {"plan_id": "PLAN", "extra-info": {"x-a--b": "\\ud800"}}}', 400, 'malformed-body'),
    ('something after the end', '{"checkpoint": {"plan_id": "PLAN"}} {}', 400, 'malformed-body'),
    ('a list', '[]', 400, 'malformed-body'),
    ('nothing', '', 400, 'malformed-body'),
]

# (title, headers of a good creation)
UNREADABLE = [
    ('text', {'Content-Type': 'text/plain'}),
    ('a content coding', {'Content-Encoding': 'gzip'}),
    ('merge patch', {'Content-Type': 'application/merge-patch+json'}),
]

# (title, method, path below the checkpoint, body)
CHANGES = [
    ('PUT', 'PUT', '', {'extra-info': GOOD}),
    ('PUT, the other spelling', 'PUT', '', {'checkpoint': {'extra_info': GOOD}}),
    ('PUT beside a reset of the state', 'PUT', '', {'os-resetState': {'state': 'error'}, 'extra-info': GOOD}),
    ('PUT inside a reset of the state', 'PUT', '', {'os-resetState': {'state': 'error', 'extra-info': {}}}),
    ('PATCH', 'PATCH', '', {'extra-info': GOOD}),
    ('POST', 'POST', '', {'extra-info': GOOD}),
    ('PUT of the sub-resource', 'PUT', '/extra-info', GOOD),
    ('PUT of one entry', 'PUT', '/extra_info/x-acme--reference', VALUE),
    ('DELETE of the sub-resource', 'DELETE', '/extra-info', None),
]


def _chunks(body):
    """In pieces, so that the client library sends them chunked."""
    for start in range(0, len(body), 40):
        yield body[start:start + 40]


def denied(world, answer, status, rule, tenant=lab.OPEN):
    """Fails the check unless this is the fault of a denial by that rule, also for programs, and audited as one."""
    expect(answer.status == status and answer.fault(), answer)
    says(answer.fault()[1], None, None, None)
    fault = next(iter(answer.json().values()))
    expect(rule in json.dumps(fault.get('details')), f'no {rule} in details: {answer}')
    audited_denial(world, answer.request_id(), tenant, rule, None, None)


def _add_short(checks):
    for title, body in SHORT_BODIES:
        for path in '/checkpoint', '/checkpoints':
            @checks.check(f'short form {path}, {title}: a checkpoint')
            def created(world, body=body, path=path):
                with world.makes(lab.OPEN, 1) as new:
                    answer = world.request('POST', path, lab.OPEN, body(world.plan(lab.OPEN)))
                expect(answer.status == 200, answer)
                made = answer.json()['checkpoint']
                expect([made['id']] == new, f'{made["id"]} is not the new one, {new}')
                line = world.audited(answer.request_id())
                expect((line['verdict'], line['checkpoint'], line['provider'], line['route'])
                       == ('admitted', made['id'], lab.PROVIDER, 'create-short'), line)

        @checks.check(f'short form, {title}: an unknown plan is a 404 of Karbor, unchanged')
        def unknown(world, body=body):
            answer = world.request('POST', '/checkpoint', lab.OPEN, body(UNKNOWN))
            own = world.look(lab.OPEN, f'/plans/{UNKNOWN}')
            expect((answer.status, answer.body) == (404, own.body), f'{answer}; Karbor: {own}')

    @checks.check('short form: a plan of another tenant is as Karbor has it')
    def foreign(world):
        own = world.look(lab.OPEN, f'/plans/{world.plan(lab.NARROW)}')
        with world.makes(lab.NARROW, 1 if own.status == 200 else 0):
            # Without authentication everybody is an administrator, who may use any plan.
            answer = world.request('POST', '/checkpoint', lab.OPEN, {'plan_id': world.plan(lab.NARROW)})
        expect(answer.status == own.status, f'{answer}; Karbor: {own}')

    @checks.check('short form: denied like any other (malformed-key, 400)')
    def bad(world):
        plan = world.plan(lab.OPEN)
        with world.nothing_reaches(lab.OPEN):
            answer = world.request('POST', '/checkpoint', lab.OPEN, {'plan_id': plan, 'extra-info': {'bad': VALUE}})
        denied(world, answer, 400, 'malformed-key')


def _add_bodies(checks):
    def denial(title, text, status, rule):
        @checks.check(f'body: {title} ({rule}, {status})')
        def check(world):
            body = text.replace('PLAN', world.plan(lab.OPEN)).encode()
            with world.nothing_reaches(lab.OPEN):
                answer = world.request('POST', CHECKPOINTS, lab.OPEN, body)
            denied(world, answer, status, rule)

    for row in BODIES:
        denial(*row)

    for title, headers in UNREADABLE:
        @checks.check(f'body: {title} (unsupported-media-type, 415)')
        def unreadable(world, headers=headers):
            body = world.body(lab.OPEN, GOOD)
            with world.nothing_reaches(lab.OPEN):
                answer = world.request('POST', CHECKPOINTS, lab.OPEN, body, headers)
            denied(world, answer, 415, 'unsupported-media-type')

    @checks.check('body: several violations, all of them for programs')
    def several(world):
        entries = {'bad': VALUE, 'karbor-x': VALUE, 'x-acme--a': 1, 'x-acme--b': VALUE * 100}
        body = world.body(lab.OPEN, entries)
        with world.nothing_reaches(lab.OPEN):
            answer = world.request('POST', CHECKPOINTS, lab.OPEN, body)
        for rule in 'malformed-key', 'unknown-karbor-key', 'value-not-a-string', 'value-too-long':
            denied(world, answer, 400, rule)

    @checks.check('body: sent in chunks, which Karbor alone cannot read, creates')
    def chunked(world):
        body = world.body(lab.OPEN, GOOD)
        alone = world.look(lab.OPEN, CHECKPOINTS, 'POST', _chunks(body))
        expect(alone.status == 500, f'Karbor alone: {alone}')
        with world.makes(lab.OPEN, 1):
            answer = world.request('POST', CHECKPOINTS, lab.OPEN, _chunks(body))
        expect(answer.status == 200, answer)

    @checks.check('body: sent in chunks is judged all the same (malformed-key, 400)')
    def chunked_bad(world):
        body = world.body(lab.OPEN, {'bad': VALUE})
        with world.nothing_reaches(lab.OPEN):
            answer = world.request('POST', CHECKPOINTS, lab.OPEN, _chunks(body))
        denied(world, answer, 400, 'malformed-key')


def _add_changes(checks):
    def existing(world):
        """A checkpoint at rest, the same for all of these."""
        if 'existing' not in world.notes:
            with world.makes(lab.OPEN, 1) as new:
                world.look(lab.OPEN, CHECKPOINTS, 'POST', {'checkpoint': {'plan_id': world.plan(lab.OPEN)}})
            world.settled(lab.OPEN)
            world.notes['existing'] = new[0]
        return world.notes['existing']

    for title, method, below, body in CHANGES:
        @checks.check(f'read-only: {title} (read-only, 403)')
        def change(world, method=method, below=below, body=body):
            path = f'{CHECKPOINTS}/{existing(world)}'
            before = world.look(lab.OPEN, path)
            with world.nothing_reaches(lab.OPEN):
                answer = world.request(method, path + below, lab.OPEN, None if body is None else json.dumps(body).encode())
            expect(world.look(lab.OPEN, path).body == before.body, 'the checkpoint changed')
            denied(world, answer, 403, 'read-only')

    @checks.check('read-only: update by the Python API (read-only, 403)')
    def api(world):
        from karborclient.common.apiclient import exceptions
        found = existing(world)
        with world.nothing_reaches(lab.OPEN):
            try:
                world.api(lab.OPEN).checkpoints.update(lab.PROVIDER, found, {'extra-info': GOOD})
                fault = None
            except exceptions.Forbidden as error:
                fault = error
        expect(fault is not None, 'was let through')
        says(fault.message, None, None, None)
        audited_denial(world, fault.request_id, lab.OPEN, 'read-only', None, None)


def add(checks):
    _add_short(checks)
    _add_bodies(checks)
    _add_changes(checks)
