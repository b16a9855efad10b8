"""What is asked: requests that are fine, wrong ones of every rule, heads that must be refused, bodies that pass.

Each says what may be answered. Leaves sending them to `traffic`.
"""

import json
import zlib

import ground
from karbor import BLOCK, PROVIDER, plan_of
from model import ONE_LINE, Expect

JSON = ("Content-Type", "application/json")


class Shot:
    """One request."""

    def __init__(self, book, kind, method, target, expect, fields=(), body=b"", check=None, project=ground.PLAIN[0]):
        self.number, self.kind, self.method, self.target = book.number(), kind, method, target
        self.expect, self.body, self.check, self.project = expect, body, check, project
        self.mark = book.mark(self.number)
        self.fields = [("X-Auth-Token", f"soak:{project}"), ("X-Openstack-Request-Id", self.mark), *fields]
        self.chunked = False
        # What goes out in place of a head that we would write.
        self.raw = None
        # For what follows from the answer.
        self.entries = None

    def head(self):
        if self.raw is not None:
            return self.raw
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: karbor.soak"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def payload(self):
        """The body as it goes out."""
        if not self.chunked:
            return self.body
        size = max(1, len(self.body) // 3)
        pieces = [self.body[at : at + size] for at in range(0, len(self.body), size)]
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    def repro(self):
        """Bytes for `nc`, or whatever speaks to the listener."""
        return self.head() + self.payload()[: 1 << 10]

    def http2(self):
        """Its fields and body."""
        fields = [(":method", self.method), (":scheme", "http"), (":authority", "karbor.soak"), (":path", self.target)]
        fields += [(name.lower(), value) for name, value in self.fields]
        if self.body:
            fields.append(("content-length", str(len(self.body))))
        return fields, self.body


def checkpoints(project):
    return f"/v1/{project}/providers/{PROVIDER}/checkpoints"


def body_of(project, entries):
    return json.dumps({"checkpoint": {"plan_id": plan_of(project), "extra-info": entries}}).encode()


def entries_of(chance, count=None):
    """A map that no rule denies."""
    entries = {"x-soak--group": f"g{chance.randrange(8)}", "x-soak--nonce": f"{chance.getrandbits(64):x}"}
    count = chance.choice((0, 0, 1, 3, 8)) if count is None else count - 2
    for at in range(count):
        entries[f"x-soak-{at}--note"] = "é☃ \"\\"[: chance.randrange(6)] + "v" * chance.choice((0, 5, 60, 700))
    if count == 1:
        entries |= {"created_by": "operation-engine", "trigger_id": "t-1", "scheduled_operation_id": "s-1"}
    if count == 3:
        entries |= {"karbor-created-by": "manual", "karbor-ref": "r"}
    return entries


def fine(*statuses, **more):
    return Expect(frozenset(statuses or (200,)), **more)


def created(entries):
    def check(book, reply, during):
        made = (reply.document() or {}).get("checkpoint", {})
        if "id" not in made:
            return f"no checkpoint in {reply.body[:200]!r}"
        if "not known to be kept" in reply.warning:
            return None if "ledger" in during or "stall" in during else "the map is not known to be kept"
        return entries and book.fits(made["extra_info"], entries)

    return check


def creation(book, chance, project, entries, short=False, extra=(), expect=None):
    """A creation that is fine. `entries` may be nothing."""
    expect = expect or fine(ledger="hold" if entries else "", line=ONE_LINE, verdict="admitted", writes=True)
    target, body = checkpoints(project), body_of(project, entries)
    if short:
        target = f"/v1/{project}/checkpoint"
        if chance.random() < 0.5:
            body = json.dumps({"plan_id": plan_of(project), "extra-info": entries}).encode()
    kind = "creation, short form" if short else "creation"
    shot = Shot(book, kind, "POST", target, expect, [JSON, *extra], body, created(entries), project)
    shot.entries = entries
    return shot


def softened(book, chance, project):
    """Wrong, and let through: with a word to the client, or without."""
    entries = entries_of(chance) | chance.choice(({"note": "v"}, {"karbor-unknown": "v"}, {"x-acme--a": "v"}))
    warns = project == ground.WARN
    verdict = "warned" if warns else "would-have-been-denied"
    shot = creation(book, chance, project, entries, expect=fine(ledger="hold", line=ONE_LINE, verdict=verdict, writes=True))
    usual = shot.check

    def check(book, reply, during):
        if warns != ("breaks rules" in reply.warning):
            return f"Warning: {reply.warning!r}"
        return usual(book, reply, during)

    shot.kind, shot.check = "creation, softened", check
    return shot


def turned(book, chance, allowed):
    """As many entries as one of the two limits that a reload turns between; `allowed` is that in force, or nothing."""
    count = chance.choice((3, 6))
    project, entries = ground.TURNED, {f"x-soak--{at}": "v" for at in range(count)}
    shot = creation(book, chance, project, entries)
    shot.kind = "creation under a limit that is turned"
    if count > ground.ENTRIES[0]:
        # Whichever it is, exactly one of the two policies judges: 200 or 413, and never anything between.
        statuses = {200, 413} if allowed is None else {200} if allowed >= count else {413}
        verdict = "" if len(statuses) > 1 else "admitted" if 200 in statuses else "denied"
        shot.expect = fine(*statuses, code="too-many-entries", ledger="hold", line=ONE_LINE, verdict=verdict, writes=True)
        usual = shot.check
        shot.check = lambda book, reply, during: usual(book, reply, during) if reply.status == 200 else None
    return shot


def denied(code, status):
    return fine(status, code=code, karbor=False, line=ONE_LINE, verdict="denied")


def long_body(project):
    return body_of(project, {"x-soak--a": "v" * (33 << 10)})


WRONG = {
    "unsupported-media-type": (415, lambda p: body_of(p, {"x-soak--a": "v"})),
    "body-too-large": (413, long_body),
    "malformed-body": (400, lambda p: body_of(p, {"x-soak--a": "v"})[:-1]),
    "duplicate-member": (400, lambda p: b'{"checkpoint":{"plan_id":"p","plan\\u005fid":"p"}}'),
    "unknown-member": (400, lambda p: b'{"checkpoint":{"plan_id":"p","extra_info":{}}}'),
    "not-a-map": (400, lambda p: body_of(p, ["x"])),
    "value-not-a-string": (400, lambda p: body_of(p, {"x-soak--a": 1})),
    "malformed-key": (400, lambda p: body_of(p, {"note": "v"})),
    "unknown-karbor-key": (400, lambda p: body_of(p, {"karbor-none": "v"})),
    "karbor-key-value": (400, lambda p: body_of(p, {"karbor-created-by": "me"})),
    "application-not-allowed": (403, lambda p: body_of(p, {"x-acme--a": "v"})),
    "key-too-long": (400, lambda p: body_of(p, {"x-soak--" + "k" * 300: "v"})),
    "value-too-long": (400, lambda p: body_of(p, {"x-soak--a": "v" * 1025})),
    "too-many-entries": (413, lambda p: body_of(p, {f"x-soak--{at}": "v" for at in range(65)})),
    "extra-info-too-large": (413, lambda p: body_of(p, {f"x-soak--{at}": "v" * 1000 for at in range(9)})),
}
# The connection ends after these, as the body was not read.
ENDING = ("unsupported-media-type", "body-too-large")


def wrong(book, chance, code=None):
    code = code or chance.choice(list(WRONG))
    status, make = WRONG[code]
    project = chance.choice(ground.PLAIN)
    fields = [("Content-Type", "text/plain")] if code == "unsupported-media-type" else [JSON]
    return Shot(book, f"denied, {code}", "POST", checkpoints(project), denied(code, status), fields, make(project), None, project)


def update(book, chance, project, checkpoint):
    """A reset of the state, or an attempt to change the map."""
    target = f"{checkpoints(project)}/{checkpoint}"
    if chance.random() < 0.5:
        body = b'{"os-resetState": {"state": "available"}}'
        return Shot(book, "update", "PUT", target, fine(line=ONE_LINE, verdict="admitted", writes=True), [JSON], body, None, project)
    body = b'{"os-resetState": {"state": "error"}, "extra-info": {"x-soak--group": "g0"}}'
    return Shot(book, "denied, read-only", "PUT", target, denied("read-only", 403), [JSON], body, None, project)


def show(book, project, checkpoint, entries):
    def check(book, reply, during):
        if "may be missing" in reply.warning and ("ledger" in during or "stall" in during):
            return None
        return book.fits((reply.document() or {}).get("checkpoint", {}).get("extra_info"), entries)

    return Shot(book, "show", "GET", f"{checkpoints(project)}/{checkpoint}", fine(ledger="fill"), check=check, project=project)


def listing(book, chance, project):
    """A page of what is there; each map that is known must be in it."""
    limit = chance.choice((10, 1000))
    known = dict(book.kept[project])

    def check(book, reply, during):
        if "may be missing" in reply.warning and ("ledger" in during or "stall" in during):
            return None
        return misfit(book, project, reply, known, limit == 1000)

    return Shot(book, "list", "GET", f"{checkpoints(project)}?limit={limit}", fine(ledger="fill"), check=check, project=project)


def misfit(book, project, reply, known, is_all):
    listed = {one["id"]: one["extra_info"] for one in (reply.document() or {}).get("checkpoints", [])}
    for one, shown in listed.items():
        if one in known and (why := book.fits(shown, known[one])):
            return f"{one}: {why}"
    # Those that were there before, and that nobody has begun to delete.
    lacking = [one for one in known if one not in listed and one in book.kept[project]]
    is_all = is_all and "checkpoints_links" not in reply.document()
    return f"{len(lacking)} checkpoints are not listed, {lacking[0]} for one" if is_all and lacking else None


def search(book, chance, project):
    """Exactly those with that entry."""
    group = f"g{chance.randrange(8)}"
    known = {one: entries for one, entries in book.kept[project].items() if entries.get("x-soak--group") == group}

    def check(book, reply, during):
        for one in (reply.document() or {}).get("checkpoints", []):
            if json.loads(one["extra_info"]).get("x-soak--group") != group:
                return f"{one['id']} was found for {group}, and shows {one['extra_info']}"
        return misfit(book, project, reply, known, True)

    target = f"{checkpoints(project)}?limit=1000&extra-info.x-soak--group={group}"
    return Shot(book, "search", "GET", target, fine(ledger="find"), check=check, project=project)


def delete(book, project, checkpoint, again=False):
    """With `again`, of one that may be gone for so long that Karbor has forgotten it."""
    expect = fine(*((200, 404) if again else (200,)), writes=True)
    shot = Shot(book, "delete", "DELETE", f"{checkpoints(project)}/{checkpoint}", expect, project=project)
    shot.checkpoint = checkpoint
    return shot


def plan(book, project):
    def check(book, reply, during):
        return None if (reply.document() or {}).get("plan", {}).get("id") == plan_of(project) else "not the plan"

    return Shot(book, "pass", "GET", f"/v1/{project}/plans/{plan_of(project)}", fine(), check=check, project=project)


def download(book, size, delay=0):
    def check(book, reply, during):
        return None if reply.body == (BLOCK * (size // len(BLOCK) + 1))[:size] else f"{len(reply.body)} other bytes than {size}"

    fields = [("X-Soak-Delay", str(delay))] if delay else []
    return Shot(book, "download", "GET", f"/v1/{ground.PLAIN[0]}/blob?bytes={size}", fine(), fields, check=check)


def upload(book, chance, size, chunked):
    body = chance.randbytes(64) * (size // 64)

    def check(book, reply, during):
        return None if reply.document() == {"bytes": len(body), "sum": zlib.crc32(body)} else "Karbor got another body"

    shot = Shot(book, "upload", "PUT", f"/v1/{ground.PLAIN[0]}/blob", fine(writes=True), body=body, check=check)
    shot.chunked = chunked
    return shot


def refused(code, status):
    return fine(status, code=code, karbor=False, line=ONE_LINE, verdict="refused")


def bad_heads():
    """Code → status, request line, further fields."""
    here = checkpoints(ground.PLAIN[0])
    get = f"GET {here} HTTP/1.1"
    return {
        "request-line": (400, f"GET {here} HTTP/3.0", []),
        "request-line-too-long": (414, f"GET {here}?a={'b' * 9000} HTTP/1.1", []),
        "head-too-large": (431, get, [f"X-{at}: v" for at in range(100)]),
        "target-byte": (400, f"GET {here}?a=\"b\" HTTP/1.1", []),
        "target-percent": (400, f"GET {here}%2 HTTP/1.1", []),
        "target-control": (400, f"GET {here}%0a HTTP/1.1", []),
        "target-slash": (400, f"GET {here}%2Fx HTTP/1.1", []),
        "target-dot-segment": (400, f"GET {here}/../x HTTP/1.1", []),
        "method-override": (400, f"GET {here}?_method=POST HTTP/1.1", []),
        "field-name": (400, get, ["Content_Length: 0"]),
        "field-value": (400, get, ["X-A: b\x01"]),
        "field-repeated": (400, get, ["Expect: 100-continue", "Expect: 100-continue"]),
        "content-length": (400, f"POST {here} HTTP/1.1", ["Content-Length: +1"]),
        "transfer-encoding": (400, f"POST {here} HTTP/1.1", ["Transfer-Encoding: gzip, chunked"]),
        "length-and-chunked": (400, f"POST {here} HTTP/1.1", ["Content-Length: 1", "Transfer-Encoding: chunked"]),
        "expect": (417, get, ["Expect: much"]),
        "upgrade": (400, get, ["Connection: upgrade", "Upgrade: h2c"]),
        "connect": (405, "CONNECT karbor:80 HTTP/1.1", []),
        "filter": (400, f"GET {here}?extra-info.=1 HTTP/1.1", []),
    }


BAD_HEADS = bad_heads()


def bad_head(book, chance, code=None):
    code = code or chance.choice(list(BAD_HEADS))
    status, line, fields = BAD_HEADS[code]
    method, target = line.split()[:2]
    shot = Shot(book, f"refused, {code}", method, target, refused(code, status))
    more = [f"{name}: {value}" for name, value in shot.fields] + fields
    shot.raw = "\r\n".join([line, "Host: karbor.soak", *more, "", ""]).encode("latin-1")
    return shot


def bad_chunk(book):
    """A creation whose body is no sound chunked one."""
    shot = Shot(book, "refused, chunk", "POST", checkpoints(ground.PLAIN[0]), refused("chunk", 400), [JSON])
    shot.chunked = True
    shot.payload = lambda: b"5;\r\n{\"che\r\nzz\r\n"
    return shot

