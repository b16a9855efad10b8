"""What the proxy wrote down about all the checks before: complete, consistent, and without what must not be in it."""
import collections
import shutil
import subprocess

import ask
import lab

from . import VALUE, expect, token

VERDICTS = {'admitted', 'denied', 'would-have-been-denied', 'warned', 'refused', 'abandoned', 'upstream-failed'}
PROXIED = lab.OPEN, lab.SAME_PROXIED, lab.NARROW, lab.TIGHT, lab.WATCHED, lab.WARNED, lab.SCHEDULED


def _written(world):
    """Every audit line, once their writer has no more to say."""
    def probe():
        lines = world.audit()
        return lines if len(lines) == world.metric('audit_lines_total') else None
    return lab.wait_for('as many audit lines as were counted', 5, probe)


def add(checks):
    @checks.check('audit: one line a request, each with a verdict')
    def lines(world):
        found = _written(world)
        repeated = [i for i, n in collections.Counter(line['request_id'] for line in found).items() if n > 1]
        expect(not repeated, f'more than one line of {repeated}')
        expect({line['verdict'] for line in found} <= VERDICTS, {line['verdict'] for line in found})
        expect(world.metric('audit_dropped_lines_total') == 0, 'lines were dropped')

    @checks.check('audit: each checkpoint that Karbor made through the proxy, once')
    def complete(world):
        named = collections.Counter(line.get('checkpoint') for line in _written(world)
                                    if line.get('route') in ('create', 'create-short') and line.get('status') == 200)
        for tenant in PROXIED:
            for made, facts in world.settled(tenant).items():
                # Copies are Karbor's own work, and one checkpoint was made past the proxy.
                if 'copy_status' in (facts['extra_info'] or '') or made == world.notes.get('existing'):
                    continue
                expect(named[made] == 1, f'{made} of {tenant} stands in {named[made]} lines')

    @checks.check('audit: rejections are counted as they are written')
    def counted(world):
        wanted = collections.Counter()
        for line in _written(world):
            for rule, enforcement in {(v['rule'], v['enforcement']) for v in line.get('violations', [])}:
                wanted[rule, enforcement] += 1
        for (rule, enforcement), number in wanted.items():
            found = world.metric('rejections_total', rule=rule, enforcement=enforcement)
            expect(found == number, f'{rule}, {enforcement}: {number} in audit lines, {found} in the metric')

    @checks.check('no entry value and no token in what the proxy writes')
    def secret(world):
        written = {}
        for proxy in world.lab.proxies:
            for file in proxy.audit_file, proxy.log:
                written[file.name] = file.read_text(errors='replace') if file.exists() else ''
            if proxy.process:
                written[f'metrics of {proxy.name}'] = ask.http_request(proxy.admin + '/metrics', 'GET', '').body.decode()
        for name, text in written.items():
            expect(VALUE not in text, f'an entry value in the {name}')
            expect(token('').rstrip(':') not in text, f'a token in the {name}')

    @checks.check('metrics: only tenants configured by name, no key and no path of a request')
    def bounded(world):
        values = {value for _, labels in world.metrics() for _, value in labels}
        expect(lab.WATCHED in values and lab.NARROW in values, 'a configured tenant has no label')
        expect(not any('acme' in value or '/' in value and value.startswith('/v1') for value in values), values)

    @checks.check('metrics: as promtool would have them, where it is')
    def linted(world):
        promtool = shutil.which('promtool')
        if promtool:
            text = ask.http_request(world.lab.admin + '/metrics', 'GET', '').body
            done = subprocess.run([promtool, 'check', 'metrics'], input=text, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=30)
            expect(done.returncode == 0 and not done.stdout.strip(), done.stdout.decode(errors='replace'))
