"""Two proxies in front of one Karbor, on one MariaDB. Where none is named there is nothing to check."""
import collections
import concurrent.futures
import os
import subprocess

import lab

from . import CHECKPOINTS, VALUE, expect
from .keeper import OLDER, OWN, TWO_PROXIES, TWO_PROXIES_LOST, Keeper
from .outcomes import killed_before_commit

# HOST:PORT:USER:PASSWORD, as tests/ledger/mariadb tells whatever it runs.
SERVER = os.environ.get('LEDGER_TEST_MARIADB')
DATABASE = 'karbor_lab'
ENTRIES = {'x-acme--note': VALUE}


def _sql(statement):
    host, port, user, password = SERVER.split(':')
    done = subprocess.run(['mariadb', '--no-defaults', '-h', host, '-P', port, '-u', user, '-e', statement],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          env={**os.environ, 'MYSQL_PWD': password})
    if done.returncode != 0:
        raise lab.Broken(f'no database: {done.stdout}')


def _both(world):
    """The two, started when first asked for."""
    if 'both' not in world.notes:
        host, port, user, password = SERVER.split(':')
        _sql(f'CREATE OR REPLACE DATABASE {DATABASE}')
        secret = world.lab.state / 'mariadb-password'
        secret.write_text(password)
        world.notes['both'] = [Keeper(world, name, f'mysql://{user}@{host}:{port}/{DATABASE}',
                                      f'password_file = "{secret}"') for name in ('one', 'two')]
        _sql(f'USE {DATABASE}; {OLDER}')
    return world.notes['both']


def add(checks):
    if not SERVER:
        return

    @checks.check('two proxies: what is created through one is shown, listed, found and counted at the other')
    def shared(world):
        one, two = _both(world)
        made = one.create(TWO_PROXIES, ENTRIES)
        expect(two.shown(TWO_PROXIES, made) == {**OWN, **ENTRIES}, two.shown(TWO_PROXIES, made))
        for query in '', '?extra-info.x-acme--note=' + VALUE:
            expect(two.listed(TWO_PROXIES, query) == {made: {**OWN, **ENTRIES}}, two.listed(TWO_PROXIES, query))
        expect(two.used(TWO_PROXIES) == 1, f'{two.used(TWO_PROXIES)} charged')
        world.settled(TWO_PROXIES)
        expect(two.request('DELETE', f'{CHECKPOINTS}/{made}', TWO_PROXIES).status == 200, 'not deleted')
        expect(one.used(TWO_PROXIES) == 0, f'{one.used(TWO_PROXIES)} charged')
        world.settled(TWO_PROXIES)

    @checks.check('two proxies: 32 creations at once over both against room for 5 make 5')
    def crowded(world):
        both = _both(world)
        with world.makes(TWO_PROXIES, 5), concurrent.futures.ThreadPoolExecutor(32) as threads:
            post = lambda number: both[number % 2].post(TWO_PROXIES, ENTRIES).status  # noqa: E731
            answers = collections.Counter(threads.map(post, range(32)))
        expect(answers == {200: 5, 413: 27}, answers)
        for k in both:
            expect(k.used(TWO_PROXIES) == 5, f'{k.used(TWO_PROXIES)} charged')
            expect(k.verify(TWO_PROXIES) == ({}, 0), k.verify(TWO_PROXIES))

    @checks.check("two proxies: what one did not live to learn is settled by a list at the other")
    def lost(world):
        one, two = _both(world)
        made = killed_before_commit(world, one, TWO_PROXIES_LOST, ENTRIES)
        expect(two.listed(TWO_PROXIES_LOST) == {made: {**OWN, **ENTRIES}}, two.listed(TWO_PROXIES_LOST))
        expect(two.used(TWO_PROXIES_LOST) == 1, f'{two.used(TWO_PROXIES_LOST)} charged')
        one.proxy.start()
        expect(one.shown(TWO_PROXIES_LOST, made) == {**OWN, **ENTRIES}, one.shown(TWO_PROXIES_LOST, made))
