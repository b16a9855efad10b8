"""What the known floods of HTTP/2 cost: one client, one connection, as fast as it goes and for so long at most.

That each ends is a test: tests/integration/http2/floods.rs.
"""

import itertools
import os
import struct
import time

import clients
import frames
import loop
import stage
from latency import Peak, mib

BLOB = f"/v1/{stage.PROJECT}/silent"
# Bytes of the same frames that are sent at once.
BATCH = 64 << 10


def again(part):
    """The same frames without an end."""
    return itertools.repeat(part * max(1, BATCH // len(part)))


def opened_and_reset():
    """CVE-2023-44487."""
    block = frames.fields("GET", BLOB)
    for first in itertools.count(1, 2000):
        pairs = (
            frames.head(stream, block, frames.END_STREAM)
            + frames.frame(frames.RST_STREAM, 0, stream, struct.pack(">I", 8))
            for stream in range(first, first + 2000, 2)
        )
        yield b"".join(pairs)


def floods():
    """What is sent first, and what then, again and again."""
    json = ("content-type", "application/json")
    creation = frames.head(1, frames.fields("POST", stage.CHECKPOINTS, json))
    begun = frames.head(1, frames.fields("GET", "/"), whole=False)
    field = b"\x10\x01x\x7f\x91\x0f" + b"v" * 2064
    waiting = b"".join(frames.request(n, "GET", BLOB) for n in range(1, 65, 2))
    return {
        "streams opened and reset": (b"", opened_and_reset()),
        "a head without end, CONTINUATION": (begun, again(frames.frame(frames.CONTINUATION, 0, 1, field))),
        "CONTINUATION, empty": (begun, again(frames.frame(frames.CONTINUATION, 0, 1))),
        "settings": (b"", again(frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HI", 3, 100)))),
        "pings": (b"", again(frames.frame(frames.PING, 0, 0, bytes(8)))),
        "DATA, empty": (creation, again(frames.frame(frames.DATA, 0, 1))),
        "windows opened by one byte": (waiting, again(frames.frame(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))),
        "settings that change every window": (waiting, itertools.cycle([
            b"".join(frames.frame(frames.SETTINGS, 0, 0, struct.pack(">HI", 4, n)) for n in (0, 65535)) * 2000
        ])),
        "priorities": (b"", again(frames.frame(2, 0, 1, struct.pack(">IB", 3, 7)))),
        "frames of no known kind": (b"", again(frames.frame(0xFA, 0, 0, bytes(8)))),
    }


def run(binary, seconds):
    print(f"floods of HTTP/2, one connection, {seconds} s at most, {os.cpu_count()} cores, a fresh proxy each")
    print(f"{'flood':36}{'taken':>12}{'lasted, s':>11}{'ms of CPU':>11}{'per s':>9}{'grew by':>12}  ended")
    for name, (first, parts) in floods().items():
        with stage.StuckUpstream() as karbor, stage.Proxy(binary, karbor.port) as proxy:
            before, used = proxy.resident(), _used(proxy)
            peak = Peak(proxy.resident, 0.02)
            taken, lasted, ended = _flood(proxy.port, first, parts, seconds)
            cpu = (_used(proxy) - used) / 1e6
            grown = peak.end() - before
            way = "by the proxy" if ended else "no"
            print(f"{name:36}{mib(taken):>12}{lasted:>11.2f}{cpu:>11.0f}{cpu / lasted:>9.0f}{mib(grown):>12}  {way}", flush=True)


def _used(proxy):
    return sum(loop.used({None: proxy.process.pid}).values())


def _flood(port, first, parts, seconds):
    """Bytes that were taken, the seconds that took, and whether the proxy ended it."""
    client = clients.connect(port, 0)
    # Answers that nobody reads would only fill our own buffers.
    client.settimeout(seconds)
    begun, taken = time.monotonic(), 0
    try:
        client.sendall(frames.begin() + first)
        for part in parts:
            taken += client.send(part)
            if time.monotonic() - begun > seconds:
                return taken, time.monotonic() - begun, False
    except TimeoutError:
        return taken, time.monotonic() - begun, False
    except OSError:
        pass
    return taken, time.monotonic() - begun, True
