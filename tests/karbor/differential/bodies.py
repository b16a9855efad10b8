"""Bodies: maps that the policy admits, maps that it denies, and every way to write either as JSON."""
import json

import judge
import places

KARBOR_KEYS = 'karbor-created-by', 'karbor-trigger-id', 'karbor-scheduled-operation-id'
BRIDGED_KEYS = 'created_by', 'trigger_id', 'scheduled_operation_id'
NAME_CHARACTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.#'
APPLICATION_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
# Two, three and four bytes of UTF-8, what JSON must escape, what splits lines somewhere, look-alikes.
ODD_CHARACTERS = 'é中\U0001f600\u2028\u2029\u0085\u00a0\x00\x01\x1f\x7f"\\/\ufeff\uffff\u043a'

# Keys that nobody may write. Karbor's own pattern takes the first lot, so that only the proxy stands in between.
BAD_KEYS = (
    'note', 'a', 'karbor', 'karbor-a', 'karbor-created_by', 'karbor-created-by\n', 'Karbor-created-by', 'KARBOR-a',
    'karbor_created_by', 'karbor-Created-by', 'karbor-created-by ', 'karbor- ', 'karbor-', 'created-by',
    'created_by\n', 'Created_by', 'created_by ', 'x-a-b', 'x-A--b', 'X-a--b', 'x-a--', 'x--b', 'x---b', 'x--a--b',
    'x-a--b\n', 'x-a--b ', 'x-a-- b', 'x-a..b--c', 'x-a.--b', 'x-.a--b', 'x-a b--c', 'x_a--b', ' x-a--b', 'x-a_-b--c',
    '__proto__', 'x-a:b--c', 'x-#--c', '.', '-', ' ', '', 'x-é--b', 'x-a--é', 'x-a--b/c', 'x-a--b\r\n', 'x-a--b\x00',
    '\nkarbor-created-by', 'x-a*--b', 'кarbor-a', 'x-a--b=c', 'x-a\n--b', '\ufeffx-a--b')


class Raw(bytes):
    """A piece of a document, to be written as it stands."""


class Members(list):
    """An object as pairs, so that a key may stand twice."""


BAD_VALUES = (
    True, False, None, 0, 1, -1, 10 ** 30, 1.5, Members(), [], Members([('a', 'b')]), ['a'], Raw(b'NaN'),
    Raw(b'Infinity'), Raw(b'-Infinity'), Raw(b'1e999'), Raw(b'-0'), Raw(b'1.0'), Raw(b'1e2'), Raw(b'"\\ud800"'),
    Raw(b'"\\udc00\\ud800"'), Raw(b'"\xed\xa0\x80"'), Raw(b'"\xc0\xaf"'), Raw(b'"\xff"'), Raw(b'"\t"'),
    Raw(b'"a\nb"'), Raw(b'01'), Raw(b'.5'), Raw(b'+1'), Raw(b"'a'"), Raw(b'tru'), Raw(b'"a'), Raw(b'undefined'),
    Raw(b'"\\x41"'), Raw(b'"\\u12"'))


