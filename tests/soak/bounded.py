"""Clients of the two projects with quotas. Each is alone in its project and so knows what is used, but for what was lost.

A creation whose outcome is not known may count until its lease is over; in between both answers are right.
"""

import time

import ground
import shots
from model import ONE_LINE

# The lease, and what the ledger may take to notice.
DOUBT_SECONDS = 120


def limited(book, chance, project, statuses, code):
    """A creation that may be one too many."""
    shot = shots.creation(book, chance, project, shots.entries_of(chance))
    verdict = "" if len(statuses) > 1 else "admitted" if 200 in statuses else "denied"
    shot.kind, usual = f"creation under {code}", shot.check
    shot.expect = shots.fine(*statuses, code=code, ledger="hold", line=ONE_LINE, verdict=verdict, writes=True)
    shot.check = lambda book, reply, during: usual(book, reply, during) if reply.status == 200 else None
    return shot


async def quota(traffic):
    """Creates one too many, deletes some, and begins again."""
    book, chance, project = traffic.book, traffic.chance, ground.QUOTA
    held, doubts = [], []
    while not traffic.ended.is_set():
        await traffic.think(6)
        wire = await traffic.open("unix")
        if wire is None:
            continue
        doubts = [until for until in doubts if until > time.monotonic()]
        if len(held) >= ground.QUOTA_CHECKPOINTS and chance.random() < 0.5:
            for _ in range(chance.randrange(1, 6)):
                await drop(traffic, held, doubts)
        statuses = {200} if len(held) < ground.QUOTA_CHECKPOINTS else {413}
        if len(held) + len(doubts) >= ground.QUOTA_CHECKPOINTS:
            statuses.add(413)
        shot = limited(book, chance, project, statuses, "quota-exceeded")
        reply = await traffic.ask(wire, shot)
        made = reply and reply.status == 200 and reply.document()["checkpoint"]["id"]
        if made and made in book.kept[project]:
            held.append(made)
        elif reply is None or reply.status != 413:
            doubts.append(time.monotonic() + DOUBT_SECONDS)
        wire.close()


async def drop(traffic, held, doubts):
    """Deletes the oldest; where that is not certain, it may count on, and is deleted once more later."""
    begun = time.monotonic()
    one = held.pop(0)
    wire = await traffic.open("unix")
    traffic.book.leaves(ground.QUOTA, one)
    reply = wire and await traffic.ask(wire, shots.delete(traffic.book, ground.QUOTA, one))
    if not reply or reply.status != 200 or {"ledger", "stall"} & traffic.book.weather.during(begun):
        doubts.append(time.monotonic() + DOUBT_SECONDS)
    if wire:
        wire.close()


async def rate(traffic):
    """Creates faster than it may, with pauses. The window slides behind each creation."""
    book, chance, project = traffic.book, traffic.chance, ground.RATE
    # When each creation that counts, or may, was begun and answered.
    certain, perhaps, standing = [], [], []
    while not traffic.ended.is_set():
        await traffic.rest(chance.choice((0.05, 0.2, 2)))
        wire = await traffic.open("unix")
        if wire is None:
            continue
        begun = time.monotonic()
        shot = limited(book, chance, project, {200, 429}, "rate-exceeded")
        reply = await traffic.ask(wire, shot)
        ended = time.monotonic()
        since = begun - ground.RATE_SECONDS
        if reply is not None and reply.status == 429:
            # Clocks are one, so it is only this side's own delay that blurs the window's edge.
            might = sum(answered > since - 1 for _, answered in certain + perhaps)
            if might < ground.RATE_CREATIONS:
                book.violated(f"429 after {might} creations in the window", shot)
        elif reply is not None and reply.status == 200:
            must = sum(asked > ended - ground.RATE_SECONDS + 1 for asked, _ in certain)
            if must >= ground.RATE_CREATIONS:
                book.violated(f"200 after {must} creations in the window", shot)
            certain.append((begun, ended))
            standing.append(reply.document()["checkpoint"]["id"])
        else:
            # Its reservation stands at the latest when its answer came.
            perhaps.append((begun, float("inf") if reply is None else ended + DOUBT_SECONDS))
        certain, perhaps = certain[-200:], perhaps[-200:]
        if len(standing) > 50:
            one = standing.pop(0)
            book.leaves(project, one)
            await traffic.ask(wire, shots.delete(book, project, one))
        wire.close()


CLIENTS = (quota, rate)
