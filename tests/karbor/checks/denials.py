"""Each rule, broken with the official client: what it prints, and that Karbor never hears of it."""
import json
import re

import lab

from . import VALUE, expect

LONG_KEY = 'x-acme--' + 'k' * 292
AT_KEY = 'x-acme--' + 'k' * 247
AT_VALUE = VALUE + 'v' * (1024 - len(VALUE))
MANY = [f'x-acme--{n:02}={VALUE}' for n in range(65)]
# Each entry within its limits, 17 * (10 + 1000) bytes together.
LARGE = [f'x-acme--{n:02}={VALUE.ljust(1000, "v")}' for n in range(17)]
# 130 * 1010 bytes of keys and values alone are over the body's limit.
HUGE = [f'x-acme--{n:03}={VALUE.ljust(1000, "v")}' for n in range(130)]
HUGE_BYTES = len(json.dumps({'checkpoint': {'plan_id': '-' * 36, 'extra-info': dict(e.split('=', 1) for e in HUGE)}}))

# (title, tenant, entries as for --extra_info, status, rule, what must be shown of the key, measured, allowed)
COMMANDS = [
    ('no namespace', lab.OPEN, [f'reference={VALUE}'], 400, 'malformed-key', 'reference', None, None),
    ('an empty key', lab.OPEN, [f'={VALUE}'], 400, 'malformed-key', '', None, None),
    ('an application in capitals', lab.OPEN, [f'x-Acme--a={VALUE}'], 400, 'malformed-key', 'x-Acme--a', None, None),
    ('an application without a name', lab.OPEN, [f'x-acme={VALUE}'], 400, 'malformed-key', 'x-acme', None, None),
    ('a name of other letters', lab.OPEN, [f'x-acme--caf\u00e9={VALUE}'], 400, 'malformed-key', 'x-acme--caf', None, None),
    ("a newline at the end, which Karbor's pattern lets by", lab.OPEN, [f'x-acme--a\n={VALUE}'], 400, 'malformed-key',
     'x-acme--a', None, None),
    ('a quote', lab.OPEN, [f"x-acme--it's={VALUE}"], 400, 'malformed-key', 'x-acme--it', None, None),
    ('a bridged key in other letters', lab.OPEN, [f'Created_By={VALUE}'], 400, 'malformed-key', 'Created_By', None, None),
    ('a karbor- key that nobody knows', lab.OPEN, [f'karbor-reference={VALUE}'], 400, 'unknown-karbor-key',
     'karbor-reference', None, None),
    ('a recognised key with another value', lab.OPEN, [f'karbor-created-by={VALUE}'], 400, 'karbor-key-value',
     'karbor-created-by', None, None),
    ('--extra_info KEY without a value', lab.OPEN, ['x-acme--a'], 400, 'value-not-a-string', 'x-acme--a', None, None),
    ('a key too long', lab.OPEN, [f'{LONG_KEY}={VALUE}'], 400, 'key-too-long', LONG_KEY[:40], 300, 255),
    ('a value too long', lab.OPEN, [f'x-acme--a={AT_VALUE}v'], 400, 'value-too-long', 'x-acme--a', 1025, 1024),
    ('a value too long in bytes, not in letters', lab.OPEN, ['x-acme--a=' + '\u00e9' * 600], 400, 'value-too-long',
     'x-acme--a', 1200, 1024),
    ('too many entries', lab.OPEN, MANY, 413, 'too-many-entries', None, 65, 64),
    ('too large together', lab.OPEN, LARGE, 413, 'extra-info-too-large', None, 17 * 1010, 16384),
    ('a body too large', lab.OPEN, HUGE, 413, 'body-too-large', None, HUGE_BYTES, 131072),
    ('an application the tenant may not write', lab.NARROW, [f'x-other--a={VALUE}'], 403, 'application-not-allowed',
     'x-other--a', None, None),
    ('an application that only begins like an allowed one', lab.NARROW, [f'x-trigger-master2--a={VALUE}'], 403,
     'application-not-allowed', 'x-trigger-master2--a', None, None),
    ("over the tenant's own bytes of a key", lab.TIGHT, ['x-acme--' + 'k' * 17 + '=v'], 400, 'key-too-long',
     'x-acme--k', 25, 24),
    ("over the tenant's own bytes of a value", lab.TIGHT, ['x-acme--a=' + 'v' * 17], 400, 'value-too-long',
     'x-acme--a', 17, 16),
    ("over the tenant's own entries", lab.TIGHT, ['x-a--1=', 'x-a--2=', 'x-a--3='], 413, 'too-many-entries', None, 3, 2),
    ("over the tenant's own bytes together", lab.TIGHT, [f'x-acme--{"k" * 15}{n}=' + 'v' * 16 for n in '12'], 413,
     'extra-info-too-large', None, 80, 64),
]

