"""HTTP/1.1 as a client of the soak speaks it: raw heads, answers read strictly, over TCP, TLS and unix sockets.

Leaves what is asked to `shots`, and when to give up to `traffic`.
"""

import asyncio
import json
import socket
import ssl
import struct
import time

# The proxy keeps idle connections several times as long.
REUSED_FOR = 1.0
ROOM = 1 << 22


class Cut(Exception):
    """The connection ended in the middle of an answer; `begun` says whether a byte of it came."""

    def __init__(self, begun):
        super().__init__("within an answer" if begun else "without an answer")
        self.begun = begun


class Reply:
    """One answer. `fields` are in lower case; of a repeated one all values, joined."""

    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def closes(self):
        return self.fields.get("connection", "").lower() == "close"

    @property
    def request_id(self):
        return self.fields.get("x-openstack-request-id", "")

    @property
    def warning(self):
        return self.fields.get("warning", "")

    def document(self):
        """The body as JSON; nothing if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def code(self):
        """The first rule or refusal that a fault of the proxy's names; empty for Karbor's own."""
        said = self.document()
        try:
            return next(iter(said.values()))["details"][0]["rule"]
        except (AttributeError, KeyError, IndexError, TypeError, StopIteration):
            return ""


class Wire:
    """A connection of a client."""

    def __init__(self, reader, writer, shows=False):
        self.reader, self.writer, self.shows = reader, writer, shows
        self.last = time.monotonic()

    @property
    def is_fresh(self):
        """Whether another request may be sent on it, without the risk that it is just being closed."""
        return not self.writer.is_closing() and not self.reader.at_eof() and time.monotonic() - self.last < REUSED_FOR

    async def send(self, data):
        """What the other side does not take because it has answered already is no failure: the answer tells."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (OSError, RuntimeError):
            pass

    async def reply(self, method="GET"):
        """The next answer, whole. Raises `Cut`."""
        begun = False
        try:
            while True:
                begun = bool(await self.reader.readexactly(1))
                head = "H" + (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.split("\r\n")[:-2]
                status = int(line.split(" ")[1])
                if status != 100:
                    break
            fields = {}
            for one in lines:
                name, _, value = one.partition(": ")
                name = name.lower()
                fields[name] = f"{fields[name]}, {value}" if name in fields else value
            body = await self._body(method, status, fields)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut(begun or bool(getattr(error, "partial", b""))) from None
        self.last = time.monotonic()
        return Reply(status, fields, body)

    async def _body(self, method, status, fields):
        if method == "HEAD" or status in (204, 304):
            return b""
        if fields.get("transfer-encoding") == "chunked":
            parts = []
            while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
            await self.reader.readuntil(b"\r\n")
            return b"".join(parts)
        if "content-length" in fields:
            return await self.reader.readexactly(int(fields["content-length"]))
        return await self.reader.read(-1)

    def close(self):
        self.writer.close()

    def reset(self):
        """Leaves without a word."""
        held = self.writer.get_extra_info("socket")
        if held is not None and held.family != socket.AF_UNIX and held.fileno() >= 0:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Doors:
    """The ways into the proxy, as clients know them: `unix`, `tls`, `tls12`, `tls2` (HTTP/2), `tls-shown` (with a
    certificate of the client's), and `tcp`, which says nothing of TLS where it should."""

    def __init__(self, port, unix, authority, shown):
        self.port, self.unix = port, unix
        make = lambda: ssl.create_default_context(cafile=str(authority))
        self.contexts = {way: make() for way in ("tls", "tls12", "tls2", "tls-shown")}
        self.contexts["tls12"].maximum_version = ssl.TLSVersion.TLSv1_2
        self.contexts["tls2"].set_alpn_protocols(["h2"])
        self.contexts["tls-shown"].load_cert_chain(*shown)

    async def open(self, way, buffer_bytes=None):
        limit = buffer_bytes or ROOM
        if way == "unix":
            return Wire(*await asyncio.open_unix_connection(str(self.unix), limit=limit))
        held = socket.socket()
        if buffer_bytes is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        held.setblocking(False)
        await asyncio.get_running_loop().sock_connect(held, ("127.0.0.1", self.port))
        context = self.contexts.get(way)
        name = context and "localhost"
        opened = await asyncio.open_connection(sock=held, ssl=context, server_hostname=name, limit=limit)
        return Wire(*opened, shows=way == "tls-shown")
