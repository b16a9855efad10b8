"""Header fields and framing: what RFC 9110 and 9112 allow, and what readers of them disagree about."""
import places

FIELD_VALUES = (
    b'', b'a', b'a, b', b'text/html;q=0.9, */*', b'gzip, deflate', b'"quoted, \\" text"', b'a\tb', b'caf\xc3\xa9',
    b'caf\xe9', b'b\x85c', b'\xa0', b'=?utf-8?q?a?=', b'x' * 300, b'a:b', b'chunked', b'100-continue', b'POST')
FIELD_NAMES = (
    b'Accept', b'Accept-Encoding', b'Accept-Language', b'Cookie', b'Cache-Control', b'Pragma', b'Date',
    b'X-Request-Id', b'Via', b'X-Custom', b'x-a--b', b'Origin', b'Referer', b'X-HTTP-Method-Override',
    b'X-Method-Override', b'X-Forwarded-For', b'Forwarded', b'X-Forwarded-Host', b'X-Real-Ip', b'DNT', b'1', b'-',
    b'A-' * 40, b'X-Openstack-Request-Id', b'If-None-Match', b'User-Agent')
IDENTITY = (
    b'X-User-Id', b'X-Project-Id', b'X-Tenant-Id', b'X-Roles', b'X-Role', b'X-Identity-Status', b'X-Service-Roles',
    b'X-User-Name', b'X-Is-Admin-Project')

GOOD_TYPES = (
    b'application/json', b'application/json', b'application/json', b'application/json; charset=utf-8',
    b'application/json;charset=UTF-8', b'application/json;', b'application/json ; a=b', b'Application/JSON',
    b'APPLICATION/JSON', b'application/json; charset="utf-8"', b'application/json;a="b;c"',
    b'application/json; charset=utf-16')
BAD_TYPES = (
    b'', b'text/plain', b'text/json', b'*/*', b'application/*', b'application/vnd.api+json',
    b'application/x-www-form-urlencoded', b'multipart/form-data; boundary=a', b'application/json,text/plain',
    b'text/plain,application/json', b'application/json, application/json', b'application/jsonx', b'xapplication/json',
    b'application /json', b'application/ json', b'application/json\x0b', b'"application/json"',
    b'application/json\x85', b'application/json\xa0', b'application/json\x00', b'application/json x',
    b'text/plain; application/json', b'application%2Fjson', b'application/json\x0c;', b'application\x2fjson\x1c')
TYPE_LINES = (
    b'Content_Type: application/json\r\n', b'Content-Type : application/json\r\n',
    b'Content-Type\t: application/json\r\n', b'Content-Type:\r\n application/json\r\n',
    b'Content-Type: application/\r\n json\r\n', b'content-type:application/json\r\n',
    b'Content-Type: text/plain\r\nContent-Type: application/json\r\n',
    b'Content-Type: application/json\r\nContent-Type: text/plain\r\n',
    b'Content-Type: application/json\r\nContent_Type: text/plain\r\n',
    b'Content-Type: text/plain\r\nContent_Type: application/json\r\n', b'X-A: b\rContent-Type: application/json\r\n',
    b'X-A: b\nContent-Type: application/json\r\n', b'X-A: b\n\rContent-Type: application/json\r\n',
    b'Content-Type: application/json\n', b'Content-Type: application/json\r', b'Content-Type application/json\r\n',
    b'\tContent-Type: application/json\r\n', b': a\r\nContent-Type: application/json\r\n',
    b'no colon\r\nContent-Type: application/json\r\n', b'Content-Type: application/json  \t \r\n',
    b'Content-Type:   application/json   ;x=y\r\n', b'Content-Type:\tapplication/json\t\r\n',
    b'Content-Typ\xc3\xa9: application/json\r\n', b'Content.Type: application/json\r\n',
    b'Content-Type: application/json\r\nContent-Encoding: gzip\r\n',
    b'Content-Type: application/json\r\nContent-Encoding: identity\r\n',
    b'Content-Type: application/json\r\nContent-Encoding:\r\n',
    b'Content-Type: application/json\r\nContent_Encoding: gzip\r\n')
