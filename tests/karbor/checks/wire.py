"""Bytes on a socket: other spellings of a creation are judged or refused, whatever Karbor would make of them."""
import lab

from . import CHECKPOINTS, VALUE, expect, token
from .denials import audited_denial, says

BAD = {'bad': VALUE}
GOOD = {'x-acme--a': VALUE}
PATH = f'/v1/{lab.OPEN}{CHECKPOINTS}'
LETTERS = PATH.replace('checkpoints', '%63heckpoints')
SLASHES = '/' + PATH.replace('/', '//')
JSON = 'Content-Type: application/json'


def request(line, body=b'', *headers, length=True, close=True):
    """A request with a token and these headers, each line as it is."""
    fields = ['Host: karbor', f'X-Auth-Token: {token(lab.OPEN)}', *headers]
    if length:
        fields.append(f'Content-Length: {len(body)}')
    if close:
        fields.append('Connection: close')
    return '\r\n'.join([line, *fields, '', '']).encode('latin-1') + body


def _creation(world, line, extra_info, *headers, **how):
    return request(line, world.body(lab.OPEN, extra_info), JSON, *headers, **how)


def _smuggled(world, carrier):
    """A request of one length by Content-Length and another by a field that Karbor reads as Transfer-Encoding."""
    inner = b'0\r\n\r\n' + _creation(world, f'POST {PATH} HTTP/1.1', BAD)
    return request(f'GET {PATH} HTTP/1.1', inner, carrier, close=False)


# (title, request line): a good map makes a checkpoint through these, a bad one is denied.
SPELLINGS = [
    ('as it is', f'POST {PATH} HTTP/1.1'),
    ('letters encoded', f'POST {LETTERS} HTTP/1.1'),
    ('slashes doubled', f'POST {SLASHES} HTTP/1.1'),
    ('with a query', f'POST {PATH}?x=1 HTTP/1.1'),
    ('absolute form', f'POST http://elsewhere{PATH} HTTP/1.1'),
]

# (title, bytes of a world, codes of the refusal that are right)
REFUSED = [
    ('an encoded slash', lambda w: _creation(w, f'POST {PATH.replace("/providers", "%2Fproviders")} HTTP/1.1', GOOD),
     {'target-slash'}),
    ('an encoded line end after the path', lambda w: _creation(w, f'POST {PATH}%0A HTTP/1.1', GOOD), {'target-control'}),
    ('a dot segment', lambda w: _creation(w, f'POST /x/..{PATH} HTTP/1.1', GOOD), {'target-dot-segment'}),
    ('an encoded scheme', lambda w: _creation(w, f'POST http%3a//x{PATH} HTTP/1.1', GOOD), {'target-form'}),
    ('a fragment', lambda w: _creation(w, f'POST {PATH}#f HTTP/1.1', GOOD), {'target-byte'}),
    ('a byte that Karbor takes for a blank', lambda w: _creation(w, f'POST {PATH}\xa0 HTTP/1.1', GOOD),
     {'target-byte', 'request-line'}),
    ('another method by the query', lambda w: _creation(w, f'GET {PATH}?_method=POST HTTP/1.1', GOOD), {'method-override'}),
    ('another method by a hidden name', lambda w: _creation(w, f'GET {PATH}?x=_method&%5Fmethod=POST HTTP/1.1', GOOD),
     {'method-override'}),
    ('another method after a semicolon', lambda w: _creation(w, f'GET {PATH}?x=1;_method=POST HTTP/1.1', GOOD),
     {'method-override'}),
    ('another method that Karbor may give up', lambda w: _creation(w, f'POST {PATH}?_method=GET&x=%ff HTTP/1.1', GOOD),
     {'method-override'}),
    ('a creation behind Transfer_Encoding', lambda w: _smuggled(w, 'Transfer_Encoding: chunked'), {'field-name'}),
    ('a creation behind Transfer-Encoding and a length', lambda w: _smuggled(w, 'Transfer-Encoding: chunked'),
     {'length-and-chunked'}),
    ('a creation behind an unknown coding', lambda w: _smuggled(w, 'Transfer-Encoding: gzip, chunked'),
     {'transfer-encoding', 'length-and-chunked'}),
    ('a token by an underscore', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, f'X_Auth_Token: {token(lab.OPEN)}'),
     {'field-name'}),
    ('a type by an underscore', lambda w: request(f'POST {PATH} HTTP/1.1', w.body(lab.OPEN, GOOD),
                                                  'Content_Type: application/json'), {'field-name'}),
    ('two types', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'Content-Type: text/plain'), {'field-repeated'}),
    ('two lengths', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'Content-Length: 0'),
     {'field-repeated', 'content-length'}),
    ('a length with a sign', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'Content-Length: +10', length=False),
     {'content-length'}),
    ('a line without a colon', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'no colon'),
     {'field-name', 'field-value'}),
    ('a bare CR in a value', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'X-A: b\rX-C: d'), {'field-value'}),
    ('a folded line', lambda w: _creation(w, f'POST {PATH} HTTP/1.1', GOOD, 'X-A: b\r\n c'), {'field-value', 'field-name'}),
    ('a broken chunk', lambda w: request(f'POST {PATH} HTTP/1.1', b'zz\r\n', JSON, 'Transfer-Encoding: chunked',
                                         length=False), {'chunk'}),
    ('CONNECT', lambda w: request('CONNECT karbor:80 HTTP/1.1'), {'connect', 'target-form'}),
]


