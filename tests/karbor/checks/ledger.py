"""What was admitted comes back, can be searched for and is counted, at the real Karbor, which forgets it all."""
import collections
import concurrent.futures
import contextlib
import json
import sqlite3
import urllib.parse

import ask
import lab

from . import CHECKPOINTS, VALUE, expect
from .denials import says
from .keeper import COPIED, CROWDED, FULL, GUEST, HOST, HURRIED, KEPT, OWN, REFUSED, SEARCHED, SHARED, VERIFIED, keeper

ENTRIES = {'x-trigger-master--event_id': '42', 'x-acme--note': f'{VALUE} \u00e9 "quoted"', 'karbor-trigger-id': 'a=b'}
UNKNOWN = '00000000-0000-4000-8000-000000000000'


def options(entries):
    """As the official client takes a map."""
    return ['--extra_info', *(f'{key}={value}' for key, value in entries.items())]


def _fault(run, status, rule):
    """The message of a denial that the official client printed."""
    fault = run.fault()
    expect(run.exit == 1 and run.out == '' and fault and fault[1] == status, run)
    says(fault[0], None, None, None)
    expect(rule in fault[0], f'no {rule}: {run}')
    return fault[0]


def _add_kept(checks):
    @checks.check('kept: checkpoint-create prints the map')
    def created(world):
        k = keeper(world)
        run = k.cli(KEPT)('checkpoint-create', lab.PROVIDER, world.plan(KEPT), *options(ENTRIES))
        expect(run.exit == 0 and json.loads(run.property('extra_info')) == {**OWN, **ENTRIES}, run)
        world.notes['kept'] = run.property('id')
        alone = world.look(KEPT, f'{CHECKPOINTS}/{world.notes["kept"]}').json()['checkpoint']
        expect(json.loads(alone['extra_info']) == OWN, f'Karbor has {alone["extra_info"]} by itself')

    @checks.check('kept: checkpoint-show prints it')
    def show(world):
        run = keeper(world).cli(KEPT)('checkpoint-show', lab.PROVIDER, world.notes['kept'])
        expect(run.exit == 0 and json.loads(run.property('extra_info')) == {**OWN, **ENTRIES}, run)
        return run.property('extra_info')

    @checks.check('kept: objects of the Python API hold it, shown and listed')
    def objects(world):
        api, made = keeper(world).api(KEPT), world.notes['kept']
        shown = api.checkpoints.get(lab.PROVIDER, made).extra_info
        listed = {c.id: c.extra_info for c in api.checkpoints.list(lab.PROVIDER)}
        expect(json.loads(shown) == {**OWN, **ENTRIES}, f'shown with {shown}')
        expect(json.loads(listed[made]) == {**OWN, **ENTRIES}, f'listed with {listed[made]}')

    @checks.check('kept: a checkpoint without a map, and one made past the proxy, show what Karbor says')
    def bare(world):
        k, body = keeper(world), {'checkpoint': {'plan_id': world.plan(KEPT), 'extra-info': ENTRIES}}
        past = world.look(KEPT, CHECKPOINTS, 'POST', body).json()['checkpoint']['id']
        for made in k.create(KEPT, None), past:
            expect(k.shown(KEPT, made) == OWN, k.shown(KEPT, made))

    @checks.check('kept: whoever Karbor shows it to sees it, also an administrator of another project')
    def administrator(world):
        k, made = keeper(world), world.notes['kept']
        expect(k.shown(GUEST, made) == {**OWN, **ENTRIES}, k.shown(GUEST, made))

    for how in 'stop', 'kill':
        @checks.check(f'kept: still there when the proxy was ended ({how}) and started again')
        def again(world, how=how):
            k = keeper(world)
            made = k.create(KEPT, {'x-acme--ended-by': how})
            getattr(k.proxy, how)()
            k.proxy.start()
            listed = k.listed(KEPT)
            expect(listed[made] == {**OWN, 'x-acme--ended-by': how}, listed[made])
            expect(listed[world.notes['kept']] == {**OWN, **ENTRIES}, listed[world.notes['kept']])

    @checks.check("kept: a change of the state leaves it")
    def reset(world):
        k, made = keeper(world), world.notes['kept']
        world.settled(KEPT)
        run = k.cli(KEPT)('checkpoint-reset-state', lab.PROVIDER, made)
        expect(run.exit == 0 and k.shown(KEPT, made) == {**OWN, **ENTRIES}, run)
        k.cli(KEPT)('checkpoint-reset-state', '--available', lab.PROVIDER, made)

    @checks.check('kept: `find` and `usage` of the program show it')
    def console(world):
        k = keeper(world)
        found = [json.loads(line) for line in
                 k.proxy.command('find', '--json', 'x-trigger-master--event_id=42', '--tenant', KEPT).splitlines()]
        expect([entry.get('checkpoint') for entry in found] == [world.notes['kept']], found)
        usage = k.proxy.command('usage', '--tenant', KEPT)
        expect(KEPT in usage, usage)
        return found[0]

    @checks.check('kept: as long as Karbor shows the checkpoint as deleted')
    def deleted(world):
        k, made = keeper(world), world.notes['kept']
        used = k.used(KEPT)
        run = k.cli(KEPT)('checkpoint-delete', lab.PROVIDER, made)
        expect(run.exit == 0, run)
        expect(k.used(KEPT) == used - 1, f'{k.used(KEPT)} charged, {used} before')
        world.settled(KEPT)
        shown = k.request('GET', f'{CHECKPOINTS}/{made}', KEPT).json()['checkpoint']
        expect(shown['status'] == 'deleted' and json.loads(shown['extra_info']) == {**OWN, **ENTRIES}, shown)
        expect(made not in k.listed(KEPT, '?extra-info.x-acme--note'), 'found, though deleted')

    @checks.check("kept: of another project's plan (K12), charged to who asked, and not shown")
    def elsewhere(world):
        k, plan = keeper(world), world.plan(HOST)
        answer = k.post(GUEST, {'x-acme--a': VALUE}, plan)
        made = answer.json()['checkpoint']
        expect(answer.status == 200 and made['project_id'] == GUEST, answer)
        expect(json.loads(made['extra_info']) == {**OWN, 'x-acme--a': VALUE}, made)
        for tenant in HOST, GUEST:
            expect(k.shown(tenant, made['id']) == OWN, f'{tenant} is shown {k.shown(tenant, made["id"])}')
        expect((k.used(GUEST), k.used(HOST)) == (1, 0), f'charged {k.used(GUEST)} and {k.used(HOST)}')
        world.settled(HOST)
        gone = k.request('DELETE', f'{CHECKPOINTS}/{made["id"]}', HOST)
        expect(gone.status == 200 and k.used(GUEST) == 0, f'{gone}, charged {k.used(GUEST)}')

    @checks.check('kept: a copy has the map of its original')
    def copies(world):
        k, entries = keeper(world), {'x-acme--copied': 'yes'}
        original = k.create(COPIED, entries)
        world.settled(COPIED)
        answer = k.request('POST', f'{CHECKPOINTS}/action', COPIED,
                           {'copy': {'plan_id': world.plan(COPIED), 'parameters': {}}})
        pairs = answer.json()['copy']['checkpoint_id']
        expect(answer.status == 200 and [p['checkpoint_protect_id'] for p in pairs] == [original], answer)
        copy = pairs[0]['checkpoint_copy_id']
        world.settled(COPIED)
        expect(k.shown(COPIED, copy) == {'copy_status': 'finished', **entries}, k.shown(COPIED, copy))
        expect(set(k.listed(COPIED, '?extra-info.x-acme--copied=yes')) == {original, copy}, k.listed(COPIED))
        expect(k.used(COPIED) == 2, f'{k.used(COPIED)} charged')


