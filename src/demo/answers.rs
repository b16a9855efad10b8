//! What goes back: Karbor's documents, its faults and their wording.
//!
//! Leaves who gets which to `controller`, framing and request ids to `exchange`.

use super::json::Json;
use super::store::{Checkpoint, Origin, Plan, Status};

/// The one provider: the same id wherever the stand-in runs.
pub const PROVIDER_ID: &str = "6f1ad2a4-4f0c-4f2b-9a55-0d6c4d9f0001";

const RESOURCE_KINDS: [&str; 8] = [
    "OS::Keystone::Project",
    "OS::Nova::Server",
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Manila::Share",
    "OS::Neutron::Network",
    "OS::Trove::Instance",
    "OS::Kubernetes::Pod",
];

/// One answer. Which headers it carries follows from its manner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) manner: Manner,
    pub(super) body: String,
}

/// Which part of Karbor speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// A controller, with its document.
    Done,
    /// The fault wrapper.
    Fault,
    /// The router, in this content type.
    Unrouted(&'static str),
    /// What lies outside `/v1`.
    Outside,
    /// The stand-in for authentication, offering a token and a place to use it.
    Offered { token: String, place: String },
}

/// Why a controller says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: u16,
    message: String,
}

impl Fault {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }

    pub(super) fn malformed_body() -> Self {
        Self::bad_request("Malformed request body")
    }

    pub(super) fn malformed_url() -> Self {
        Self::bad_request("Malformed request url")
    }

    /// A document where the controller takes none.
    pub(super) fn unwanted_body() -> Self {
        Self::bad_request(
            "The server could not comply with the request since it is either malformed or otherwise incorrect.",
        )
    }

    pub(super) fn forbidden(checkpoint: &str) -> Self {
        Self { status: 403, message: format!("Access checkpoint {checkpoint} is not allowed") }
    }

    /// `kind` is the word in the sentence: `Plan`, `Checkpoint`, `Provider`.
    pub(super) fn not_found(kind: &str, id: &str) -> Self {
        Self { status: 404, message: format!("{kind} {id} could not be found.") }
    }

    /// Not Karbor's, which has no bound.
    pub(super) fn too_large(bound: usize) -> Self {
        Self { status: 413, message: format!("the stand-in takes at most {bound} bytes here") }
    }

    pub(super) fn unexpected() -> Self {
        Self::failed("The server has either erred or is incapable of performing the requested operation.")
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self { status: 500, message: message.into() }
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        let name = match fault.status {
            400 => "badRequest",
            403 => "forbidden",
            404 => "itemNotFound",
            413 => "overLimit",
            _ => "computeFault",
        };
        let code = Json::Integer(fault.status.to_string().into());
        let body = Json::map([(name, Json::map([("code", code), ("message", Json::text(&fault.message))]))]);
        Self { status: fault.status, manner: Manner::Fault, body: body.dump() }
    }
}

impl Answer {
    pub(super) fn done(document: &Json) -> Self {
        Self { status: 200, manner: Manner::Done, body: document.dump() }
    }

    pub(super) fn outside() -> Self {
        Self { status: 500, manner: Manner::Outside, body: String::new() }
    }

    pub(super) fn offered(token: String, place: String) -> Self {
        Self { status: 204, manner: Manner::Offered { token, place }, body: String::new() }
    }

    /// No such route; in HTML where `Accept` allows it.
    pub(super) fn unrouted(accept: Option<&str>) -> Self {
        const LINE: &str = "The resource could not be found.";
        let accept = accept.unwrap_or_default();
        let (kind, body) = if accept.contains("html") || accept.contains("*/*") {
            let head = "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n";
            let body =
                format!(" <body>\n  <h1>404 Not Found</h1>\n  {LINE}<br /><br />\n\n\n\n </body>\n</html>");
            ("text/html; charset=UTF-8", format!("{head}{body}"))
        } else if accept.contains("application/json") {
            let members = [
                ("message", Json::text(&format!("{LINE}<br /><br />\n\n\n"))),
                ("code", Json::text("404 Not Found")),
                ("title", Json::text("Not Found")),
            ];
            ("application/json", Json::map(members).dump())
        } else {
            ("text/plain; charset=UTF-8", format!("404 Not Found\n\n{LINE}\n\n   "))
        };
        Self { status: 404, manner: Manner::Unrouted(kind), body }
    }
}

/// The provider, with the empty schemas of plugins that do nothing.
pub(super) fn provider() -> Json {
    let kinds = Json::Map(RESOURCE_KINDS.iter().map(|kind| ((*kind).into(), Json::map([]))).collect());
    let schemas = ["options_schema", "restore_schema", "saved_info_schema"].map(|name| (name, kinds.clone()));
    Json::map([
        ("id", Json::text(PROVIDER_ID)),
        ("name", Json::text("Stand-in provider")),
        ("description", Json::text("protects nothing, in memory")),
        ("extended_info_schema", Json::map(schemas)),
    ])
}

