"""Clients of every manner, at once: steady ones, pipelining, dribbling, leaving, slow, silent, HTTP/2.

Leaves what is asked to `shots`, what may be answered to `model`, projects with quotas to `bounded`.
"""

import asyncio
import time

import ground
import shots
from http2 import Http2
from model import NO_LINE, NOTHING, PERHAPS
from wire import Cut, Reply

# Whatever takes longer hangs. The proxy's own bounds on one request come to half of it.
HANG_SECONDS = 40
WAYS = ("tls", "tls", "tls-shown", "tls12", "unix", "unix")
# What a steady client leaves standing before it deletes, and what may stand in a project that nobody looks after.
STANDING = 12
STRAY = 60


class Traffic:
    """All clients. They go on until `ended` is set, and then finish what they began."""

    def __init__(self, book, doors, chance, rate):
        self.book, self.doors, self.chance = book, doors, chance
        self.ended = asyncio.Event()
        self.tasks = []
        # What the project TURNED may have; nothing while that is being changed.
        self.allowed_entries = ground.ENTRIES[0]
        manners = [self.steady] * 14 + [self.pipelining] * 2 + [self.dribbling] * 2 + [self.leaving] * 2
        manners += [self.multiplexing] * 3 + [self.silent, self.slow_reading, self.half_closing, self.tidying]
        self.manners, self.pause = manners, 14 / rate

    def begin(self, more=()):
        self.ended.clear()
        work = [manner() for manner in self.manners] + [one(self) for one in more]
        self.tasks = [asyncio.ensure_future(self._guarded(one)) for one in work]

    async def end(self):
        self.ended.set()
        await asyncio.gather(*self.tasks)

    async def _guarded(self, work):
        try:
            await work
        except Exception as error:  # A client that is gone would be load that is missing.
            self.book.violated(f"a client failed: {error!r}")
            raise

    async def rest(self, seconds):
        """Waits as long, or until the end."""
        try:
            await asyncio.wait_for(self.ended.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    def think(self, slower=1):
        return self.rest(self.chance.expovariate(1 / (self.pause * slower)))

    async def open(self, way, **more):
        """A connection; nothing, noted, where there is none."""
        begun = time.monotonic()
        try:
            return await asyncio.wait_for(self.doors.open(way, **more), HANG_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            if "stall" not in self.book.weather.during(begun):
                self.book.violated(f"no connection ({way}): {error!r}")
            await self.rest(1)
            return None

    async def ask(self, wire, shot):
        """Sends it and holds the answer against the model; the answer, or nothing."""
        self.book.sent(shot, wire.shows)
        begun = time.monotonic()
        await self._within(shot, wire.send(shot.head() + shot.payload()))
        return await self.hear(wire, shot, begun)

    async def hear(self, wire, shot, begun):
        try:
            reply = await self._within(shot, wire.reply(shot.method))
        except Cut as error:
            self.book.cut(shot, begun, error)
            if shot.kind == "delete":
                self.book.undead.append((shot.project, shot.checkpoint))
            wire.close()
            return None
        if reply is None:
            wire.reset()
            return None
        fine = self.book.answered(shot, reply, begun)
        if shot.kind == "delete" and not fine:
            self.book.undead.append((shot.project, shot.checkpoint))
        if fine and shot.entries and reply.status == 200 and "not known to be kept" not in reply.warning:
            self.book.keeps(shot.project, reply.document()["checkpoint"]["id"], shot.entries)
        if reply.closes:
            wire.close()
        return reply

    async def _within(self, shot, work):
        try:
            return await asyncio.wait_for(work, HANG_SECONDS)
        except asyncio.TimeoutError:
            self.book.violated(f"no answer within {HANG_SECONDS} s", shot)
            self.book.left(shot)
            return None

    async def steady(self):
        """One request after the other on connections that are kept for a while."""
        wire, mine = None, []
        while not self.ended.is_set():
            await self.think()
            if wire is None or not wire.is_fresh or self.chance.random() < 0.05:
                if wire is not None:
                    wire.close()
                wire = await self.open(self.chance.choice(WAYS))
                if wire is None:
                    continue
            shot = self.next_shot(mine)
            reply = await self.ask(wire, shot)
            if reply is not None and shot.entries and reply.status == 200 and shot.project in ground.PLAIN:
                made = reply.document()["checkpoint"]["id"]
                if made in self.book.kept[shot.project]:
                    mine.append((shot.project, made, shot.entries))
                    self.book.owned.add(made)
        self.book.owned.difference_update(made for _, made, _ in mine)
        if wire is not None:
            wire.close()

    def next_shot(self, mine):
        book, chance = self.book, self.chance
        if len(mine) > STANDING:
            project, made, _ = mine.pop(chance.randrange(len(mine)))
            book.leaves(project, made)
            return shots.delete(book, project, made)
        dice, project = chance.random(), chance.choice(ground.PLAIN)
        if dice < 0.30 or not mine:
            entries = None if chance.random() < 0.1 else shots.entries_of(chance)
            return shots.creation(book, chance, project, entries, short=chance.random() < 0.2)
        if dice < 0.52:
            return shots.show(book, *chance.choice(mine))
        if dice < 0.70:
            kinds = (shots.listing, shots.search)
            return chance.choice(kinds)(book, chance, project) if dice < 0.60 else shots.wrong(book, chance)
        if dice < 0.75:
            return shots.update(book, chance, *chance.choice(mine)[:2])
        if dice < 0.80:
            return shots.softened(book, chance, chance.choice((ground.WARN, ground.OBSERVE)))
        if dice < 0.85:
            return shots.turned(book, chance, self.allowed_entries)
        if dice < 0.89:
            return shots.bad_head(book, chance)
        if dice < 0.93:
            return shots.download(book, chance.choice((0, 1, 70_000, 2_000_000)), chance.choice((0, 0, 0.3)))
        if dice < 0.96:
            return shots.upload(book, chance, chance.choice((0, 64, 64_000, 1_280_000)), chance.random() < 0.5)
        return shots.plan(book, project)

    def a_creation(self):
        return shots.creation(self.book, self.chance, self.chance.choice(ground.PLAIN), shots.entries_of(self.chance))

    async def tidying(self):
        """Deletes what nobody looks after, so that an hour's lists are as long as a minute's."""
        wire = None
        while not self.ended.is_set():
            if wire is None or not wire.is_fresh:
                wire = await self.open("unix")
            shot = wire and self.next_stray()
            if shot is None:
                await self.rest(0.5)
            elif await self.ask(wire, shot) is None or "down" in self.book.weather.during(time.monotonic()):
                await self.rest(0.5)
        if wire is not None:
            wire.close()

    def next_stray(self):
        """A deletion that is due; nothing if none is."""
        book = self.book
        if book.undead and self.chance.random() < 0.5:
            return shots.delete(book, *book.undead.popleft(), again=True)
        for project, kept in book.kept.items():
            if project not in (ground.QUOTA, ground.RATE) and len(kept) > STRAY:
                stray = next((one for one in kept if one not in book.owned), None)
                if stray is not None:
                    book.leaves(project, stray)
                    return shots.delete(book, project, stray)
        return None

    async def pipelining(self):
        """Several requests in one write; answers in their order, up to one that says `close`."""
        while not self.ended.is_set():
            await self.think(4)
            wire = await self.open(self.chance.choice(WAYS))
            if wire is None:
                continue
            book, chance = self.book, self.chance
            asked = [self.a_creation(), shots.plan(book, ground.PLAIN[0]), shots.wrong(book, chance, "malformed-key")]
            asked += [self.a_creation(), shots.upload(book, chance, 640, True), shots.listing(book, chance, ground.PLAIN[1])]
            chance.shuffle(asked)
            # A head that is refused ends it: what came before is answered, what follows is not looked at.
            asked.insert(chance.randrange(3, 7), shots.bad_head(book, chance, "field-name"))
            begun = time.monotonic()
            for shot in asked:
                book.sent(shot, wire.shows)
            await wire.send(b"".join(shot.head() + shot.payload() for shot in asked))
            for at, shot in enumerate(asked):
                reply = await self.hear(wire, shot, begun)
                if reply is None or reply.closes:
                    for late in asked[at + 1 :]:
                        book.turned_back(late)
                    break
            wire.close()

    async def dribbling(self):
        """Heads and bodies in pieces: slow and in time, or too slow."""
        while not self.ended.is_set():
            await self.think(6)
            wire = await self.open(self.chance.choice(WAYS))
            if wire is None:
                continue
            shot, dice = self.a_creation(), self.chance.random()
            data = shot.head() + shot.payload()
            if dice < 0.3:
                # The head is never whole, so its id is not read.
                shot.expect, shot.kind, data = shots.refused("head-timeout", 408), "refused, head-timeout", data[:60]
            elif dice < 0.5:
                shot.expect, shot.kind = shots.refused("body-timeout", 408), "refused, body-timeout"
                data = data[: len(shot.head()) + 10]
            if dice < 0.5:
                shot.check = shot.entries = None
            self.book.sent(shot, wire.shows)
            size = len(data) // 6 + 1
            for at in range(0, len(data), size):
                await wire.send(data[at : at + size])
                begun = time.monotonic()
                await asyncio.sleep(0.2)
            await self.hear(wire, shot, begun)
            wire.close()

    async def leaving(self):
        """Clients that go: in a head, in a body, before or within the answer."""
        while not self.ended.is_set():
            await self.think(3)
            wire = await self.open(self.chance.choice(WAYS))
            if wire is None:
                continue
            book, dice = self.book, self.chance.random()
            shot, lines = self.a_creation(), PERHAPS
            if dice < 0.2:
                data, lines = shot.head()[: self.chance.randrange(len(shot.head()) - 1)], NO_LINE
            elif dice < 0.4:
                data = shot.head() + shot.payload()[: self.chance.randrange(len(shot.body))]
            elif dice < 0.7:
                data = shot.head() + shot.payload()
            elif dice < 0.85:
                shot = shots.upload(book, self.chance, 640_000, self.chance.random() < 0.5)
                data = shot.head() + shot.payload()[: self.chance.randrange(640_000)]
            else:
                shot = shots.download(book, 4_000_000)
                data = shot.head()
            shot.kind = f"left: {shot.kind}"
            book.sent(shot, wire.shows)
            await wire.send(data)
            await asyncio.sleep(self.chance.choice((0, 0.01, 0.1, 0.6)))
            if dice >= 0.85:
                try:
                    await asyncio.wait_for(wire.reader.read(100_000), HANG_SECONDS)
                except OSError:
                    pass
            book.left(shot, lines)
            if dice < 0.4:
                # A creation of which no part may reach Karbor before it is whole.
                book.reach[shot.number] = NOTHING
            (wire.close if self.chance.random() < 0.5 else wire.reset)()

    async def half_closing(self):
        """Clients that end their side behind a creation, and wait for the answer."""
        while not self.ended.is_set():
            await self.think(10)
            wire = await self.open("unix")
            if wire is None:
                continue
            shot = self.a_creation()
            shot.kind = "creation, half closed"
            self.book.sent(shot, wire.shows)
            begun = time.monotonic()
            await wire.send(shot.head() + shot.payload())
            wire.writer.write_eof()
            await self.hear(wire, shot, begun)
            wire.close()

    async def slow_reading(self):
        """A client that takes its answer slowly, with little room of its own."""
        while not self.ended.is_set():
            await self.think(10)
            wire = await self.open("tls", buffer_bytes=1 << 16)
            if wire is None:
                continue
            shot = shots.download(self.book, 3_000_000)
            shot.kind = "download, read slowly"
            self.book.sent(shot, wire.shows)
            begun = time.monotonic()
            await wire.send(shot.head())
            await asyncio.sleep(2)
            await self.hear(wire, shot, begun)
            wire.close()

    async def silent(self):
        """Connections without a word, and with words that mean nothing: all are ended, in time."""
        while not self.ended.is_set():
            way = self.chance.choice(("tls", "unix", "tcp"))
            wire = await self.open(way)
            if wire is None:
                continue
            if way == "tcp" and self.chance.random() < 0.5:
                await wire.send(self.chance.randbytes(200))
            try:
                await asyncio.wait_for(wire.reader.read(), HANG_SECONDS)
            except OSError:
                pass
            except asyncio.TimeoutError:
                self.book.violated(f"a silent connection ({way}) was left open for {HANG_SECONDS} s")
            wire.close()

    async def multiplexing(self):
        """HTTP/2, by ALPN or by prior knowledge: some requests at once."""
        http2 = None
        while not self.ended.is_set():
            await self.think(4)
            if http2 is None or http2.leaving or not http2.wire.is_fresh or self.chance.random() < 0.2:
                if http2 is not None:
                    http2.wire.close()
                wire = await self.open(*self.chance.choice((("tls2",), ("unix",))))
                http2 = wire and Http2(wire)
                if http2 is None:
                    continue
                await http2.begin()
            await self.ask_at_once(http2)
        if http2 is not None:
            http2.wire.close()

    async def ask_at_once(self, http2):
        book, chance = self.book, self.chance
        asked = [self.a_creation(), self.a_creation(), shots.wrong(book, chance), shots.plan(book, ground.PLAIN[0])]
        asked += [shots.upload(book, chance, 6400, False), shots.download(book, 100_000), shots.listing(book, chance, ground.PLAIN[2])]
        asked.append(shots.bad_head(book, chance, chance.choice(("target-slash", "method-override", "filter"))))
        asked[-1].raw = None
        for shot in asked:
            shot.kind = f"{shot.kind} (HTTP/2)"
            book.sent(shot)
        begun = time.monotonic()
        try:
            answers = await asyncio.wait_for(http2.ask([shot.http2() for shot in asked]), HANG_SECONDS)
        except (Cut, asyncio.TimeoutError) as error:
            for shot in asked:
                book.violated(f"HTTP/2: {error!r}", shot)
                book.left(shot)
            http2.leaving = True
            return
        http2.wire.last = time.monotonic()
        for shot, answer in zip(asked, answers):
            self.take(shot, answer, begun)

    def take(self, shot, answer, begun):
        """One answer of HTTP/2, whose fields are not read: what depends on a warning is then not held against it."""
        book = self.book
        if not answer.whole:
            if answer.status is None and answer.turned_back:
                return book.turned_back(shot)
            return book.cut(shot, begun, Cut(True))
        in_doubt = {"ledger", "stall"} & book.weather.during(begun)
        if in_doubt:
            shot.check = None
        reply = Reply(answer.status, {}, answer.body)
        if book.answered(shot, reply, begun) and shot.entries and reply.status == 200 and not in_doubt:
            book.keeps(shot.project, reply.document()["checkpoint"]["id"], shot.entries)
