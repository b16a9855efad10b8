"""Frames of HTTP/2, as bytes. No table is used, so that each head means the same wherever it stands."""

import struct

import stage

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def begin(window=None):
    """What a client says first. `window`: what the answer of each stream has room for."""
    settings = b"" if window is None else struct.pack(">HI", 4, window)
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0)


def _text(text):
    encoded, length = text.encode(), b""
    left = len(encoded)
    if left < 127:
        return bytes([left]) + encoded
    length, left = b"\x7f", left - 127
    while left >= 128:
        length, left = length + bytes([left % 128 + 128]), left // 128
    return length + bytes([left]) + encoded


def fields(method, path, *more):
    """The fields of a request of a tenant, as a block."""
    all_of_them = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "karbor.test")]
    all_of_them += [("x-auth-token", f"user:{stage.PROJECT}"), *more]
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in all_of_them)


def head(stream, block, flags=0, whole=True):
    """A block of fields, in as many frames as it takes; without its end if it is not `whole`."""
    first, *rest = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    parts = [(HEADERS, flags, first)] + [(CONTINUATION, 0, part) for part in rest]
    if whole:
        kind, last, part = parts[-1]
        parts[-1] = (kind, last | END_HEADERS, part)
    return b"".join(frame(kind, flags, stream, part) for kind, flags, part in parts)


def request(stream, method, path, *more, body=None):
    """A request whose body, if there is one, is not at its end."""
    block = fields(method, path, *more)
    if body is None:
        return head(stream, block, END_STREAM)
    parts = [body[at : at + 16384] for at in range(0, len(body), 16384)]
    return head(stream, block) + b"".join(frame(DATA, 0, stream, part) for part in parts)