/// A resource of a protectable kind; every id exists. Nothing if there is no such kind.
pub(super) fn instance(kind: &str, id: &str) -> Option<Json> {
    RESOURCE_KINDS.contains(&kind).then(|| {
        Json::map([
            ("id", Json::text(id)),
            ("type", Json::text(kind)),
            ("name", Json::text("demo-resource")),
            ("extra_info", Json::Null),
            ("dependent_resources", Json::List(Vec::new())),
        ])
    })
}

pub(super) fn plan(plan: &Plan) -> Json {
    let resources = plan.resources.iter().map(|resource| {
        let mut members = Vec::new();
        for key in ["id", "name", "type", "extra_info"] {
            members.extend(resource.get(key).map(|value| (key.into(), value.clone())));
        }
        Json::Map(members)
    });
    Json::map([
        ("id", Json::text(&plan.id)),
        ("name", plan.name.clone()),
        ("description", plan.description.clone()),
        ("resources", Json::List(resources.collect())),
        ("provider_id", Json::text(&plan.provider)),
        ("status", plan.status.clone()),
        ("parameters", plan.parameters.clone()),
    ])
}

/// A checkpoint as its creation answers it: nothing is known of it yet.
pub(super) fn new_checkpoint(checkpoint: &Checkpoint) -> Json {
    let plan = &checkpoint.plan;
    Json::map([
        ("id", Json::text(&checkpoint.id)),
        ("project_id", Json::text(&plan.project)),
        ("status", Json::text("protecting")),
        (
            "protection_plan",
            Json::map([
                ("id", Json::text(&plan.id)),
                ("name", plan.name.clone()),
                ("resources", protected_resources(plan)),
            ]),
        ),
        ("resource_graph", Json::Null),
        ("created_at", Json::Null),
        ("extra_info", extra_info(checkpoint)),
    ])
}

/// A checkpoint as show and list answer it.
pub(super) fn checkpoint(checkpoint: &Checkpoint) -> Json {
    let plan = &checkpoint.plan;
    let status = match checkpoint.status {
        Status::Available => "available",
        Status::Error => "error",
        Status::Deleted => "deleted",
        Status::Copying => "wait_copying",
    };
    Json::map([
        ("id", Json::text(&checkpoint.id)),
        ("project_id", Json::text(&plan.project)),
        ("status", Json::text(status)),
        (
            "protection_plan",
            Json::map([
                ("id", Json::text(&plan.id)),
                ("name", plan.name.clone()),
                ("provider_id", Json::text(&plan.provider)),
                ("resources", protected_resources(plan)),
            ]),
        ),
        ("resource_graph", resource_graph(plan)),
        ("created_at", Json::text(&checkpoint.created)),
        ("extra_info", extra_info(checkpoint)),
    ])
}

/// A string that holds JSON, but an object on a copy in progress (facts, section 6).
fn extra_info(checkpoint: &Checkpoint) -> Json {
    match (checkpoint.origin, checkpoint.status) {
        (Origin::Manual, _) => Json::text(r#"{"created_by": "manual"}"#),
        (Origin::Copy, Status::Copying) => Json::map([]),
        (Origin::Copy, _) => Json::text(r#"{"copy_status": "finished"}"#),
    }
}

/// A resource's own extra-info, unlike a checkpoint's, is kept: as a string that holds JSON.
fn resource_extra_info(resource: &Json) -> Json {
    resource.get("extra_info").map_or(Json::Null, |value| Json::text(&value.dump()))
}

fn member(resource: &Json, key: &str) -> Json {
    resource.get(key).cloned().unwrap_or(Json::Null)
}

fn protected_resources(plan: &Plan) -> Json {
    let resources = plan.resources.iter().map(|resource| {
        let [id, kind, name] = ["id", "type", "name"].map(|key| (key, member(resource, key)));
        Json::map([id, kind, name, ("extra_info", resource_extra_info(resource))])
    });
    Json::List(resources.collect())
}

fn resource_graph(plan: &Plan) -> Json {
    let nodes = plan.resources.iter().enumerate().map(|(place, resource)| {
        let [kind, id, name] = ["type", "id", "name"].map(|key| member(resource, key));
        (format!("0x{place:x}").into(), Json::List(vec![kind, id, name, resource_extra_info(resource)]))
    });
    let graph = Json::List(vec![Json::Map(nodes.collect()), Json::List(Vec::new())]);
    Json::text(&graph.dump())
}