EXTRA_LINES = (
    b'X_Auth_Token: other:other\r\n', b'X-Auth-Token: other:other\r\n', b'X_Probe: p\r\n', b'Host: other\r\n',
    b'HOST_: x\r\n', b'Connection: Content-Length\r\n', b'Connection: close, Content-Type\r\n',
    b'Connection: X-Auth-Token\r\n', b'Connection: Host\r\n', b'Connection: Transfer-Encoding\r\n',
    b'Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n',
    b'Connection: upgrade\r\nUpgrade: websocket\r\n', b'Upgrade: TLS/1.0\r\n', b'Expect: 100-continue\r\n',
    b'Expect: 100-Continue\r\n', b'Expect: x\r\n', b'Expect: 100-continue, x\r\n',
    b'Expect: 100-continue\r\nExpect: x\r\n', b'Expect:\r\n', b'TE: chunked\r\n', b'TE: trailers\r\n',
    b'Trailer: Content-Length\r\n', b'Keep-Alive: timeout=1\r\n', b'Proxy-Connection: close\r\n',
    b'X-HTTP-Method-Override: PUT\r\n', b'X-HTTP-Method: PUT\r\n', b'X-Original-URL: /v1/x\r\n',
    b'X-Rewrite-URL: /v1/x\r\n', b'X-Script-Name: /v1\r\n', b'X-Forwarded-Prefix: /x\r\n', b'SCRIPT_NAME: /v1\r\n',
    b'X-A\x00: b\r\n', b'X-A: b\x00c\r\n', b'X-A: b\rc\r\n', b'X-A: b\nc: d\r\n', b'X-A: b\x0bc\r\n',
    b'X-A: b\x0cY: z\r\n', b'X-A:\r\n\tb\r\n', b' folded: a\r\n', b'X-A\r\n', b':\r\n', b': b\r\n', b'X A: b\r\n',
    b'X-\xe9: b\r\n', b'X-A(: b\r\n', b'X-A: b\x7f\r\n', b'X-A: b\r\r\n', b'\x00\r\n', b'X-Empty:\r\n',
    b'X-A: ' + b'y' * 9000 + b'\r\n', b'X-A: b\r\n' * 101, b'X-Long-' + b'y' * 300 + b': b\r\n',
    b'Content-Range: bytes 0-1/2\r\n', b'Range: bytes=0-1\r\n', b'HTTP/1.1 200 OK\r\n', b'GET / HTTP/1.1\r\n',
    b'X-Storage-Token: a:b\r\n')
VERSIONS = (
    b'HTTP/1.1', b'HTTP/1.1', b'HTTP/1.0', b'HTTP/1.2', b'HTTP/0.9', b'http/1.1', b'HTTP/2.0', b'HTTP/1.1 ',
    b'HTTP/1.10', b'HTTP/01.1', b'HTTP/1', b'HTTPS/1.1', b'', b'HTTP/1.1\x0b', b'HTTP/1.1 HTTP/1.1', b'xHTTP/1.1')
METHODS = (
    b'POST', b'POST', b'POST', b'POST', b'POST', b'GET', b'HEAD', b'PUT', b'PATCH', b'DELETE', b'OPTIONS', b'TRACE',
    b'CONNECT', b'FOO', b'post', b'Post', b'get', b'POST\x00', b'P\xd6ST', b'POST/', b'_POST', b'PO ST', b'POST\xa0',
    b'"POST"', b'M' * 40, b'')
GAPS = b' ', b' ', b' ', b' ', b' ', b' ', b'  ', b'\t', b'\x0b', b'\xa0', b' \t ', b'\x00', b'\r', b'\x1c'
LEADS = b'', b'', b'', b'', b'', b'\r\n', b'\r\n\r\n', b'\n', b' ', b'\r', b'\x00', b'\xef\xbb\xbf'


def name_as_written(rng, name):
    kind = rng.random()
    return name if kind < 0.6 else name.lower() if kind < 0.8 else name.upper()


def line(rng, name, value):
    """One field as RFC 9112, section 5, allows it: any case, any blanks around the value."""
    before = rng.choice((b' ', b' ', b' ', b' ', b'', b'\t', b'   '))
    after = rng.choice((b'', b'', b'', b'', b' ', b'\t '))
    return name_as_written(rng, name) + b':' + before + value + after + b'\r\n'


