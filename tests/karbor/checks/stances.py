"""Observe and warn: forwarded to Karbor, and what is said about it."""
import lab

from . import CHECKPOINTS, VALUE, expect

BAD = {'bad': VALUE, 'x-acme--a': VALUE}

# (tenant, stance, verdict, outcome of the violation)
STANCES = [
    (lab.WATCHED, 'observe', 'would-have-been-denied', 'observed'),
    (lab.WARNED, 'warn', 'warned', 'warned'),
]


def add(checks):
    for tenant, stance, verdict, outcome in STANCES:
        @checks.check(f'{stance}: the client sees a checkpoint')
        def client(world, tenant=tenant):
            plan = world.plan(tenant)
            with world.makes(tenant, 1) as new:
                run = world.cli(tenant)('checkpoint-create', lab.PROVIDER, plan, '--extra_info', f'bad={VALUE}')
            expect(run.exit == 0 and run.property('id') == new[0] and run.err == '', run)

        @checks.check(f'{stance}: audited as {verdict} and counted as {outcome}')
        def said(world, tenant=tenant, stance=stance, verdict=verdict, outcome=outcome):
            labels = dict(tenant=tenant, rule='malformed-key', enforcement=outcome)
            body, counted = world.body(tenant, BAD), world.metric('rejections_total', **labels)
            with world.makes(tenant, 1) as new:
                answer = world.request('POST', CHECKPOINTS, tenant, body)
            expect(answer.status == 200, answer)
            warning = answer.headers.get('Warning', '')
            if stance == 'warn':
                expect(warning.startswith('299 ') and 'malformed-key' in warning and VALUE not in warning, f'Warning: {warning}')
            else:
                expect('Warning' not in answer.headers, f'Warning: {warning}')
            line = world.audited(answer.request_id())
            expect((line['verdict'], line['checkpoint']) == (verdict, new[0]), line)
            expect([(v['rule'], v['enforcement']) for v in line['violations']] == [('malformed-key', outcome)], line)
            grown = world.metric('rejections_total', **labels) - counted
            expect(grown == 1, f'the metric grew by {grown}')

        @checks.check(f'{stance}: a good creation is not talked about')
        def good(world, tenant=tenant):
            answer = world.request('POST', CHECKPOINTS, tenant, world.body(tenant, {'x-acme--a': VALUE}))
            expect(answer.status == 200 and 'Warning' not in answer.headers, answer)
            expect(world.audited(answer.request_id())['verdict'] == 'admitted', 'not audited as admitted')

        @checks.check(f'{stance}: what cannot be reviewed is refused all the same')
        def refused(world, tenant=tenant):
            body = world.body(tenant, {})
            with world.nothing_reaches(tenant):
                answer = world.request('POST', CHECKPOINTS + '?_method=POST', tenant, body)
            expect(answer.status == 400, answer)
