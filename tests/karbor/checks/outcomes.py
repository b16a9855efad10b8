"""Creations whose outcome the proxy does not learn: killed around Karbor's answer, and answers that leave it open."""
import threading
import time

import lab

from . import CHECKPOINTS, VALUE, expect
from .keeper import FULL, KILLED, LEASE_SECONDS, LOST, OWN, REFUSED, keeper

ENTRIES = {'x-acme--lost': VALUE}
# Killed this long after Karbor's answer went on to the proxy, in ms: before, while and after the ledger has it.
MOMENTS = [0, 0, 0.3, 0.6, 1, 1.5, 2, 3, 4, 6, 10, 20]


class Creation:
    """One in a thread of its own; what the client got, None if nothing."""

    def __init__(self, k, tenant, entries):
        self.answer = None
        self._thread = threading.Thread(target=self._create, args=(k, tenant, entries), daemon=True)
        self._thread.start()

    def _create(self, k, tenant, entries):
        try:
            self.answer = k.post(tenant, entries)
        except OSError:
            pass
        except Exception as problem:  # an answer that was cut
            self.answer = problem

    def wait(self):
        self._thread.join(30)
        return self.answer


def killed_before_commit(world, k, tenant, entries):
    """The id of a checkpoint that Karbor made, and whose answer the proxy did not live to read."""
    world.plan(tenant)
    with world.makes(tenant, 1) as new, k.relay.holding() as held:
        creation = Creation(k, tenant, entries)
        expect(held.here.wait(30), "Karbor's answer did not come")
        k.proxy.kill()
    expect(creation.wait() is None, 'the client got an answer')
    return new[0]


def begin(checks):
    @checks.check('unknown outcome: a 500 of Karbor is charged until the lease ends')
    def begun(world):
        k, before = keeper(world), keeper(world).used(REFUSED)
        body = {'checkpoint': {'plan_id': world.plan(REFUSED), 'extra-info': ENTRIES}}
        # A provider that is not the plan's: on this Python Karbor's word for it is a 500 (facts, section 8).
        answer = k.request('POST', CHECKPOINTS.replace(lab.PROVIDER, lab.PROVIDER[:-1] + '2'), REFUSED, body)
        expect(answer.status == 500 and k.used(REFUSED) == before + 1, f'{answer}, {k.used(REFUSED)} charged')
        world.notes['open'] = before, time.monotonic()


def end(checks):
    @checks.check('unknown outcome: and given back then')
    def ended(world):
        before, since = world.notes['open']
        left = LEASE_SECONDS + 15 - (time.monotonic() - since)
        lab.wait_for('the lease ended', max(left, 5), lambda: keeper(world).used(REFUSED) == before)


    @checks.check('quota: usage is exported as a part of it')
    def exported(world):
        k = keeper(world)
        name = 'karbor_admission_quota_used_ratio', frozenset({('tenant', FULL), ('quota', 'checkpoints')})
        # Looked at twice a minute.
        lab.wait_for('usage as it is', 45, lambda: world.metrics(k.proxy).get(name) == k.used(FULL) / 2)


def add(checks):
    begin(checks)

    @checks.check("killed between Karbor's answer and the commit: settled by a list, and charged once")
    def lost(world):
        k = keeper(world)
        made = killed_before_commit(world, k, LOST, ENTRIES)
        k.proxy.start()
        expect(k.used(LOST) == 1, f'{k.used(LOST)} charged before anything was seen')
        found = k.proxy.command('find', '--json', 'x-acme--lost', '--tenant', LOST)
        expect(made not in found, f'known already: {found}')
        expect(k.listed(LOST) == {made: {**OWN, **ENTRIES}}, k.listed(LOST))
        expect(k.shown(LOST, made) == {**OWN, **ENTRIES}, k.shown(LOST, made))
        expect(k.used(LOST) == 1, f'{k.used(LOST)} charged')
        k.create(LOST, ENTRIES)
        over = k.post(LOST, ENTRIES)
        expect(over.status == 413 and k.used(LOST) == 2, f'{over}, {k.used(LOST)} charged')

    @checks.check(f'killed around the commit, {len(MOMENTS)} times: what was confirmed is there, each is charged once')
    def killed(world):
        k, confirmed = keeper(world), 0
        world.plan(KILLED)
        for number, moment in enumerate(MOMENTS):
            entries = {'x-acme--number': str(number)}
            with world.makes(KILLED, 1) as new, k.relay.holding() as held:
                creation = Creation(k, KILLED, entries)
                expect(held.here.wait(30), "Karbor's answer did not come")
                held.go.set()
                held.gone.wait(30)
                time.sleep(moment / 1000)
                k.proxy.kill()
            answer = creation.wait()
            confirmed += getattr(answer, 'status', None) == 200
            k.proxy.start()
            listed = k.listed(KILLED)
            expect(listed[new[0]] == {**OWN, **entries}, f'{moment} ms: {listed[new[0]]}, the client got {answer}')
            expect(k.used(KILLED) == number + 1 == len(listed), f'{moment} ms: {k.used(KILLED)} charged')
        return f'{confirmed} of {len(MOMENTS)} were confirmed'

    end(checks)