# (query, names of those that are to be found)
FILTERS = [
    ('?extra-info.x-acme--n=1', 'ab'),
    ('?extra-info.x-acme--n=2', 'c'),
    ('?extra-info.x-acme--n', 'abc'),
    ('?extra-info.x-acme--n=1&extra-info.x-acme--kind=odd', 'a'),
    ('?extra-info.x-acme--n=1;extra-info.x-acme--kind', 'a'),
    ('?extra-info.x-acme--Some+Name%23%31=a%26b%3D%C3%A9', 'd'),
    ('?extra%2Dinfo.x-acme--n=2', 'c'),
    ('?extra-info.x-acme--n=1&plan_id=PLAN', 'ab'),
    (f'?extra-info.x-acme--n=1&plan_id={UNKNOWN}', ''),
    ('?extra-info.x-acme--n=', ''),
    ('?extra-info.x-acme--n=%31%20', ''),
    ('?extra-info.X-acme--n=1', ''),
    ('?extra-info.created_by=manual', ''),
    ('?extra-info.x-acme--none', ''),
]
MAPS = {
    'a': {'x-acme--n': '1', 'x-acme--kind': 'odd'},
    'b': {'x-acme--n': '1'},
    'c': {'x-acme--n': '2', 'x-acme--kind': 'even'},
    'd': {'x-acme--Some Name#1': 'a&b=\u00e9'},
    'e': None,
}
MALFORMED = ['extra-info.=1', 'extra-info', 'extra_info.x-a--b=1', 'extra-info.caf%C3%A9=1', 'extra-info.x-a--b=%ff',
             'extra-info.x-a--b=1&extra-info.x-a--b=2', 'extra-info.x-a--b=1&limit=0',
             '&'.join(f'extra-info.x-a--{n}=1' for n in range(17))]


