"""What goes wrong on purpose, one after the other and sometimes two at once, in an order that the seed decides.

Each fault says in `Weather` what it excuses, and for how long. One that excuses nothing says nothing.
"""

import asyncio
import signal
import sqlite3

import ground

# Between two faults.
PAUSE_SECONDS = 2.0
# From a kill until connections of before it are certainly gone.
BREAK_SECONDS = 1.0
# Longer than any timeout of the proxy's, so that each is met.
HANG_SECONDS = 6.0
# What a reload by the watch takes at most, with room for a busy machine.
NOTICED_SECONDS = 5.0


class Faults:
    def __init__(self, place, book, traffic, chance):
        self.place, self.book, self.traffic, self.chance = place, book, traffic, chance
        self.weather = book.weather
        self.done = {}
        self.kinds = {
            "upstream killed": self.kill_one,
            "upstream hung": self.hang_one,
            "upstream resets": self.reset_one,
            "upstream slow": self.slow_all,
            "all upstreams killed": self.kill_all,
            "all upstreams hung": self.hang_all,
            "certificates rotated": self.rotate,
            "certificates broken and mended": self.break_certificates,
            "configuration broken and mended": self.break_config,
            "configuration that needs a restart": self.need_restart,
            "limits turned": self.turn_limits,
            "reloads by signal": self.reload_often,
            "audit file rotated": self.rotate_audit,
        }
        if place.ledger_way is None:
            self.kinds["ledger locked"] = self.lock_ledger
        else:
            self.kinds |= {"ledger killed": self.kill_ledger, "ledger hung": self.hang_ledger}
            self.kinds["ledger resets"] = self.reset_ledger

    async def go_on(self, seconds):
        """Every kind once, and then again until the time is over; later rounds have two at once."""
        loop = asyncio.get_running_loop()
        until, rounds = loop.time() + seconds, 0
        while True:
            names = list(self.kinds)
            self.chance.shuffle(names)
            while names:
                if rounds and loop.time() > until:
                    return
                together = [names.pop() for _ in range(min(len(names), 2 if rounds and self.chance.random() < 0.5 else 1))]
                # Two that turn the same thing would each undo the other.
                if len({self.subject(name) for name in together}) < len(together):
                    names.append(together.pop())
                await asyncio.gather(*(self.run(name) for name in together))
                await asyncio.sleep(PAUSE_SECONDS)
            rounds += 1
            if loop.time() > until:
                return

    @staticmethod
    def subject(name):
        words = ("upstream", "ledger", "audit")
        return next((word for word in words if word in name), "configuration")

    async def run(self, name):
        self.now = name
        self.done[name] = self.done.get(name, 0) + 1
        await self.kinds[name]()

    def a_relay(self):
        return self.chance.choice(self.place.relays)

    async def start(self, relay):
        await asyncio.get_running_loop().run_in_executor(None, relay.start)

    async def kill(self, relay, kind):
        """Kills a relay; `kind` stands for what breaks just then."""
        span = self.weather.begin(kind)
        relay.kill()
        return span

    async def kill_one(self):
        relay = self.a_relay()
        # With others there, only what was under way may notice.
        self.weather.end(await self.kill(relay, "breaks"), BREAK_SECONDS)
        await asyncio.sleep(self.chance.uniform(1, 5))
        await self.start(relay)

    async def kill_all(self):
        spans = [await self.kill(relay, "down") for relay in self.place.relays]
        await asyncio.sleep(self.chance.uniform(1, 5))
        for relay in self.place.relays:
            await self.start(relay)
        for span in spans:
            self.weather.end(span)

    async def hang_one(self):
        await self.hang([self.a_relay()], "silence")

    async def hang_all(self):
        await self.hang(self.place.relays, "down")

    async def hang(self, relays, kind):
        span = self.weather.begin(kind)
        for relay in relays:
            relay.signal(signal.SIGSTOP)
        await asyncio.sleep(HANG_SECONDS)
        for relay in relays:
            relay.signal(signal.SIGCONT)
        self.weather.end(span)

    async def reset_one(self):
        relay, span = self.a_relay(), self.weather.begin("breaks")
        relay.signal(signal.SIGUSR1)
        await asyncio.sleep(self.chance.uniform(2, 5))
        relay.signal(signal.SIGUSR1)
        self.weather.end(span)

    async def slow_all(self):
        for relay in self.place.relays:
            relay.signal(signal.SIGUSR2)
        await asyncio.sleep(self.chance.uniform(2, 4))
        for relay in self.place.relays:
            relay.signal(signal.SIGUSR2)

    async def kill_ledger(self):
        span = await self.kill(self.place.ledger_way, "ledger")
        await asyncio.sleep(self.chance.uniform(1, 5))
        await self.start(self.place.ledger_way)
        self.weather.end(span)

    async def hang_ledger(self):
        span = self.weather.begin("ledger")
        self.place.ledger_way.signal(signal.SIGSTOP)
        await asyncio.sleep(HANG_SECONDS)
        self.place.ledger_way.signal(signal.SIGCONT)
        self.weather.end(span)

    async def reset_ledger(self):
        span = self.weather.begin("ledger")
        self.place.ledger_way.signal(signal.SIGUSR1)
        await asyncio.sleep(self.chance.uniform(2, 5))
        self.place.ledger_way.signal(signal.SIGUSR1)
        self.weather.end(span)

    async def lock_ledger(self):
        """Somebody else holds the file: nothing can be written to it."""
        span = self.weather.begin("ledger")
        held = sqlite3.connect(self.place.ledger.removeprefix("sqlite:"), isolation_level=None, timeout=10)
        held.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(self.chance.uniform(3, 6))
        held.execute("ROLLBACK")
        held.close()
        self.weather.end(span)

    async def gauge(self, value):
        """Waits until the proxy says how its last reload went."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 3 * NOTICED_SECONDS
        while loop.time() < deadline:
            metrics = await loop.run_in_executor(None, self.place.metrics)
            if metrics.get("config_last_reload_successful") == value:
                return
            await asyncio.sleep(0.3)
        self.book.violated(f"config_last_reload_successful is not {value} after {3 * NOTICED_SECONDS} s")

    async def served(self):
        """The certificate that new connections get."""
        wire = await self.traffic.open("tls")
        if wire is None:
            return None
        shown = wire.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        wire.close()
        return shown

    async def rotate(self):
        before = await self.served()
        await asyncio.get_running_loop().run_in_executor(None, self.place.new_certificates)
        for _ in range(15):
            await asyncio.sleep(1)
            if await self.served() != before:
                return
        self.book.violated("the certificates were replaced, and new connections get the old one")

    async def break_certificates(self):
        """A certificate without its key: everything stays as it is."""
        before = await self.served()
        key = self.place.folder / "certificates" / "server.key"
        right = key.read_bytes()
        key.write_bytes(self.place.client_certificate[1].read_bytes())
        await self.gauge(0)
        if await self.served() != before:
            self.book.violated("another certificate is served after a reload that failed")
        key.write_bytes(right)
        await self.gauge(1)

    async def break_config(self):
        more = self.chance.choice(("nonsense = [", "nonsense = 1\n", "limits.entries = -1\n", 'server.tls.keys = []\n'))
        self.place.write_config(self.traffic.allowed_entries, more)
        await self.gauge(0)
        await asyncio.sleep(1)
        self.place.write_config(self.traffic.allowed_entries)
        await self.gauge(1)

    async def need_restart(self):
        """Refused by name, and nothing of the rest is taken: other limits stand in the same file."""
        other = next(entries for entries in ground.ENTRIES if entries != self.traffic.allowed_entries)
        self.place.write_config(other, "audit.queue_lines = 100\n")
        await self.gauge(0)
        await asyncio.sleep(1)
        self.place.write_config(self.traffic.allowed_entries)
        await self.gauge(1)

    async def turn_limits(self):
        now = self.traffic.allowed_entries
        other = next(entries for entries in ground.ENTRIES if entries != now)
        self.traffic.allowed_entries = None
        # Whoever was asked for before the change may still be under way.
        applied = 'config_reloads_total{outcome="applied"}'
        loop = asyncio.get_running_loop()
        before = (await loop.run_in_executor(None, self.place.metrics)).get(applied)
        await asyncio.sleep(1)
        self.place.write_config(other)
        for _ in range(30):
            await asyncio.sleep(0.5)
            if (await loop.run_in_executor(None, self.place.metrics)).get(applied) != before:
                break
        else:
            self.book.violated("a change of the file is not taken")
        self.traffic.allowed_entries = other

    async def reload_often(self):
        for _ in range(20):
            self.place.proxy.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.1)
        await self.gauge(1)

    async def rotate_audit(self):
        """As logrotate does: moved away, and the proxy told. The lines of both files count."""
        number = len(list(self.place.folder.glob("audit.jsonl.*")))
        self.place.audit.rename(self.place.folder / f"audit.jsonl.{number}")
        self.place.proxy.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(1)