def good_key(rng):
    kind = rng.random()
    if kind < 0.12:
        return rng.choice(KARBOR_KEYS)
    if kind < 0.24:
        return rng.choice(BRIDGED_KEYS)
    groups = [
        ''.join(rng.choices(APPLICATION_CHARACTERS, k=rng.randint(1, 5))) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    application = groups[0] + ''.join(rng.choice('-._') + group for group in groups[1:])
    name = ''.join(rng.choices(NAME_CHARACTERS + ' ', k=rng.randint(1, 12))).strip(' ') or 'n'
    if kind > 0.98:
        name = name.ljust(judge.KEY_BYTES - len(application) - 4, 'n')
    return 'x-%s--%s' % (application, name)


def good_value(rng):
    kind = rng.random()
    if kind < 0.7:
        return ''.join(rng.choices(NAME_CHARACTERS + ' ', k=rng.randint(0, 20)))
    if kind < 0.97:
        return ''.join(rng.choices(ODD_CHARACTERS + 'abc', k=rng.randint(1, 8)))
    length = rng.choice((judge.VALUE_BYTES, judge.VALUE_BYTES - 1))
    return rng.choice(('v' * length, 'é' * (length // 2)))


def good_entries(rng):
    """A map that the shipped policy admits: mostly small, now and then at a limit."""
    kind = rng.random()
    if kind < 0.97:
        count = rng.choice((0, 1, 1, 1, 2, 2, 3, 5))
        return {good_key(rng): good_value(rng) for _ in range(count)}
    if kind < 0.985:
        return {'x-a--%d' % number: 'v' for number in range(judge.ENTRIES)}
    # Sixteen times seven bytes of key and 1017 of value: the total to the byte.
    return {'x-a--%02d' % number: 'v' * (judge.TOTAL_BYTES // 16 - 7) for number in range(16)}


def bad_entries(rng):
    """Pairs that break at least one rule in at least one way."""
    pairs = list(good_entries(rng).items())[:6]
    kind = rng.random()
    if kind < 0.7:
        # The first keys are those that Karbor itself takes.
        key = rng.choice(BAD_KEYS[:41]) if rng.random() < 0.75 else rng.choice(BAD_KEYS)
        bad = [(key, good_value(rng))]
    elif kind < 0.88:
        bad = [(good_key(rng), rng.choice(BAD_VALUES))]
    elif kind < 0.91:
        bad = [('x-a--%d' % number, 'v') for number in range(judge.ENTRIES + 1)]
    elif kind < 0.94:
        bad = [('x-a--' + 'n' * (judge.KEY_BYTES - 4), 'v')]
    elif kind < 0.97:
        bad = [(good_key(rng), rng.choice(('v' * (judge.VALUE_BYTES + 1), 'é' * (judge.VALUE_BYTES // 2 + 1))))]
    else:
        bad = [('x-b--%02d' % number, 'v' * 1018) for number in range(16)] + [('x-c--a', 'v' * 20)]
    at = rng.randint(0, len(pairs))
    return Members(pairs[:at] + bad + pairs[at:])


class Writer:
    """Writes documents in one style: blanks, escapes."""

    def __init__(self, rng, fancy):
        self.rng = rng
        self.blanks = fancy and rng.random() < 0.4
        self.escapes = rng.choice(('some', 'all', 'raw')) if fancy and rng.random() < 0.5 else 'plain'

    def blank(self):
        return ''.join(self.rng.choices(' \t\r\n', k=self.rng.randint(0, 2))) if self.blanks else ''

    def text(self, text):
        if self.escapes == 'plain':
            return json.dumps(text)
        if self.escapes == 'raw':
            return json.dumps(text, ensure_ascii=False)
        units = text.encode('utf-16-be', 'surrogatepass').hex()
        written = []
        for at in range(0, len(units), 4):
            unit = int(units[at:at + 4], 16)
            plain = 0x20 <= unit < 0x7f and unit not in (0x22, 0x5c)
            if plain and (self.escapes == 'some' and self.rng.random() < 0.7):
                written.append(chr(unit))
            else:
                written.append('\\u' + self.rng.choice((str.lower, str.upper))(units[at:at + 4]))
        return '"%s"' % ''.join(written)

    def write(self, value):
        return self._write(value).encode('latin-1')

    def _write(self, value):
        # Text travels as Latin-1 of its UTF-8 here, so that raw bytes can stand anywhere.
        if isinstance(value, Raw):
            return value.decode('latin-1')
        if isinstance(value, str):
            return self.text(value).encode('utf-8', 'surrogatepass').decode('latin-1')
        if isinstance(value, dict):
            value = Members(value.items())
        if isinstance(value, Members):
            inside = ','.join('%s%s%s:%s%s%s' % (
                self.blank(), self._write(key), self.blank(), self.blank(), self._write(member), self.blank())
                for key, member in value)
            return self.blank() + '{' + inside + '}' + self.blank()
        if isinstance(value, list):
            return '[' + ','.join(map(self._write, value)) + ']'
        return json.dumps(value)


def checkpoint(rng, entries, plan=places.PLAN):
    """The members of a checkpoint, in either order; an empty map also as null or not at all."""
    members = Members([('plan_id', plan)])
    if isinstance(entries, dict) and not entries and rng.random() < 0.7:
        if rng.random() < 0.5:
            members.append(('extra-info', None))
    else:
        members.append(('extra-info', entries))
    if rng.random() < 0.3:
        members.reverse()
    return members


def good_create(rng, entries, fancy=True, flat=False, plan=places.PLAN):
    inner = checkpoint(rng, entries, plan)
    return Writer(rng, fancy).write(inner if flat else Members([('checkpoint', inner)]))


def nested(depth):
    return Raw(b'[' * depth + b']' * depth)


def bad_create(rng, flat=False):
    """A creation that must not reach Karbor."""
    writer = Writer(rng, rng.random() < 0.5)
    if rng.random() < 0.6:
        inner = checkpoint(rng, bad_entries(rng))
        return writer.write(inner if flat else Members([('checkpoint', inner)]))
    if flat:
        return writer.write(doubled(rng, checkpoint(rng, good_entries(rng)), checkpoint(rng, bad_entries(rng))))
    return rng.choice((twice, misplaced, misencoded))(rng, writer)


def doubled(rng, first, second):
    """Members of both, so that every key of the one comes again."""
    both = Members(list(first) + list(second))
    if rng.random() < 0.5:
        rng.shuffle(both)
    names = [key for key, _ in both]
    return both if len(set(names)) < len(names) else Members(both + [both[0]])


def twice(rng, writer):
    """A duplicate at some level, plain or in escapes; what wins in Karbor may be good or bad."""
    good, bad = checkpoint(rng, good_entries(rng)), checkpoint(rng, bad_entries(rng))
    pair = [good, bad] if rng.random() < 0.7 else [bad, good]
    name = Raw(b'"\\u0063heckpoint"') if rng.random() < 0.4 else 'checkpoint'
    level = rng.random()
    if level < 0.35:
        return writer.write(Members([('checkpoint', pair[0]), (name, pair[1])]))
    if level < 0.75:
        spelled = Raw(b'"\\u0065xtra-info"') if rng.random() < 0.4 else 'extra-info'
        first = rng.choice((good_entries(rng), Raw(b'NaN'), nested(200), None, []))
        maps = [('extra-info', first), (spelled, bad_entries(rng))]
        if rng.random() < 0.2:
            maps.reverse()
        return writer.write(Members([('checkpoint', Members([('plan_id', places.PLAN)] + maps))]))
    key = good_key(rng)
    spelled = Raw(b'"\\u%04x%s"' % (ord(key[0]), key[1:].encode())) if rng.random() < 0.4 else key
    again = Members([(key, 'a'), (spelled, rng.choice(('b', 1, None, 'v' * 2000)))])
    return writer.write(Members([('checkpoint', Members([('plan_id', places.PLAN), ('extra-info', again)]))]))


def misplaced(rng, writer):
    """Members that a creation does not have, or of another kind."""
    bad = bad_entries(rng)
    inner = checkpoint(rng, good_entries(rng))
    member = ('checkpoint', inner)
    return writer.write(rng.choice((
        Members([member, ('extra-info', bad)]),
        Members([('extra_info', bad), member]),
        Members([('checkpoint', Members([('plan_id', places.PLAN), ('extra_info', bad)]))]),
        Members([('checkpoint', Members(list(inner) + [('type', 'full')]))]),
        Members([member, ('type', 'a')]),
        Members([('Checkpoint', inner)]),
        Members([('checkpoint', [inner])]),
        Members([('checkpoint', None)]),
        Members([('checkpoint', Members([('plan_id', places.PLAN), ('extra-info', rng.choice((
            [], 'a', 0, False, True, 1.5, [bad], Raw(b'NaN')))),
        ]))]),
        [Members([member])],
        Members(),
        'checkpoint',
        None,
        Members([member, ('deep', nested(rng.choice((33, 127, 128, 500, 1200))))]),
    )))


def misencoded(rng, writer):
    """A creation that only some readers of JSON take."""
    text = writer.write(Members([('checkpoint', checkpoint(rng, bad_entries(rng)))]))
    return rng.choice((
        lambda: b'\xef\xbb\xbf' + text,
        lambda: text.decode('latin-1').encode('utf-16'),
        lambda: text.decode('latin-1').encode('utf-16-le'),
        lambda: text.decode('latin-1').encode('utf-32'),
        lambda: text + b'\x00',
        lambda: text + b'{}',
        lambda: text + text,
        lambda: text + b',',
        lambda: text + b'//',
        lambda: b'/**/' + text,
        lambda: b'\x0c' + text,
        lambda: b'\xc2\xa0' + text,
        lambda: b'\n \r\t' + text,
        lambda: text[:-1],
        lambda: text[:-1] + b',}',
        lambda: text.replace(b'"', b"'"),
        lambda: text.replace(b'checkpoint', b'check\xc1\xb0oint'),
        lambda: text.replace(b'extra-info', b'extra-inf\xed\xa0\x80'),
        lambda: b'\x1f\x8b\x08' + text,
        lambda: b'',
        lambda: b'  ',
    ))()


def reset(rng):
    return Writer(rng, True).write(
        Members([('os-resetState', Members([('state', rng.choice(('available', 'error')))]))]))


def bad_update(rng):
    """A change that names the map, at some depth and in some spelling."""
    name = rng.choice(('extra-info', 'extra_info', Raw(b'"\\u0065xtra-info"'), Raw(b'"extra\\u005finfo"')))
    entries = rng.choice((good_entries(rng), bad_entries(rng), None, 'a', 1))
    state = ('os-resetState', Members([('state', 'available')]))
    return Writer(rng, True).write(rng.choice((
        Members([state, (name, entries)]),
        Members([(name, entries)]),
        Members([('os-resetState', Members([('state', 'error'), (name, entries)]))]),
        Members([('checkpoint', Members([(name, entries)]))]),
        [[Members([(name, entries)])]],
        Members([('os-resetState', Members([(name, entries)])), state]),
    )))


def copy(rng):
    parameters = Members()
    if rng.random() < 0.5:
        kind = rng.choice(('OS::Cinder::Volume#a', 'a'))
        parameters.append((kind, Members([(rng.choice(('note', 'extra_info')), 'v')])))
    return Writer(rng, True).write(
        Members([('copy', Members([('plan_id', places.PLAN), ('parameters', parameters)]))]))
