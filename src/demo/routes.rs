//! Method and raw target → what Karbor would run, with its router's leniency (facts, section 2).
//!
//! 1. The scheme and host of an absolute form are ignored; what follows `?` is the query.
//! 2. The path is decoded once, then runs of slashes become one. Outside `/v1` nobody answers.
//! 3. One newline at the very end is dropped.
//! 4. Where the raw query has `_method` anywhere, the last parameter of that name is the method.
//!
//! Leaves tenants, bodies and faults to `controller`.

use super::query::{Query, percent_decode};

/// What Karbor would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    ListProviders,
    ShowProvider {
        id: String,
    },
    ShowInstance {
        kind: String,
        id: String,
    },
    CreatePlan,
    ListPlans,
    ShowPlan {
        id: String,
    },
    UpdatePlan {
        id: String,
    },
    DeletePlan {
        id: String,
    },
    CreateCheckpoint {
        provider: String,
    },
    ListCheckpoints {
        provider: String,
    },
    ShowCheckpoint {
        provider: String,
        id: String,
    },
    ResetCheckpoint {
        provider: String,
        id: String,
    },
    DeleteCheckpoint {
        provider: String,
        id: String,
    },
    CopyCheckpoints {
        provider: String,
    },
    /// Not Karbor's: takes a body of any size.
    PutBlob,
    /// Not Karbor's: gives a body of any size.
    GetBlob,
}

/// Where a request lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Outside `/v1`.
    Outside,
    /// No such route, whatever the method.
    Nowhere,
    /// The query breaks the router.
    Broken,
    /// A route. A query is missing where it is not UTF-8.
    At { project: String, call: Call, query: Option<Query> },
}

impl Call {
    /// Whether the call takes a document; Karbor refuses one elsewhere.
    pub(super) fn takes_document(&self) -> bool {
        matches!(
            self,
            Self::CreatePlan
                | Self::UpdatePlan { .. }
                | Self::CreateCheckpoint { .. }
                | Self::ResetCheckpoint { .. }
                | Self::CopyCheckpoints { .. }
        )
    }
}

/// Finds the place of a request. `target` is the path and query, without scheme and host.
pub(super) fn locate(method: &str, target: &str) -> Place {
    let (raw_path, raw_query) = target.split_once('?').unwrap_or((target, ""));
    let Ok(path) = String::from_utf8(percent_decode(raw_path)) else { return Place::Nowhere };
    let path = merge_slashes(&path);
    let path = match path.strip_prefix("/v1") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => return Place::Outside,
    };
    let path = path.strip_suffix('\n').unwrap_or(path);
    let query = Query::parse(raw_query);
    let overriding = if raw_query.contains("_method") {
        let Some(query) = &query else { return Place::Broken };
        query.last("_method").map(str::to_uppercase)
    } else {
        None
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.split_first() {
        Some((project, rest)) if !segments.contains(&"") => {
            match call(overriding.as_deref().unwrap_or(method), rest) {
                Some(call) => Place::At { project: (*project).to_owned(), call, query },
                None => Place::Nowhere,
            }
        }
        _ => Place::Nowhere,
    }
}

fn call(method: &str, segments: &[&str]) -> Option<Call> {
    let own = |id: &&str| (*id).to_owned();
    Some(match (method, segments) {
        ("GET", ["providers"]) => Call::ListProviders,
        ("GET", ["providers", id]) => Call::ShowProvider { id: own(id) },
        ("GET", ["protectables", kind, "instances", id]) => {
            Call::ShowInstance { kind: own(kind), id: own(id) }
        }
        ("POST", ["plans"]) => Call::CreatePlan,
        ("GET", ["plans"]) => Call::ListPlans,
        ("GET", ["plans", id]) => Call::ShowPlan { id: own(id) },
        ("PUT", ["plans", id]) => Call::UpdatePlan { id: own(id) },
        ("DELETE", ["plans", id]) => Call::DeletePlan { id: own(id) },
        ("POST", ["providers", provider, "checkpoints"]) => {
            Call::CreateCheckpoint { provider: own(provider) }
        }
        ("GET", ["providers", provider, "checkpoints"]) => Call::ListCheckpoints { provider: own(provider) },
        ("POST", ["providers", provider, "checkpoints", "action"]) => {
            Call::CopyCheckpoints { provider: own(provider) }
        }
        (method, ["providers", provider, "checkpoints", id]) => {
            let (provider, id) = (own(provider), own(id));
            match method {
                "GET" => Call::ShowCheckpoint { provider, id },
                "PUT" => Call::ResetCheckpoint { provider, id },
                "DELETE" => Call::DeleteCheckpoint { provider, id },
                _ => return None,
            }
        }
        ("PUT", ["blob"]) => Call::PutBlob,
        ("GET", ["blob"]) => Call::GetBlob,
        _ => return None,
    })
}

