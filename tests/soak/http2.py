"""HTTP/2 (RFC 9113) in the one shape that the soak needs: some requests at once, all answered, statuses and bodies.

Requests are written without compression; of an answer's head only `:status` is read, which comes first and, since the
dynamic table is turned off, is written in one of three forms (RFC 7541, 6.1, 6.2, 5.2).
"""

import asyncio
import struct

from wire import Cut

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
WINDOW_BYTES = 1 << 18
FRAME_BYTES = 16384
# RFC 7541, appendix A: `:status` of these indices.
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
# Digits of the Huffman code (RFC 7541, appendix B): five bits each for 0 to 2, six for 3 to 9.
DIGITS = {f"{digit:05b}": str(digit) for digit in range(3)} | {f"{digit + 22:06b}": str(digit) for digit in range(3, 10)}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string without Huffman coding."""
    value = value.encode()
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, more = len(value) - 127, b""
    while rest >= 128:
        more += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + more + bytes([rest]) + value


def block(fields):
    """Literals that are not indexed."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def status_in(head):
    while head[0] & 0xE0 == 0x20:
        head = head[1:]
    if head[0] & 0x80:
        return STATUSES[head[0] & 0x7F]
    # The name by its index, and the value as it is or coded.
    if (head[0] & 0x3F if head[0] & 0x40 else head[0] & 0x0F) in STATUSES:
        length, coded = head[1] & 0x7F, head[2:]
        if not head[1] & 0x80:
            return int(coded[:length])
        bits, digits, at = "".join(f"{byte:08b}" for byte in coded[:length]), "", 0
        while len(digits) < 3:
            width = 5 if bits[at : at + 5] in DIGITS else 6
            digits += DIGITS[bits[at : at + width]]
            at += width
        return int(digits)
    raise ValueError(f"a head that does not begin with a status: {head[:8]!r}")


class Answer:
    """What came on one stream so far."""

    def __init__(self):
        self.status, self.body, self.whole, self.turned_back = None, b"", False, False


class Http2:
    """One connection."""

    def __init__(self, wire):
        self.wire, self.next, self.streams, self.leaving = wire, 1, {}, False

    async def begin(self):
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, WINDOW_BYTES)
        await self.wire.send(
            PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, struct.pack(">I", WINDOW_BYTES))
        )

    async def ask(self, requests):
        """Sends all of `requests`, each fields and body, and gives their answers in order. Raises `Cut`."""
        asked, sent = [], b""
        for fields, body in requests:
            stream, self.next = self.next, self.next + 2
            self.streams[stream] = Answer()
            asked.append(self.streams[stream])
            sent += frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block(fields))
            for at in range(0, len(body), FRAME_BYTES):
                piece = body[at : at + FRAME_BYTES]
                last = at + FRAME_BYTES >= len(body)
                sent += frame(DATA, END_STREAM if last else 0, stream, piece)
        await self.wire.send(sent)
        try:
            while not all(answer.whole or answer.turned_back for answer in asked):
                await self._read()
        except (asyncio.IncompleteReadError, OSError):
            raise Cut(any(answer.status for answer in asked)) from None
        finally:
            self.streams.clear()
        return asked

    async def _read(self):
        head = await self.wire.reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big")
        payload = await self.wire.reader.readexactly(length)
        answer = self.streams.get(stream)
        if kind == SETTINGS and not flags & ACK:
            await self.wire.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            await self.wire.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.leaving = True
            last = int.from_bytes(payload[:4], "big")
            for number, one in self.streams.items():
                one.turned_back |= number > last and one.status is None
        elif answer is None:
            return
        elif kind == RESET:
            answer.turned_back = True
        elif kind == HEADERS:
            at = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
            if answer.status is None:
                answer.status = status_in(payload[at:])
            answer.whole |= bool(flags & END_STREAM)
        elif kind == DATA:
            at, padding = (1, payload[0]) if flags & PADDED else (0, 0)
            answer.body += payload[at : length - padding]
            answer.whole |= bool(flags & END_STREAM)
            if length:
                back = struct.pack(">I", length)
                await self.wire.send(frame(WINDOW, 0, 0, back) + frame(WINDOW, 0, stream, back))
