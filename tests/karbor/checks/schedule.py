"""Karbor's own operation engine makes a checkpoint through the proxy, every minute, unasked."""
import json

import lab

from . import CHECKPOINTS, expect

# The trigger comes once a minute; the engine looks for it every second.
WAIT_SECONDS = 130
BRIDGED = 'created_by', 'trigger_id', 'scheduled_operation_id'


def begin(checks):
    @checks.check('schedule: a trigger and an operation are made through the proxy')
    def scheduled(world):
        api, plan = world.api(lab.SCHEDULED), world.plan(lab.SCHEDULED)
        trigger = api.triggers.create('every minute', 'time', {
            'format': 'crontab', 'pattern': '* * * * *', 'start_time': '2020-01-01 00:00:00', 'window': 15})
        operation = api.scheduled_operations.create(
            'protect', 'protect', trigger.id, {'provider_id': lab.PROVIDER, 'plan_id': plan})
        world.notes['operation'] = operation.id


def end(checks):
    @checks.check("schedule: the engine's checkpoint is admitted, and Karbor has it")
    def made(world):
        found = lab.wait_for('a scheduled checkpoint', WAIT_SECONDS, lambda: world.checkpoints(lab.SCHEDULED))
        lines = lab.wait_for('its audit line', 5, lambda: [
            line for line in world.audit() if line.get('tenant') == lab.SCHEDULED and line.get('checkpoint') in found])
        for line in lines:
            expect((line['verdict'], line['route'], line['entries'], line['bridged']) == ('admitted', 'create', 3, 3), line)
        expect(world.arrived(lab.SCHEDULED) > 0, 'nothing reached Karbor')
        for key in BRIDGED:
            expect(world.metric('bridged_keys_total', key=key) >= 1, f'{key} was not counted')

    @checks.check("schedule: what the engine said of it comes back, and finds it")
    def told(world):
        operation = world.notes['operation']
        found = world.checkpoints(lab.SCHEDULED)
        for query in '', f'?extra-info.scheduled_operation_id={operation}&extra-info.created_by=operation-engine':
            answer = world.request('GET', CHECKPOINTS + query, lab.SCHEDULED)
            maps = {c['id']: json.loads(c['extra_info']) for c in answer.json()['checkpoints']}
            expect(answer.status == 200 and set(found) <= set(maps), answer)
            for entries in maps.values():
                expect(set(entries) == set(BRIDGED), entries)
                expect((entries['created_by'], entries['scheduled_operation_id']) == ('operation-engine', operation), entries)
        return entries

    @checks.check('schedule: the operation is taken back through the proxy')
    def stopped(world):
        world.api(lab.SCHEDULED).scheduled_operations.delete(world.notes['operation'])
