"""Cases by seed and number: fine requests, ones that must be denied, and ones that readers disagree about.

The same seed and number always give the same bytes.
"""
import random

import bodies
import heads
import mutations
import places
import smuggling
import targets
from words import Case, Request, probe

# Types that Karbor itself reads as JSON: only creations get theirs written anew.
PLAIN_TYPES = (
    b'application/json', b'application/json; charset=utf-8', b'application/json;charset=UTF-8', b'application/json;')
OTHER_PATHS = (
    '/v1/%s/providers' % places.PROJECT, '/v1/%s/providers/%s' % (places.PROJECT, places.PROVIDER),
    '/v1/%s/plans' % places.PROJECT, '/v1/%s/plans/%s' % (places.PROJECT, places.PLAN), '/v1/%s' % places.PROJECT,
    targets.CREATION + '/' + places.CHECKPOINT + '/below', targets.CREATION + '/', '/v1/nobody/providers')


def case(seed, index):
    rng = random.Random('%s:%d' % (seed, index))
    requests = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        requests.append(fine(rng, probe(index, len(requests))))
    if not requests or rng.random() < 0.85:
        requests.append(doubtful(rng, probe(index, len(requests)), index))
        # What follows may be carried out or not, but never unseen.
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            follower = fine(rng, probe(index, len(requests)))
            requests.append(Request(follower.data, follower.probe, head=follower.head, asks=follower.asks))
    elif rng.random() < 0.2:
        requests.append(fine(rng, probe(index, len(requests)), lasts=False))
    cuts = ()
    if rng.random() < 0.08:
        length = sum(len(request.data) for request in requests)
        cuts = tuple(sorted(rng.randrange(1, max(2, length)) for _ in range(rng.choice((1, 2, 5)))))
    return Case('%s:%d' % (seed, index), requests, cuts)


def assemble(method, target, lines, body, version=b'HTTP/1.1'):
    return b'%s %s %s\r\n%s\r\n%s' % (method, target, version, b''.join(lines), body)


def fine(rng, name, lasts=True):
    """A request that no strict reader and no rule objects to."""
    return rng.choices(FINE, FINE_WEIGHTS)[0](rng, name, lasts)


def fine_parts(rng, name, body, kind, lasts):
    """Version, fields and framed body of a sound request."""
    version, more = b'HTTP/1.1', []
    if not lasts:
        version, more = rng.choice(((b'HTTP/1.0', []), (b'HTTP/1.1', [heads.line(rng, b'Connection', b'close')])))
    elif rng.random() < 0.03:
        more.append(heads.line(rng, b'Connection', b'keep-alive'))
    if kind:
        more.append(heads.line(rng, b'Content-Type', kind))
    if body is not None:
        framing, body = heads.fine_framing(rng, body, chunked=version == b'HTTP/1.1')
        more.append(framing)
        if rng.random() < 0.03 and version == b'HTTP/1.1':
            more.append(heads.line(rng, b'Expect', b'100-continue'))
    return version, heads.fine_lines(rng, name, more), body or b''


def fine_create(rng, name, lasts):
    entries, known = bodies.good_entries(rng), rng.random() < 0.97
    body = bodies.good_create(rng, entries, plan=places.PLAN if known else places.CHECKPOINT)
    if rng.random() < 0.003:
        body += b' ' * (128 * 1024 - len(body))
    version, lines, framed = fine_parts(rng, name, body, rng.choice(heads.GOOD_TYPES), lasts)
    return Request(assemble(b'POST', targets.fine(rng, targets.CREATION), lines, framed, version), name,
                   Request.FORWARDED, call='create', entries=entries, lasts=lasts)


def fine_short(rng, name, lasts):
    entries = bodies.good_entries(rng)
    body = bodies.good_create(rng, entries, flat=rng.random() < 0.5)
    version, lines, framed = fine_parts(rng, name, body, rng.choice(heads.GOOD_TYPES), lasts)
    target = targets.fine(rng, rng.choice(targets.SHORT_FORMS))
    return Request(assemble(b'POST', target, lines, framed, version), name, Request.FORWARDED, call='create',
                   entries=entries, asks=True, lasts=lasts)


def fine_reset(rng, name, lasts):
    version, lines, framed = fine_parts(rng, name, bodies.reset(rng), rng.choice(PLAIN_TYPES), lasts)
    return Request(assemble(b'PUT', targets.fine(rng, targets.MEMBER), lines, framed, version), name,
                   Request.FORWARDED, call='update', lasts=lasts)


def fine_copy(rng, name, lasts):
    version, lines, framed = fine_parts(rng, name, bodies.copy(rng), rng.choice(PLAIN_TYPES), lasts)
    # Karbor reads no chunked body, and a copy is passed on as it comes.
    return Request(assemble(b'POST', targets.fine(rng, targets.COPY), lines, framed, version), name,
                   Request.FORWARDED, streams=True, lasts=lasts)


def fine_reading(rng, name, lasts):
    method = rng.choice((b'GET', b'GET', b'GET', b'DELETE', b'HEAD', b'OPTIONS', b'PATCH', b'FOO', b'get', b"M-$!"))
    path = rng.choice((targets.CREATION, targets.CREATION, targets.MEMBER, rng.choice(OTHER_PATHS)))
    body = b'' if rng.random() < 0.05 else None
    version, lines, framed = fine_parts(rng, name, body, None, lasts)
    if version == b'HTTP/1.0' and rng.random() < 0.5:
        lines = [line for line in lines if line[:5].lower() != b'host:']
    return Request(assemble(method, targets.fine(rng, path), lines, framed, version), name, Request.FORWARDED,
                   head=method == b'HEAD', streams=body is not None, lasts=lasts)