def fine_lines(rng, probe, more=()):
    """Fields of a sound request in any order, framing apart."""
    lines = [line(rng, b'Host', rng.choice((b'karbor.example', b'127.0.0.1:8799', b'[::1]:8799'))),
             line(rng, b'X-Auth-Token', places.TOKEN.encode()), line(rng, b'X-Probe', probe.encode()), *more]
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 1, 2, 3, 30))):
            lines.append(line(rng, rng.choice(FIELD_NAMES), rng.choice(FIELD_VALUES)))
    if rng.random() < 0.03:
        lines.append(line(rng, rng.choice(IDENTITY), rng.choice((b'admin', b'Confirmed', places.PROJECT.encode()))))
    rng.shuffle(lines)
    return lines


def wild_type(rng):
    kind = rng.random()
    if kind < 0.05:
        return b''
    return rng.choice(TYPE_LINES) if kind < 0.5 else b'Content-Type: ' + rng.choice(BAD_TYPES) + b'\r\n'


def wild_coding(rng):
    return rng.choice(CODING_LINES) if rng.random() < 0.5 else b'Transfer-Encoding: ' + rng.choice(CODINGS) + b'\r\n'


def pieces_of(rng, body):
    while body:
        size = rng.choice((1, 3, 16, 100, len(body)))
        yield body[:size]
        body = body[size:]


def fine_chunks(rng, body):
    """`body` in chunks as RFC 9112, section 7.1, allows them."""
    written = []
    for piece in pieces_of(rng, body):
        size = rng.choice(('%x', '%X', '%04x', '%015x')) % len(piece)
        extension = rng.choice(('', '', '', '', ';a', ';a=b', ';a="b c"', ';a=b;c=d'))
        written.append(('%s%s\r\n' % (size, extension)).encode() + piece + b'\r\n')
    last = rng.choice((b'0', b'0', b'0', b'000')) + rng.choice((b'', b'', b';end'))
    trailers = rng.choice((b'', b'', b'', b'X-Trailer: a\r\n', b'X-T: a\r\nX-U: b\r\n'))
    return b''.join(written) + last + b'\r\n' + trailers + b'\r\n'


def fine_framing(rng, body, chunked=True):
    """The framing field and the framed body."""
    if chunked and rng.random() < 0.15:
        coding = rng.choice((b'chunked', b'chunked', b'Chunked', b'CHUNKED'))
        return line(rng, b'Transfer-Encoding', coding), fine_chunks(rng, body)
    length = b'%d' % len(body)
    if rng.random() < 0.01:
        length = b'000' + length
    return line(rng, b'Content-Length', length), body


LENGTHS = (
    '+%d', '-%d', '%d,%d', '%d, %d', '0%d', '00%d', '%d ', '\t%d', '%d\x0b', '\x0b%d', '%d;x', '%d.0', '0x%x', '%de0',
    '', ' ', '1_%d', '%d_0', '%d %d', '99999999999999999999%d', '18446744073709551616', '\xb2%d', '%d\xa0', '"%d"')
CODINGS = (
    b'chunked', b'gzip, chunked', b'chunked, chunked', b'chunked, identity', b'identity', b'chunked;x', b'chunked,',
    b',chunked', b'x', b'', b'"chunked"', b'chunked\x0b', b'\x0bchunked', b'xchunked', b'chunked x', b'CHUNKED',
    b'chunked\x00', b'ch\xfcnked', b'compress', b'deflate, chunked', b'identity, chunked', b'chunked\t', b'c\rhunked')