def _searched(world):
    """The checkpoints of MAPS: name by id."""
    if 'searched' not in world.notes:
        world.notes['searched'] = {keeper(world).create(SEARCHED, entries): name for name, entries in MAPS.items()}
        world.settled(SEARCHED)
    return world.notes['searched']


def _add_searches(checks):
    for query, wanted in FILTERS:
        @checks.check(f'filter: {query}')
        def found(world, query=query, wanted=wanted):
            names = _searched(world)
            listed = keeper(world).listed(SEARCHED, query.replace('PLAN', world.plan(SEARCHED)))
            expect(sorted(names[i] for i in listed) == list(wanted), {names.get(i, i): m for i, m in listed.items()})
            for made, entries in listed.items():
                expect(entries == {**OWN, **MAPS[names[made]]}, entries)

    @checks.check('filter: in the order of the list without it')
    def order(world):
        names, k = _searched(world), keeper(world)
        alone = [c['id'] for c in world.look(SEARCHED, CHECKPOINTS).json()['checkpoints'] if names[c['id']] in 'abc']
        expect(list(k.listed(SEARCHED, '?extra-info.x-acme--n')) == alone, list(k.listed(SEARCHED)))

    for limit in 1, 2, 3, 4:
        @checks.check(f'filter: pages of {limit} by their links, and by markers')
        def pages(world, limit=limit):
            names, k = _searched(world), keeper(world)
            for by_link in True, False:
                query, seen = f'?limit={limit}&extra-info.x-acme--n', []
                while query:
                    answer = k.request('GET', CHECKPOINTS + query, SEARCHED)
                    page = answer.json()
                    expect(answer.status == 200 and len(page['checkpoints']) <= limit and len(seen) <= 4, answer)
                    seen.extend(c['id'] for c in page['checkpoints'])
                    links = {link['rel']: link['href'] for link in page.get('checkpoints_links', [])}
                    where = urllib.parse.urlsplit(links.get('next', ''))
                    if links:
                        expect(f'{where.scheme}://{where.netloc}' == k.proxy.url and where.path.endswith(CHECKPOINTS), links)
                    query = ('?' + where.query if by_link else
                             f'?limit={limit}&extra-info.x-acme--n&marker={seen[-1]}') if links else None
                expect(sorted(names[i] for i in seen) == ['a', 'b', 'c'], [names[i] for i in seen])

    @checks.check('filter: search_opts of the Python API')
    def api(world):
        names = _searched(world)
        found = keeper(world).api(SEARCHED).checkpoints.list(lab.PROVIDER, search_opts={'extra-info.x-acme--n': '1'})
        expect(sorted(names[c.id] for c in found) == ['a', 'b'], found)

    @checks.check("filter: nothing of another project's, unless Karbor lists it")
    def foreign(world):
        names, k = _searched(world), keeper(world)
        expect(k.listed(GUEST, '?extra-info.x-acme--n=1') == {}, 'another project found them')
        everywhere = k.listed(GUEST, '?extra-info.x-acme--n=1&all_tenants=1')
        alone = {c['id'] for c in world.look(GUEST, CHECKPOINTS + '?all_tenants=1').json()['checkpoints']}
        expect(set(everywhere) == {i for i, n in names.items() if n in 'ab'} & alone, everywhere)
        return f'{len(everywhere)} for an administrator with all_tenants'

    for query in MALFORMED:
        @checks.check(f'filter: refused, ?{query[:60]}')
        def malformed(world, query=query):
            before = world.arrived(SEARCHED)
            answer = keeper(world).request('GET', f'{CHECKPOINTS}?{query}', SEARCHED)
            expect(answer.status == 400 and answer.fault() and '(filter)' in answer.fault()[1], answer)
            expect('hint' in json.dumps(answer.json()), f'no hint: {answer}')
            expect(world.arrived(SEARCHED) == before, 'it reached Karbor')
            return answer.fault()[1]


