"""Spellings of request targets: those that every reader of RFC 3986 takes for the same, and those that not all do."""
import places

BASE = ['v1', places.PROJECT, 'providers', places.PROVIDER, 'checkpoints']
CREATION = '/' + '/'.join(BASE)
MEMBER = CREATION + '/' + places.CHECKPOINT
COPY = CREATION + '/action'
SHORT_FORMS = '/v1/%s/checkpoint' % places.PROJECT, '/v1/%s/checkpoints' % places.PROJECT

UNRESERVED = frozenset(b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~')
HOSTS = 'karbor.example', 'karbor.example:8799', '127.0.0.1', '[::1]:8799', 'x', 'any-host.example.'
GOOD_QUERIES = '', '?', '?x=1', '?a=b&c=d', '?a=%20b', '??', '?limit=5', '?a=/../b', '?a=method', '?_=1', '?a;b'

METHODS_OVERRIDDEN = ('POST', 'post', 'PoSt', '%50OST', 'PUT', 'DELETE', 'GET', '', 'POST%20', '%ff')
OVERRIDES = (
    '_method={}', 'x=1&_method={}', '_method=GET&_method={}', '_method={}&_method=GET', 'x=1;_method={}',
    '_method={};x=1', '&&_method={}', '%5Fmethod={}', '%5fmethod={}', 'x=_method&%5Fmethod={}',
    'x_method=1&%5fmethod={}', '_METHOD={}', '+_method={}', 'a_method={}', '?_method={}', '_method={}&x=%ff',
    '%5f%6d%65%74%68%6f%64={}', '_%6dethod={}', 'x=_method;%5fmetho%64={}', '_method', '_method=', '%255fmethod={}',
    '_metho%64={}&x=_method', '#?_method={}', 'x=%00&_method={}', '_method%3D{}', '_method={}%0A', '_me%74hod={}')

SUFFIXES = (
    '/', '//', '%2F', '%2f', '/%0A', '%0A', '%0a', '%0A', '%0a', '%0D', '%0D%0A', '%0A%0A', '%09', '%20', '%00',
    '%0B', '%0C', '%1C', '%85', '%A0', '%E2%80%A8', '.json', '.xml', '.', ';x', ';', '%3Bx', '#f', '#', '%23', '%3F',
    '%3Fx=1', '?#', '?x#f', '\xa0', '\x85', '\x0b', '\x0c', '\x1c', '\x1f', '\\', '%5C', '%', '%0', '%0g', '%u000a',
    '~', '%7F', '\x7f', '|', '{}', '^', '"', '<', '`', '%25', '%250A', '/.', '/..', '/./', '/x/..', '/%2e', '/%2E%2E',
    '/%2e.', ' ', '+', '%2B', '*', '@', ':', '&')
SEPARATORS = (
    '//', '///', '%2F', '%2f', '/%2f', '%2F%2f', '/./', '/x/../', '/%2e/', '/x/%2e%2e/', '\\', '%5C', '%5c', ';/',
    '/;/', '%252f', '/%20/', '%0A/', '/%0A', '/\xa0', '%c0%af', '%00/', '/%00', '\x85/', ':', '/*/', '/%09')
PREFIXES = (
    '/data-protect', '/v1', '/x', '//', '/./', '/..', '/%2e', '/%2F', '%2F', '', '\\', '/%00', ' ', '\xa0', '\x0b',
    '/;x', '/http:/', '/x/v1', '/v1/' + places.PROJECT + '/providers/' + places.PROVIDER)
ABSOLUTES = (
    'http://karbor.example', 'https://karbor.example', 'HTTP://karbor.example', 'Http://karbor.example', 'http://',
    'http:///', 'http://x//', 'http://x:1', 'http://x:99999', 'http://x:', 'http://user:pw@x', 'http://@x',
    'http%3a//x', 'http%3A%2F%2Fx', 'http://x%2f', 'http://x%00', 'http:/', 'http:', 'ftp://x', '//x', '/http://x',
    'karbor://x', 'http://[::1]', 'http://x?a=b&', 'http://x#/', 'http://x*', 'http://[x', 'http://x y', 'http://x\\',
    'http://x?', 'http://x#', 'http://\xe9', 'https%3a//x', '://x', 'x')
WHOLE = (
    '*', 'karbor.example:8799', '/', '//', '', '/v1', '/v1/', '?x', '#', 'http://x', 'http://x?a', 'http://x/',
    'https://x:1?', 'http://x?/v1/' + places.PROJECT, 'x')
LITERALS = (
    ('checkpoints', 'Checkpoints'), ('checkpoints', 'CHECKPOINTS'), ('checkpoints', 'checkpoint'),
    ('checkpoints', '\u0441heckpoints'), ('checkpoints', 'checkp%C3%B6ints'),
    ('checkpoints', '%63%68%65%63%6b%70%6f%69%6e%74%73'), ('checkpoints', '%2563heckpoints'),
    ('checkpoints', '%%63heckpoints'), ('checkpoints', '%u0063heckpoints'), ('checkpoints', 'checkpoints\u0130'),
    ('checkpoints', 'check\xadpoints'), ('providers', 'Providers'), ('providers', '%70roviders'), ('v1', 'V1'),
    ('v1', 'v1.0'), ('v1', 'v2'), ('v1', 'v1;x'), ('v1', 'v1%0A'), ('v1', '%76%31'), ('v1', 'v%31'),
    (places.PROJECT, places.PROJECT.upper()), (places.PROJECT, places.PROJECT + '%0A'), (places.PROJECT, ''),
    (places.PROJECT, places.PROJECT + ';x'), (places.PROJECT, '%61' + places.PROJECT[1:]),
    (places.PROJECT, 'b0' * 16), (places.PROVIDER, places.PROVIDER.upper()),
    (places.PROVIDER, places.PROVIDER + '%0A'), (places.PROVIDER, '.'),
    (places.PROVIDER, places.PROVIDER.replace('-', '')), (places.PROVIDER, '{%s}' % places.PROVIDER))


def encode_some(rng, path, rate):
    """Percent-encodes unreserved characters: RFC 3986, 6.2.2.2, takes that for the same."""
    written = []
    for character in path:
        if ord(character) in UNRESERVED and rng.random() < rate:
            written.append(rng.choice(('%%%02X', '%%%02x')) % ord(character))
        else:
            written.append(character)
    return ''.join(written)


def double_slashes(rng, path):
    return ''.join('/' * rng.choice((1, 1, 2, 3)) if character == '/' else character for character in path)


def fine(rng, path, absolute=True):
    """`path` in a spelling that means the same, perhaps with a query."""
    kind = rng.random()
    if kind < 0.15:
        path = double_slashes(rng, path)
    elif kind < 0.3:
        path = encode_some(rng, path, rng.choice((0.02, 0.2, 1)))
    elif kind < 0.34:
        path = double_slashes(rng, encode_some(rng, path, 0.1))
    if rng.random() < 0.25:
        path += rng.choice(GOOD_QUERIES)
    if absolute and rng.random() < 0.08:
        path = rng.choice(('http://', 'https://')) + rng.choice(HOSTS) + path
    return path.encode()


def wild(rng, path):
    """`path` in one to three spellings that readers disagree about."""
    if rng.random() < 0.03:
        path = rng.choice(WHOLE)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(TRICKS)(rng, path)
    return path.encode('utf-8' if any(ord(character) > 255 for character in path) else 'latin-1')


def override(rng, path):
    query = rng.choice(OVERRIDES).format(rng.choice(METHODS_OVERRIDDEN[:4]) if rng.random() < 0.6
                                         else rng.choice(METHODS_OVERRIDDEN))
    return path + ('&' if '?' in path else '?') + query


def suffix(rng, path):
    return path + rng.choice(SUFFIXES)


def separators(rng, path):
    if rng.random() < 0.3:
        return path.replace('/', rng.choice(SEPARATORS))
    parts = path.split('/')
    at = rng.randrange(len(parts))
    joined = '/'.join(parts[:at]) + rng.choice(SEPARATORS) + '/'.join(parts[at:])
    return joined


def prefix(rng, path):
    return rng.choice(PREFIXES) + path


def absolute(rng, path):
    return rng.choice(ABSOLUTES) + path


def literal(rng, path):
    word, other = rng.choice(LITERALS)
    return path.replace(word, other, 1)


def encoded(rng, path):
    return encode_some(rng, path, rng.choice((0.05, 0.5, 1)))


def everything(_rng, path):
    return ''.join('%%%02x' % ord(character) if ord(character) < 256 else character for character in path)


def slashes(rng, path):
    return double_slashes(rng, path) if rng.random() < 0.95 else path.replace('/', '/' * 400)


def insert(rng, path):
    at = rng.randint(0, len(path))
    return path[:at] + rng.choice(SUFFIXES) + path[at:]


TRICKS = (
    override, override, suffix, suffix, separators, separators, prefix, absolute, literal, encoded, slashes,
    everything, insert)