CODING_LINES = (
    b'Transfer_Encoding: chunked\r\n', b'Transfer-Encoding : chunked\r\n', b'Transfer-Encoding\t: chunked\r\n',
    b'Transfer-Encoding:\r\n chunked\r\n', b'Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n',
    b'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', b'X-A: b\rTransfer-Encoding: chunked\r\n',
    b'X-A: b\nTransfer-Encoding: chunked\r\n', b'Transfer-Encoding\x00: chunked\r\n',
    b' Transfer-Encoding: chunked\r\n', b'\x0bTransfer-Encoding: chunked\r\n', b'Transfer.Encoding: chunked\r\n',
    b'transfer-encoding:chunked\r\n', b'TRANSFER_ENCODING: chunked\r\n', b'Transfer-Encoding: chunked\n',
    b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n')
SIZES = (
    '0x%x', '+%x', '-%x', ' %x', '%x ', '%x\t', '%x\n', '%x\r', '%xh', '%x,', '%x;\r', '0000000000000000%x',
    '%x;' + 'a' * 300, '%x;a\nb', '%x;\x00', '1_%x', '%x\x0b', 'FFFFFFFFFFFFFFF%x', '%x;a="\r', '')


def wild_length(rng, body):
    text = rng.choice(LENGTHS)
    return text.replace('%d', str(len(body))).replace('%x', '%x' % len(body)).encode('latin-1')


def many_extensions(rng, body):
    """Each chunk sound, but more extensions in all than some readers bear."""
    extension = b';' + b'e' * rng.choice((100, 200, 250))
    pieces = b''.join(b'1%s\r\n%c\r\n' % (extension, byte) for byte in body[:120])
    rest = body[120:]
    return pieces + (b'%x\r\n%s\r\n' % (len(rest), rest) if rest else b'') + b'0\r\n\r\n'


def wild_chunks(rng, body):
    """Chunks with one thing wrong."""
    kind = rng.random()
    if kind > 0.93:
        return many_extensions(rng, body)
    if kind > 0.9:
        return b'%x\r\n%s\r\n0\r\n%s\r\n' % (len(body), body, b'X-T: a\r\n' * rng.choice((99, 100, 101, 130)))
    if kind < 0.5:
        size = rng.choice(SIZES).replace('%x', '%x' % len(body)).encode()
        return size + b'\r\n' + body + b'\r\n0\r\n\r\n'
    whole = b'%x\r\n' % len(body) + body
    return whole + rng.choice((
        b'0\r\n\r\n', b'\n0\r\n\r\n', b'\r\n0\n\n', b'\r\n0\r\n\n', b'\r\n\r\n',
        b'\r\n0\r\nContent-Length: 5\r\n\r\n', b'\r\n0\r\nX_A: b\r\n\r\n',
        b'\r\n0\r\nbad\r\n\r\n', b'\r\n0\r\n folded\r\n\r\n', b'\r\n-0\r\n\r\n', b'\r\n00\r\n\r\n',
        b'\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
        b'x\r\n0\r\n\r\n', b'\r\n0;' + b'e' * 300 + b'\r\n\r\n', b'\r\n0\r\n' + b'X-T: ' + b't' * 9000 + b'\r\n\r\n',
        b'\r\n0'))


def wild_framing(rng, body):
    """Framing fields that may contradict each other or the body, and the body."""
    kind = rng.random()
    length = b'Content-Length: %d\r\n' % len(body)
    if kind < 0.2:
        return b'Content-Length: ' + wild_length(rng, body) + b'\r\n', body
    if kind < 0.28:
        other = rng.choice((b'%d' % len(body), b'0', b'5', b'+%d' % len(body), b''))
        name = rng.choice((b'Content-Length', b'Content_Length', b'CONTENT-LENGTH', b'Content-Length '))
        pair = [length, name + b': ' + other + b'\r\n']
        rng.shuffle(pair)
        return b''.join(pair), body
    if kind < 0.33:
        return b'Content-Length: %d\r\n' % max(0, len(body) + rng.choice((-5, -1, 1, 2, 5))), body
    coding = wild_coding(rng)
    if kind < 0.55:
        return coding, rng.choice((body, b'%x\r\n' % len(body) + body + b'\r\n0\r\n\r\n'))
    if kind < 0.8:
        body = rng.choice((body, b'%x\r\n' % len(body) + body + b'\r\n0\r\n\r\n'))
        pair = [coding, b'Content-Length: %d\r\n' % rng.choice((len(body), len(body), 0, 5))]
        rng.shuffle(pair)
        return b''.join(pair), body
    if kind < 0.97:
        return b'Transfer-Encoding: chunked\r\n', wild_chunks(rng, body)
    return b'', body
