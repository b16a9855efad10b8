"""A small Karbor in a process of its own: plans, checkpoints without their maps, and bodies both ways.

It notes each request that reaches it, by its number, in a file: `NUMBER METHOD STATUS`. What it answers is Karbor's
form (create, show, list, delete); what it does not do is judge. Leaves faults to `relay`.
"""

import asyncio
import json
import os
import sys
import urllib.parse
import uuid
import zlib

PROVIDER = "6f1ad2a4-4f0c-4f2b-9a55-0d6c4d9f0001"
RESOURCE = {"id": "7c0c4a52-93b5-4a3e-b6f5-5d7d7b1f0001", "type": "OS::Glance::Image", "name": "soak", "extra_info": None}
# Deleted checkpoints that can still be shown.
REMEMBERED = 2000
BLOCK = bytes(range(256)) * 64


def plan_of(project):
    """Each project has one plan, and knows its id without asking."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, project))


class Store:
    """The checkpoints of all projects: id → status, in order of creation."""

    def __init__(self):
        self.live = {}
        self.deleted = {}
        # When each was created that is remembered, as a number.
        self.born = {}
        self.created = 0

    def create(self, project):
        made = str(uuid.uuid4())
        self.live.setdefault(project, {})[made] = "available"
        self.created += 1
        self.born[made] = self.created
        return made

    def status(self, project, one):
        return self.live.get(project, {}).get(one) or ("deleted" if self.deleted.get(one) == project else None)

    def delete(self, project, one):
        if self.live.get(project, {}).pop(one, None):
            self.deleted[one] = project
            if len(self.deleted) > REMEMBERED:
                forgotten = next(iter(self.deleted))
                del self.deleted[forgotten], self.born[forgotten]

    def page(self, project, limit, marker):
        """Ids of one page, and the marker of the next if there may be one."""
        ids = list(self.live.get(project, {}))
        if marker in self.born:
            # Behind it, be it deleted meanwhile.
            ids = [one for one in ids if self.born[one] > self.born[marker]]
        page = ids[:limit]
        return page, page[-1] if page and len(page) == limit else None


def fault(status, name, message):
    return status, {name: {"code": status, "message": message}}


def document(project, one, status, fresh=False):
    """A checkpoint as Karbor answers it: the map is dropped."""
    plan = {"id": plan_of(project), "name": "soak", "resources": [RESOURCE]}
    if not fresh:
        plan["provider_id"] = PROVIDER
    return {
        "id": one,
        "project_id": project,
        "status": "protecting" if fresh else status,
        "protection_plan": plan,
        "resource_graph": None,
        "created_at": None if fresh else "2026-01-01",
        "extra_info": '{"created_by": "manual"}',
    }


class Karbor:
    """What it answers; `note` is the file of what was asked."""

    def __init__(self, note):
        self.store = Store()
        self.note = note

    def answer(self, method, target, body):
        """Status and document, or bytes."""
        path, _, query = target.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        parts = path.strip("/").split("/")
        if len(parts) < 3 or parts[0] != "v1":
            return fault(404, "itemNotFound", "no such route")
        project, rest = parts[1], parts[2:]
        if rest[0] == "blob":
            return self.blob(method, query, body)
        if rest[0] == "plans" and method == "GET":
            return self.plans(project, rest[1:])
        if rest[:1] == ["providers"] and rest[2:3] == ["checkpoints"] and rest[1] == PROVIDER:
            return self.checkpoints(method, project, rest[3:], query, body)
        return fault(404, "itemNotFound", "no such route")

    def blob(self, method, query, body):
        if method == "GET":
            size = int(query["bytes"])
            return 200, (BLOCK * (size // len(BLOCK) + 1))[:size]
        return 200, {"bytes": len(body), "sum": zlib.crc32(body)}

    def plans(self, project, rest):
        plan = {"id": plan_of(project), "name": "soak", "provider_id": PROVIDER, "resources": [RESOURCE]}
        if not rest:
            return 200, {"plans": [plan]}
        if rest == [plan_of(project)]:
            return 200, {"plan": plan}
        return fault(404, "itemNotFound", f"Plan {rest[0]} could not be found.")

    def checkpoints(self, method, project, rest, query, body):
        if not rest and method == "POST":
            asked = json.loads(body)["checkpoint"]
            if asked["plan_id"] != plan_of(project):
                return fault(404, "itemNotFound", "Plan could not be found.")
            return 200, {"checkpoint": document(project, self.store.create(project), "", fresh=True)}
        if not rest and method == "GET":
            limit = min(int(query.get("limit", 1000)), 1000)
            page, marker = self.store.page(project, limit, query.get("marker"))
            said = {"checkpoints": [document(project, one, "available") for one in page]}
            if marker:
                href = f"http://karbor/v1/{project}/checkpoints?limit={limit}&marker={marker}"
                said["checkpoints_links"] = [{"rel": "next", "href": href}]
            return 200, said
        status = self.store.status(project, rest[0]) if len(rest) == 1 else None
        if status is None:
            return fault(404, "itemNotFound", f"Checkpoint {rest} could not be found.")
        if method == "GET":
            return 200, {"checkpoint": document(project, rest[0], status)}
        if method == "DELETE":
            self.store.delete(project, rest[0])
        return 200, {}

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *fields = head.decode("latin-1").split("\r\n")[:-2]
                method, target, _ = line.split(" ")
                fields = dict(field.lower().split(": ", 1) for field in fields)
                body = await read_body(reader, fields)
                await asyncio.sleep(float(fields.get("x-soak-delay", 0)))
                status, said = self.answer(method, target, body)
                mark = fields.get("x-openstack-request-id", "")
                self.note.write(f"{mark} {method} {status}\n")
                self.note.flush()
                kind = "application/octet-stream"
                if not isinstance(said, bytes):
                    said, kind = json.dumps(said).encode(), "application/json"
                writer.write(
                    f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(said)}\r\n"
                    f"X-Openstack-Request-Id: {mark}\r\n\r\n".encode() + said
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def read_body(reader, fields):
    if fields.get("transfer-encoding") == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(int(fields.get("content-length", 0)))


async def main():
    with open(sys.argv[1], "w", encoding="ascii") as note:
        karbor = Karbor(note)
        server = await asyncio.start_server(karbor.serve, "127.0.0.1", 0, backlog=1024, limit=1 << 20)
        print(server.sockets[0].getsockname()[1], flush=True)
        # Whoever started this ends it by closing its input.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        # What is under way ends with it, without a word.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
