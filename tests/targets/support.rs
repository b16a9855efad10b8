//! One judgement, as a request goes through it: head, target, route.

use http::{Method, Uri};
use karbor_admission::karbor::route::{Collection, Member, Route, RouteKind};
use karbor_admission::karbor::target::{Target, decode_segment};
use karbor_admission::wire::{HeadLimits, Refusal, read_head};

/// The path of a creation. The ids are as short as can be: nothing here looks at them.
pub(crate) const CP: &str = "/v1/PJ/providers/PR/checkpoints";

pub(crate) const LIMITS: HeadLimits =
    HeadLimits { request_line_bytes: 8192, head_bytes: 65_536, fields: 100 };

/// A request that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) kind: RouteKind,
    /// Tenant, provider and checkpoint as Karbor reads them, where the route names them.
    pub(crate) names: Vec<String>,
    /// The target that Karbor gets.
    pub(crate) forwarded: String,
    pub(crate) authority: Option<String>,
}

/// A target may hold any byte, so that it can be refused.
pub(crate) fn judge(method: &str, target: &[u8], prefix: &str) -> Result<Judged, Refusal> {
    let head = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    let read = read_head(&head, &LIMITS)?.expect("the head is complete");
    assert_eq!(read.bytes, head.len());
    let uri = Uri::try_from(target).expect("what a head may hold, the library reads");
    judge_uri(method, uri, prefix)
}

/// Without the head before it: the core must not lean on whoever calls it.
pub(crate) fn judge_uri(method: &str, uri: Uri, prefix: &str) -> Result<Judged, Refusal> {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let target = Target::of(uri)?;
    let route = Route::of(&method, &target, prefix);
    let names = match route {
        Route::Create(Collection { tenant, provider })
        | Route::List(Collection { tenant, provider })
        | Route::Copy(Collection { tenant, provider }) => vec![tenant, provider],
        Route::CreateShort { tenant } | Route::Limits { tenant } => vec![tenant],
        Route::Update(Member { tenant, provider, checkpoint })
        | Route::ExtraInfoWrite(Member { tenant, provider, checkpoint })
        | Route::Show(Member { tenant, provider, checkpoint })
        | Route::Delete(Member { tenant, provider, checkpoint }) => {
            vec![tenant, provider, checkpoint]
        }
        Route::Pass => vec![],
    };
    Ok(Judged {
        kind: route.kind(),
        names: names.into_iter().map(|name| decode_segment(name).into_owned()).collect(),
        authority: target.authority().map(ToString::to_string),
        forwarded: Uri::from(target.into_path_and_query()).to_string(),
    })
}

/// Writes `CP` at the start of a row out.
pub(crate) fn spelled(row: &str) -> String {
    row.strip_prefix("CP").map_or_else(|| row.to_owned(), |rest| format!("{CP}{rest}"))
}