def _add_counts(checks):
    @checks.check('quota: used up, said to the client (413), and free again after a deletion')
    def full(world):
        k, plan = keeper(world), world.plan(FULL)
        create = 'checkpoint-create', lab.PROVIDER, plan, *options({'x-acme--a': VALUE})
        first = k.create(FULL, {'x-acme--a': VALUE})
        expect(k.cli(FULL)(*create).exit == 0, 'the second is within the quota')
        world.settled(FULL)
        with world.makes(FULL, 0):
            run = k.cli(FULL)(*create)
        message = _fault(run, 413, 'quota-exceeded')
        expect('2' in message, message)
        with world.makes(FULL, 1):
            expect(k.post(FULL, None).status == 200, 'without a map nothing is charged')
        world.settled(FULL)
        expect(k.cli(FULL)('checkpoint-delete', lab.PROVIDER, first).exit == 0, 'not deleted')
        with world.makes(FULL, 1):
            run = k.cli(FULL)(*create)
        expect(run.exit == 0 and k.used(FULL) == 2, f'{run}, {k.used(FULL)} charged')
        return message

    @checks.check('quota: of one application')
    def shared(world):
        k = keeper(world)
        k.create(SHARED, {'x-trigger-master--a': '1', 'x-trigger-master--b': '1'})
        answer = k.post(SHARED, {'x-trigger-master--a': '1', 'x-acme--a': '1'})
        expect(answer.status == 413 and 'trigger-master' in answer.fault()[1], answer)
        k.create(SHARED, {'x-acme--a': '1'})
        return answer.fault()[1]

    @checks.check('quota: 32 creations at once against room for 5 make 5')
    def crowded(world):
        k = keeper(world)
        world.plan(CROWDED)
        with world.makes(CROWDED, 5), concurrent.futures.ThreadPoolExecutor(32) as threads:
            answers = list(threads.map(lambda number: k.post(CROWDED, {'x-acme--n': str(number)}).status, range(32)))
        expect(collections.Counter(answers) == {200: 5, 413: 27} and k.used(CROWDED) == 5, answers)
        expect(len(k.listed(CROWDED, '?extra-info.x-acme--n')) == 5, k.listed(CROWDED))

    @checks.check('quota: too many in a time (429), with Retry-After')
    def hurried(world):
        k, entries = keeper(world), {'x-acme--a': VALUE}
        for _ in range(2):
            k.create(HURRIED, entries)
        with world.makes(HURRIED, 0):
            answer = k.post(HURRIED, entries)
            run = k.cli(HURRIED)('checkpoint-create', lab.PROVIDER, world.plan(HURRIED), *options(entries))
        expect(answer.status == 429 and 0 < int(answer.headers['Retry-After']) <= 3600, answer)
        return _fault(run, 429, 'rate-exceeded')

    @checks.check('quota: limits and usage are told to a token of the project, to others what Karbor says')
    def limits(world):
        k = keeper(world)
        told = k.limits(FULL)
        expect(told['project_id'] == FULL and told['limits']['entries'] == 64, told)
        expect(told['quotas']['project']['checkpoints'] == {'allowed': 2, 'used': k.used(FULL)}, told['quotas'])
        expect(told['quotas']['project']['stored_bytes']['allowed'] is None, told['quotas'])
        for sent in f'stranger:{GUEST}', '':
            answer = k.request('GET', '/extra-info-limits', FULL, sent_token=sent)
            own = ask.http_request(f'{world.lab.direct}/v1/{FULL}/plans?limit=1', 'GET', sent)
            expect(answer.status == own.status != 200 and answer.body == own.body, f'{answer}; Karbor: {own}')

    @checks.check('quota: a token of another project holds nothing')
    def stranger(world):
        k, before = keeper(world), keeper(world).used(REFUSED)
        body = {'checkpoint': {'plan_id': world.plan(REFUSED), 'extra-info': {'x-acme--a': VALUE}}}
        for as_tenant, sent in (GUEST, None), (None, ''):
            answer = k.request('POST', CHECKPOINTS, REFUSED, body, as_tenant, sent)
            expect(answer.status in (400, 204), answer)
            expect(k.used(REFUSED) == before, f'{k.used(REFUSED)} charged')

    @checks.check("quota: what Karbor refuses is not charged: an unknown plan (404)")
    def unknown(world):
        k, before = keeper(world), keeper(world).used(REFUSED)
        answer = k.post(REFUSED, {'x-acme--a': VALUE}, UNKNOWN)
        expect(answer.status == 404 and k.used(REFUSED) == before, f'{answer}, {k.used(REFUSED)} charged')


