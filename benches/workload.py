"""The requests that `instructions`, `peers` and `growth` measure, and Karbor's answers to them."""

import json

PROJECT = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d"
PROVIDER = "cf56bd3e-97a7-4078-b6d5-f36246333fd9"
PLAN = "2a9ce1f3-cc1a-4516-9435-0ebb13caa398"
CHECKPOINT = "2220f8b1-975d-4621-a872-fa9afb43cb6c"
PLANS_PATH = f"/v1/{PROJECT}/plans"
PLAN_PATH = f"/v1/{PROJECT}/plans/{PLAN}"
CHECKPOINTS_PATH = f"/v1/{PROJECT}/providers/{PROVIDER}/checkpoints"

PLAN_ANSWER = json.dumps({"plan": {
    "id": PLAN,
    "name": "database tier, nightly",
    "description": "volumes and servers of the database tier",
    "status": "started",
    "project_id": PROJECT,
    "provider_id": PROVIDER,
    "parameters": {"OS::Nova::Server": {"backup_name": "nightly"}, "OS::Cinder::Volume": {"backup_mode": "full"}},
    "resources": [
        {"id": "64e51e85-4f31-441f-9a5d-6e93e3196628", "type": "OS::Nova::Server", "name": "database-1"},
        {"id": "2b3f2f5c-9a4b-4ba7-8a38-5f0c7be3f1e0", "type": "OS::Cinder::Volume", "name": "database-1-data"},
    ],
}})
CREATION_ANSWER = json.dumps({"checkpoint": {
    "id": CHECKPOINT,
    "project_id": PROJECT,
    "status": "protecting",
    "protection_plan": {"id": PLAN, "name": "database tier, nightly", "provider_id": PROVIDER, "resources": []},
    "resource_graph": None,
    "created_at": "2026-01-01",
    "extra_info": '{"created_by": "manual"}',
}})


class Request:
    """A request as bytes, and the status that a proxy which judges answers with."""

    def __init__(self, method, path, body=None, status=200):
        self.method, self.path, self.body, self.status = method, path, body, status
        self.fields = {
            "Host": "karbor.example:8799",
            "Accept": "application/json",
            "User-Agent": "python-karborclient",
            "X-Auth-Token": "gAAAAA" + "b" * 178,
        }
        if body is not None:
            self.fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}

    def to_bytes(self):
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n" + (self.body or "")).encode()


def creation(entries, *, bytes_of_value=40, status=200):
    """The creation of a checkpoint with these entries."""
    extra_info = {key: value.ljust(bytes_of_value, ".") for key, value in entries.items()}
    body = json.dumps({"checkpoint": {"plan_id": PLAN, "extra-info": extra_info}})
    return Request("POST", CHECKPOINTS_PATH, body, status)


def entries(number):
    """So many entries that are admitted as shipped; the first is Karbor's."""
    return {"karbor-created-by": "nightly"} | {
        f"x-acme--cost-center-{at:02}": f"department {at}" for at in range(number - 1)
    }


REQUESTS = {
    "get": Request("GET", PLAN_PATH),
    "create-3": creation(entries(3)),
    "create-16": creation(entries(16)),
    "create-64": creation(entries(64), bytes_of_value=180),
    "denied": creation(entries(3) | {"Not a key": "x"}, status=400),
}
