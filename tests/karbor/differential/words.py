"""What the generator makes: cases, each the bytes of one connection, and what must come of them."""
import zlib


class Request:
    """One request as it goes on the wire.

    `must` is what must come of it: FORWARDED (it is fine, and Karbor must get it once), DENIED (Karbor must not get
    it), or None where only the general promises hold. `call` and `entries` say which of Karbor's controllers then
    runs and with which map. `asks` allows for the question for a plan's provider. `streams`: its content is passed on
    as it comes, so Karbor may answer before all of it was read, and the connection may then end. `lasts` is false
    where the connection ends with this request, whatever comes of it.
    """

    FORWARDED, DENIED = 'forwarded', 'denied'

    def __init__(self, data, probe, must=None, head=False, call=None, entries=None, asks=False, streams=False,
                 lasts=True):
        self.data, self.probe, self.must, self.head = data, probe, must, head
        self.call, self.entries, self.asks, self.streams, self.lasts = call, entries, asks, streams, lasts


class Case:
    """One connection: its requests, and where its bytes are cut into pieces when they are sent."""

    # Refused wherever a request may begin, so it ends the connection without a word to Karbor.
    END = b'!\r\n'

    def __init__(self, name, requests, cuts=()):
        self.name, self.requests, self.cuts = name, requests, cuts

    def data(self):
        return b''.join(request.data for request in self.requests) + self.END


def probe(index, place):
    """A header value that tells the request from all others, and that no mutation turns into another's."""
    name = 'p%d.%s' % (index, place)
    return '%s.%08x' % (name, zlib.crc32(name.encode()))


def case_of(value):
    """The index of the case that a probe belongs to, or None if it is none of ours."""
    try:
        name, check = value.rsplit('.', 1)
        return int(name[1:].split('.')[0]) if '%08x' % zlib.crc32(name.encode()) == check else None
    except (AttributeError, ValueError):
        return None