def _add_verify(checks):
    @checks.check('verify: what Karbor lists, what was made past the proxy, and what is gone')
    def verified(world):
        k, entries = keeper(world), {'x-acme--a': VALUE}
        kept, gone = k.create(VERIFIED, entries), k.create(VERIFIED, entries)
        k.create(VERIFIED, None)
        expect(k.verify(VERIFIED) == ({}, 0), k.verify(VERIFIED))
        body = {'checkpoint': {'plan_id': world.plan(VERIFIED)}}
        past = world.look(VERIFIED, CHECKPOINTS, 'POST', body).json()['checkpoint']['id']
        world.settled(VERIFIED)
        expect(world.look(VERIFIED, f'{CHECKPOINTS}/{gone}', 'DELETE').status == 200, 'not deleted')
        world.settled(VERIFIED)
        found = k.verify(VERIFIED)
        expect(found == ({past: 'missing', gone: 'gone'}, 4), found)
        found = k.verify(VERIFIED, '--mend')
        expect(found == ({past: 'missing', gone: 'gone, mended'}, 4) and k.used(VERIFIED) == 1, found)
        found = k.verify(VERIFIED)
        expect(found == ({past: 'missing'}, 4) and k.shown(VERIFIED, kept) == {**OWN, **entries}, found)

    @checks.check('verify: the checkpoints of all the checks before')
    def agrees(world):
        k = keeper(world)
        for tenant in SEARCHED, COPIED, FULL, HURRIED, SHARED, CROWDED:
            expect(k.verify(tenant) == ({}, 0), f'{tenant}: {k.verify(tenant)}')


def _add_down(checks):
    @checks.check('ledger down: a creation with a map is a 503 that the client can read; all else goes on')
    def down(world):
        k, entries = keeper(world), {'x-acme--a': VALUE}
        made = k.create(KEPT, entries)
        create = 'checkpoint-create', lab.PROVIDER, world.plan(KEPT)
        # A writer that does not let go: whoever else would write waits in vain.
        with contextlib.closing(sqlite3.connect(str(world.lab.state / 'kept.sqlite'), isolation_level=None)) as other:
            other.execute('BEGIN IMMEDIATE')
            with world.makes(KEPT, 0):
                run = k.cli(KEPT)(*create, *options(entries))
            message = _fault(run, 503, '(ledger)')
            with world.makes(KEPT, 1):
                expect(k.cli(KEPT)(*create).exit == 0, 'a creation without a map needs no ledger')
            expect(k.shown(KEPT, made) == {**OWN, **entries}, k.shown(KEPT, made))
            expect(k.request('GET', CHECKPOINTS, KEPT).status == 200, 'no list')
            other.execute('ROLLBACK')
        lab.wait_for('the ledger back', 10, lambda: k.post(KEPT, entries).status == 200)
        return message


def add(checks):
    _add_kept(checks)
    _add_searches(checks)
    _add_counts(checks)
    _add_verify(checks)
    _add_down(checks)