def _add_spellings(checks):
    for title, line in SPELLINGS:
        @checks.check(f'spelling: {title}, a good map: a checkpoint')
        def good(world, line=line):
            data = _creation(world, line, GOOD)
            with world.makes(lab.OPEN, 1):
                answers = world.raw(data)
            expect([a.status for a in answers] == [200], [str(a) for a in answers])
            expect(world.audited(answers[0].request_id())['verdict'] == 'admitted', 'not audited as admitted')

        @checks.check(f'spelling: {title}, a bad map: denied (malformed-key, 400)')
        def bad(world, line=line):
            data = _creation(world, line, BAD)
            with world.nothing_reaches(lab.OPEN):
                answers = world.raw(data)
            expect([a.status for a in answers] == [400], [str(a) for a in answers])
            audited_denial(world, answers[0].request_id(), lab.OPEN, 'malformed-key', None, None)


def _add_refusals(checks):
    for title, data, codes in REFUSED:
        @checks.check(f'refused: {title} ({" or ".join(sorted(codes))})')
        def refused(world, data=data, codes=codes):
            data = data(world)
            with world.nothing_reaches(lab.OPEN):
                answers = world.raw(data)
            # One answer: what follows on that connection is not read as a request.
            expect(len(answers) == 1, [str(a) for a in answers])
            answer = answers[0]
            expect(400 <= answer.status < 500 and answer.status != 401 and answer.fault(), answer)
            says(answer.fault()[1], None, None, None)
            line = world.audited(answer.request_id())
            expect(line['verdict'] == 'refused' and line['refusal'] in codes, line)


def _add_connections(checks):
    @checks.check('connection: Expect: 100-continue')
    def expectation(world):
        data = _creation(world, f'POST {PATH} HTTP/1.1', GOOD, 'Expect: 100-continue')
        with world.makes(lab.OPEN, 1):
            answers = world.raw(data)
        # The body is there already, so that the 100 may be left out.
        expect([a.status for a in answers] in ([100, 200], [200]), [str(a) for a in answers])

    @checks.check('connection: a good creation and a bad one in one go')
    def pipelined(world):
        line = f'POST {PATH} HTTP/1.1'
        data = _creation(world, line, GOOD, close=False) + _creation(world, line, BAD)
        with world.makes(lab.OPEN, 1):
            answers = world.raw(data)
        expect([a.status for a in answers] == [200, 400], [str(a) for a in answers])

    @checks.check('connection: a bad creation and a good one in one go')
    def reversed_order(world):
        line = f'POST {PATH} HTTP/1.1'
        data = _creation(world, line, BAD, close=False) + _creation(world, line, GOOD)
        before = set(world.checkpoints(lab.OPEN))
        answers = world.raw(data)
        made = len(set(world.checkpoints(lab.OPEN)) - before)
        expect(([a.status for a in answers], made) in (([400, 200], 1), ([400], 0)), f'{made} made, {[str(a) for a in answers]}')

    @checks.check('connection: the client leaves in the middle of a body')
    def leaves(world):
        data = _creation(world, f'POST {PATH} HTTP/1.1', GOOD)[:-10]
        count = len(world.audit())
        with world.nothing_reaches(lab.OPEN):
            world.leave(data)
            line = lab.wait_for('an audit line', 5, lambda: world.audit()[count:])[0]
        expect(line['verdict'] == 'abandoned', line)


def add(checks):
    _add_spellings(checks)
    _add_refusals(checks)
    _add_connections(checks)