fn merge_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Call, Place, locate};

    const CP: &str = "/v1/pj/providers/pr/checkpoints";

    #[track_caller]
    fn check(method: &str, target: &str, expected: Option<Call>) {
        let call = match locate(method, target) {
            Place::At { call, .. } => Some(call),
            _ => None,
        };
        assert_eq!(call, expected, "{method} {target:?}");
    }

    fn create() -> Option<Call> {
        Some(Call::CreateCheckpoint { provider: "pr".to_owned() })
    }

    /// Rows P01 to P61 of the facts.
    #[test]
    fn every_spelling_that_creates_in_karbor_creates_here() {
        for target in [
            CP,
            "/v1/pj/providers/pr/checkpoints?",
            "/v1/pj/providers/pr/checkpoints??x=1",
            "/v1/pj/providers/pr/checkpoints%0A",
            "//v1//pj////providers//pr//checkpoints",
            "/%761/p%6a/providers/pr/%63heckpoints",
            "/v1%2Fpj%2fproviders/pr%2fcheckpoints",
            "/%2Fv1/pj/providers/pr/checkpoints",
        ] {
            check("POST", target, create());
        }
    }

    #[test]
    fn spellings_that_do_not_create_in_karbor_do_not_here() {
        for suffix in [
            "/", "//", "%2F", "/%0A", "%0A%0A", "%0D", "%0D%0A", "%20", "%00", ".json", ";x", "%23", "%3Fx=1",
        ] {
            check("POST", &format!("{CP}{suffix}"), None);
        }
        for target in [
            "/v1/pj/providers/pr/%2563heckpoints",
            "/v1/pj/providers/pr/%%63heckpoints",
            "/v1/pj/providers/pr/Checkpoints",
            "/V1/pj/providers/pr/checkpoints",
            "/v1%0A/pj/providers/pr/checkpoints",
            "/v1//providers/pr/checkpoints",
            "/v1/pj/./providers/pr/checkpoints",
            "/v1/pj/providers/pr/%ff",
        ] {
            check("POST", target, None);
        }
        check("post", CP, None);
        check("HEAD", CP, None);
    }

    /// Rows M13 to M74 of the facts, default stack.
    #[test]
    fn the_method_override_is_honoured() {
        for query in [
            "_method=POST",
            "_method=post",
            "_method=PO%53T",
            "_method=GET&_method=POST",
            "x=1;_method=POST",
            "_method=POST;x=1",
            "&&_method=POST",
            "x=_method&%5Fmethod=POST",
        ] {
            check("GET", &format!("{CP}?{query}"), create());
            check("FOO", &format!("{CP}?{query}"), create());
        }
        for query in ["%5Fmethod=POST", "_METHOD=POST", "+_method=POST", "a_method=POST", "_method=POST%20"] {
            check("FOO", &format!("{CP}?{query}"), None);
        }
        check("POST", &format!("{CP}?_method="), None);
        check("POST", &format!("{CP}?_method"), None);
        check(
            "POST",
            &format!("{CP}?_method=GET"),
            Some(Call::ListCheckpoints { provider: "pr".to_owned() }),
        );
        assert_eq!(locate("POST", &format!("{CP}?_method=GET&x=%ff")), Place::Broken);
        let (provider, id) = ("pr".to_owned(), "id".to_owned());
        check(
            "POST",
            &format!("{CP}/id?_method=PUT"),
            Some(Call::ResetCheckpoint { provider: provider.clone(), id }),
        );
        check("GET", &format!("{CP}/action?_method=POST"), Some(Call::CopyCheckpoints { provider }));
    }

    #[test]
    fn tells_outside_from_nowhere() {
        for target in ["/", "/v2", "/v1x", "/v1.0/pj", "*"] {
            assert_eq!(locate("GET", target), Place::Outside, "{target}");
        }
        for target in ["/v1", "/v1/", "/v1/pj", "/v1/pj/nope"] {
            assert_eq!(locate("GET", target), Place::Nowhere, "{target}");
        }
    }
}