def fine_with_content(rng, name, lasts):
    """Content where it means nothing: RFC 9110, 9.3.1, allows it, and it looks like a request."""
    method = rng.choice((b'GET', b'DELETE', b'OPTIONS'))
    body = rng.choice((b'a', smuggling.inner(rng, 'x'), bodies.bad_create(rng)))
    version, lines, framed = fine_parts(rng, name, body, rng.choice((None, b'application/json')), lasts)
    path = rng.choice((targets.CREATION, rng.choice(OTHER_PATHS)))
    return Request(assemble(method, targets.fine(rng, path), lines, framed, version), name, Request.FORWARDED,
                   streams=True, lasts=lasts)


FINE = fine_create, fine_short, fine_reset, fine_copy, fine_reading, fine_with_content
FINE_WEIGHTS = 45, 8, 6, 4, 33, 4


def doubtful(rng, name, index):
    kind = rng.random()
    if kind < 0.2:
        return denied(rng, name)
    if kind < 0.32:
        return smuggling.request(rng, name, probe(index, 'inner'))
    request = wild(rng, name)
    if kind > 0.8:
        source = fine(rng, name) if rng.random() < 0.3 else request
        request = Request(mutations.mutate(rng, source.data), name, asks=True)
    return request


def denied(rng, name):
    """A sound request that breaks a rule."""
    kind = rng.random()
    if kind < 0.15:
        method, target = rng.choice((b'PUT', b'POST', b'PATCH')), targets.fine(rng, targets.MEMBER)
        body, media_type = bodies.bad_update(rng), rng.choice(heads.GOOD_TYPES)
    elif kind < 0.2:
        member = targets.MEMBER + rng.choice(('/extra-info', '/extra_info'))
        method, target = rng.choice((b'PUT', b'POST', b'PATCH', b'DELETE')), targets.fine(rng, member)
        body, media_type = bodies.good_create(rng, bodies.good_entries(rng)), b'application/json'
    elif kind < 0.3:
        method, target = b'POST', targets.fine(rng, targets.CREATION)
        body = bodies.good_create(rng, bodies.good_entries(rng))
        media_type = rng.choice((None, b'text/plain', b'text/json', b'application/x-www-form-urlencoded'))
    else:
        short = rng.random() < 0.15
        method = b'POST'
        target = targets.fine(rng, rng.choice(targets.SHORT_FORMS) if short else targets.CREATION)
        body, media_type = bodies.bad_create(rng, flat=short), rng.choice(heads.GOOD_TYPES)
    version, lines, framed = fine_parts(rng, name, body, media_type, True)
    return Request(assemble(method, target, lines, framed, version), name, Request.DENIED)


def wild(rng, name):
    """Mostly a creation or a change that must not pass, with one to three things that readers disagree about."""
    paths = targets.CREATION, targets.MEMBER, targets.COPY, rng.choice(targets.SHORT_FORMS)
    path = rng.choices(paths, (75, 10, 5, 10))[0]
    method = b'PUT' if path is targets.MEMBER else b'POST'
    body = wild_body(rng, path)
    target, version, gaps, lead = path.encode(), b'HTTP/1.1', (b' ', b' '), b''
    kind_line = heads.line(rng, b'Content-Type', rng.choice(heads.GOOD_TYPES))
    framing = heads.line(rng, b'Content-Length', b'%d' % len(body))
    extra = []
    for trick in rng.choices(('target', 'method', 'type', 'framing', 'line', 'request line'), (35, 8, 12, 20, 10, 7),
                             k=rng.choice((1, 1, 1, 2, 3))):
        if trick == 'target':
            target = targets.wild(rng, path)
            if b'_m' in target and rng.random() < 0.8:
                method = rng.choice((b'GET', b'PUT', b'DELETE', b'HEAD', b'FOO', b'POST'))
        elif trick == 'method':
            method = rng.choice(heads.METHODS)
        elif trick == 'type':
            kind_line = heads.wild_type(rng)
        elif trick == 'framing':
            framing, body = heads.wild_framing(rng, body)
        elif trick == 'line':
            extra.append(rng.choice(heads.EXTRA_LINES))
        else:
            version, lead = rng.choice(heads.VERSIONS), rng.choice(heads.LEADS)
            gaps = rng.choice(heads.GAPS), rng.choice(heads.GAPS)
    lines = heads.fine_lines(rng, name, [kind_line, framing, *extra])
    head = lead + method + gaps[0] + target + gaps[1] + version + (b'\n' if rng.random() < 0.01 else b'\r\n')
    return Request(head + b''.join(lines) + b'\r\n' + body, name, head=method == b'HEAD', asks=True)


def wild_body(rng, path):
    if rng.random() < 0.15:
        return bodies.good_create(rng, bodies.good_entries(rng))
    if path is targets.MEMBER:
        return bodies.bad_update(rng)
    if path is targets.COPY:
        return bodies.copy(rng)
    # Plainly bad, so that a creation that slips by runs with it whatever else Karbor objects to.
    if rng.random() < 0.7:
        return bodies.good_create(rng, bodies.Members([(rng.choice(bodies.BAD_KEYS[:41]), 'v')]), fancy=False)
    return bodies.bad_create(rng)