# (title, tenant, entries): at the limits, not over them.
ADMITTED = [
    ('a key of 255 bytes', lab.OPEN, [f'{AT_KEY}={VALUE}']),
    ('a value of 1024 bytes', lab.OPEN, [f'x-acme--a={AT_VALUE}']),
    ('64 entries', lab.OPEN, MANY[:64]),
    ('16384 bytes together', lab.OPEN, LARGE[:16] + [f'x-acme--16={"v" * (16384 - 16 * 1010 - 10)}']),
    ('an allowed application', lab.NARROW, [f'x-trigger-master--a={VALUE}', f'x-acme-two--a={VALUE}']),
    ('an empty value', lab.TIGHT, ['x-acme--a=']),
    ('a value with equals signs', lab.TIGHT, ['x-acme--a=b=c==']),
]


def _numbers(text):
    return {int(n) for n in re.findall(r'(?<![\w.-])\d+(?![\w.-]*\w)', text)}


def says(message, key, measured, allowed):
    """Fails the check unless this text for people is one ASCII line that names the key and the numbers."""
    expect(message.isascii() and message.isprintable(), f'not one line of ASCII: {message!r}')
    expect(len(message) <= 1000, f'{len(message)} characters: {message[:200]!r}…')
    expect(not key or key in message, f'{key!r} is not in {message!r}')
    for number in measured, allowed:
        expect(number is None or number in _numbers(message), f'{number} is not in {message!r}')
    expect(VALUE not in message, f'an entry value is in {message!r}')


def audited_denial(world, request_id, tenant, rule, measured, allowed):
    """Fails the check unless the request has one audit line, which says it was denied by that rule."""
    line = world.audited(request_id)
    expect(line['verdict'] == 'denied', f'verdict {line["verdict"]!r}')
    expect(line['tenant'] == tenant, f'tenant {line["tenant"]!r}')
    broken = [v for v in line['violations'] if v['rule'] == rule]
    expect(broken, f'no {rule} in {line["violations"]}')
    expect((broken[0].get('measured'), broken[0].get('allowed')) == (measured, allowed) or measured is None,
           f'not {measured} and {allowed}: {broken[0]}')


def add(checks):
    def denied(title, tenant, entries, status, rule, key, measured, allowed):
        @checks.check(f'denied to the client: {title} ({rule}, {status})')
        def check(world):
            plan = world.plan(tenant)
            with world.nothing_reaches(tenant):
                run = world.cli(tenant)('checkpoint-create', lab.PROVIDER, plan, '--extra_info', *entries)
            fault = run.fault()
            expect(run.exit == 1 and run.out == '' and fault, run)
            message, found, request_id = fault
            expect(found == status, run)
            says(message, key, measured, allowed)
            # Only this mistake needs a word about how the client made it.
            expect(entries != ['x-acme--a'] or '--extra_info' in message, f'no hint: {run}')
            expect(request_id, f'no request id: {run}')
            audited_denial(world, request_id, tenant, rule, measured, allowed)
            return run.err

    for row in COMMANDS:
        denied(*row)

    def admitted(title, tenant, entries):
        @checks.check(f'admitted: {title}')
        def check(world):
            plan = world.plan(tenant)
            with world.makes(tenant, 1):
                run = world.cli(tenant)('checkpoint-create', lab.PROVIDER, plan, '--extra_info', *entries)
            expect(run.exit == 0, run)

    for row in ADMITTED:
        admitted(*row)

    def denied_api(title, tenant, extra_info, status, rule):
        @checks.check(f'denied to the Python API: {title} ({rule}, {status})')
        def check(world):
            from karborclient.common.apiclient import exceptions
            plan = world.plan(tenant)
            with world.nothing_reaches(tenant):
                try:
                    world.api(tenant).checkpoints.create(lab.PROVIDER, plan, extra_info)
                    fault = None
                except exceptions.HttpError as error:
                    fault = error
            expect(fault is not None and fault.http_status == status, fault or 'admitted')
            says(fault.message, None, None, None)
            audited_denial(world, fault.request_id, tenant, rule, None, None)

    for row in [
        ('a list for a map', lab.OPEN, [VALUE], 400, 'not-a-map'),
        ('text for a map', lab.OPEN, VALUE, 400, 'not-a-map'),
        ('a number for a value', lab.OPEN, {'x-acme--a': 1}, 400, 'value-not-a-string'),
        ('a truth for a value', lab.OPEN, {'x-acme--a': True}, 400, 'value-not-a-string'),
        ('a map for a value', lab.OPEN, {'x-acme--a': {'x-acme--b': VALUE}}, 400, 'value-not-a-string'),
    ]:
        denied_api(*row)
