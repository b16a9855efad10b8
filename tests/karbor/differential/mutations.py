"""Small changes to the bytes of a request, of the kind that nobody thinks of."""
SPECIAL = b'\x00\t\n\x0b\x0c\r\x1c\x1f "#%&*+,-./0:;<=>?@\\_{}\x7f\x80\x85\xa0\xff'
WORDS = (
    b'\r\n', b'\n', b'\r\n\r\n', b'%0A', b'%2F', b'//', b'/../', b'_method=POST', b'chunked',
    b'Content-Length: 0\r\n', b'Transfer-Encoding: chunked\r\n', b'Transfer_Encoding: chunked\r\n', b' HTTP/1.1\r\n',
    b'"extra-info": {}', b'\\u0000', b'POST ')


def mutate(rng, data):
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if data:
            data = rng.choice(CHANGES)(rng, data)
    return data


def spot(rng, data):
    """Mostly in the head, where the meaning is dense."""
    end = data.find(b'\r\n\r\n')
    reach = end if 0 < end and rng.random() < 0.7 else len(data)
    return rng.randrange(reach) if reach else 0


def replace(rng, data):
    at = spot(rng, data)
    return data[:at] + bytes([rng.choice(SPECIAL)]) + data[at + 1:]


def flip(rng, data):
    at = spot(rng, data)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


def insert(rng, data):
    at = spot(rng, data)
    return data[:at] + (bytes([rng.choice(SPECIAL)]) if rng.random() < 0.6 else rng.choice(WORDS)) + data[at:]


def delete(rng, data):
    at = spot(rng, data)
    return data[:at] + data[at + rng.choice((1, 1, 2, 8)):]


def repeat(rng, data):
    at = spot(rng, data)
    piece = data[at:at + rng.choice((1, 2, 10, 60))]
    return data[:at] + piece + data[at:]


def lines(rng, data):
    """Drops, doubles or moves a whole line."""
    parts = data.split(b'\r\n')
    at = rng.randrange(len(parts))
    line = parts[at]
    kind = rng.random()
    if kind < 0.6:
        del parts[at]
    if kind > 0.3:
        parts.insert(rng.randint(0, len(parts)), line)
    return b'\r\n'.join(parts)


CHANGES = replace, replace, flip, insert, insert, delete, repeat, lines
