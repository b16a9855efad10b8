"""One endpoint of Karbor, or the way to a ledger, as a process that can fail: killed, stopped, or by these signals.

    relay.py PORT TARGET SEED

SIGUSR1 begins to reset connections at any point of an exchange, or ends it; SIGUSR2 the same for being slow. SIGKILL,
SIGSTOP and SIGCONT are the system's own.
"""

import asyncio
import os
import random
import signal
import socket
import struct
import sys

# Of the pieces that go through while it resets.
RESET_PART = 0.05
SLOW_SECONDS = 0.25
PIECE = 1 << 16


class Relay:
    def __init__(self, target, chance):
        self.target, self.chance = target, chance
        self.resets = self.slow = False

    def turn(self, what):
        setattr(self, what, not getattr(self, what))

    async def connected(self, reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, there_writer)
        there = asyncio.ensure_future(self.pump(reader, there_writer, both))
        await self.pump(there_reader, writer, both)
        there.cancel()
        for one in both:
            one.close()

    async def pump(self, reader, writer, both):
        """Carries one way. Its end is passed on: a half-closed connection stays one."""
        try:
            while piece := await reader.read(PIECE):
                if self.slow:
                    await asyncio.sleep(SLOW_SECONDS)
                if self.resets and self.chance.random() < RESET_PART:
                    # What was half sent stays so: the reset comes in the middle of a piece.
                    writer.write(piece[: self.chance.randrange(len(piece) + 1)])
                    return reset(both)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            reset(both)


def reset(writers):
    for writer in writers:
        held = writer.get_extra_info("socket")
        if held is not None and held.fileno() >= 0:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def main():
    port, target, seed = (int(word) for word in sys.argv[1:])
    relay = Relay(target, random.Random(seed))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, relay.turn, "resets")
    loop.add_signal_handler(signal.SIGUSR2, relay.turn, "slow")
    # The soak holds the port meanwhile, so that nobody takes it while this is dead.
    server = await asyncio.start_server(relay.connected, "127.0.0.1", port, reuse_port=True, backlog=1024)
    print("ready", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)
        # What is under way ends with it, without a word.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
