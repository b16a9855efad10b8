"""Requests that carry another one, which must be seen by nobody or judged like any other."""
import bodies
import heads
import places
import targets
from words import Request


def inner(rng, name):
    """A creation that must not pass, complete, to be hidden in something."""
    body = bodies.good_create(rng, bodies.Members([(rng.choice(bodies.BAD_KEYS[:41]), 'v')]), fancy=False)
    head = 'POST %s HTTP/1.1\r\nHost: a\r\nX-Auth-Token: %s\r\nX-Probe: %s\r\n' % (targets.CREATION, places.TOKEN, name)
    return head.encode() + b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body)


def request(rng, name, inner_name):
    hidden = inner(rng, inner_name)
    way = rng.choice(WAYS)
    lines, body = way(rng, hidden)
    method = rng.choice((b'GET', b'GET', b'POST', b'POST', b'PUT', b'DELETE', b'FOO'))
    path = rng.choice((targets.CREATION, targets.MEMBER, targets.COPY, '/v1/%s/providers' % places.PROJECT, '/v1/x'))
    head = [heads.line(rng, b'Host', b'a'), heads.line(rng, b'X-Auth-Token', places.TOKEN.encode()),
            heads.line(rng, b'X-Probe', name.encode())]
    if rng.random() < 0.3:
        head.append(b'Content-Type: application/json\r\n')
    head[rng.randint(0, len(head)):0] = lines
    version = rng.choice((b'HTTP/1.1', b'HTTP/1.1', b'HTTP/1.1', b'HTTP/1.0'))
    return Request(b'%s %s %s\r\n%s\r\n%s' % (method, path.encode(), version, b''.join(head), body), name)


def ended_by_length(rng, hidden):
    """Ends after nothing for who reads chunks; for who reads the length, the other is its body."""
    body = b'0\r\n\r\n' + hidden
    lines = [heads.wild_coding(rng), b'Content-Length: %d\r\n' % len(body)]
    rng.shuffle(lines)
    return lines, body


def ended_by_chunks(rng, hidden):
    """The other way round."""
    size = b'%x\r\n' % len(hidden)
    body = size + hidden + b'\r\n0\r\n\r\n'
    lines = [heads.wild_coding(rng), b'Content-Length: %d\r\n' % rng.choice((len(size), 0))]
    rng.shuffle(lines)
    return lines, body


def one_of_two_lengths(rng, hidden):
    lines = [b'Content-Length: %d\r\n' % len(hidden),
             rng.choice((b'Content-Length', b'Content_Length', b'content-length', b'Content-Length ')) + b': 0\r\n']
    rng.shuffle(lines)
    return lines, hidden


def odd_length(rng, hidden):
    return [b'Content-Length: ' + heads.wild_length(rng, hidden) + b'\r\n'], hidden


def in_sizes(rng, hidden):
    """A chunk whose size readers disagree about."""
    size = rng.choice(heads.SIZES).replace('%x', '0').encode()
    return [b'Transfer-Encoding: chunked\r\n'], size + b'\r\n\r\n' + hidden


def in_trailers(_rng, hidden):
    return [b'Transfer-Encoding: chunked\r\n'], b'0\r\nX-T: a\r\n' + hidden


def in_extension(rng, hidden):
    piece = hidden[:hidden.index(b'\r\n')]
    extension = rng.choice((piece, b'\n' + piece))
    return [b'Transfer-Encoding: chunked\r\n'], b'%x;%s\r\n%s\r\n0\r\n\r\n' % (len(hidden), extension, hidden)


def in_value(rng, hidden):
    """A bare line end in a value."""
    end = rng.choice((b'\r', b'\n', b'\n\n', b'\r\r', b'\x0b', b'\x85', b'\n\r\n'))
    return [b'X-A: b' + end + end + hidden + b'\r\n'], b''


def without_framing(_rng, hidden):
    return [], hidden


def expected(rng, hidden):
    return [b'Expect: 100-continue\r\n', b'Content-Length: %d\r\n' % rng.choice((len(hidden), 0))], hidden


def upgraded(rng, hidden):
    return [rng.choice((b'Connection: Upgrade\r\nUpgrade: h2c\r\n', b'Upgrade: websocket\r\n'))], hidden


def named_by_connection(rng, hidden):
    named = rng.choice((
        b'Content-Length', b'Transfer-Encoding', b'content-length, transfer-encoding', b'close, Content-Length'))
    framing = rng.choice((b'Content-Length: %d\r\n' % len(hidden), b'Transfer-Encoding: chunked\r\n'))
    body = hidden if framing[:1] == b'C' else b'%x\r\n%s\r\n0\r\n\r\n' % (len(hidden), hidden)
    return [b'Connection: ' + named + b'\r\n', framing], body


WAYS = (
    ended_by_length, ended_by_length, ended_by_chunks, ended_by_chunks, one_of_two_lengths, odd_length, in_sizes,
    in_trailers, in_extension, in_value, without_framing, expected, upgraded, named_by_connection)
