//! The provider of a plan, asked with the caller's own token: the short form names none.

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri, Version};

use super::collect::collect_answer;
use super::{Proxy, RequestBody, forward};
use crate::karbor::ProviderId;
use crate::karbor::answer::provider_of_plan;
use crate::upstream::{Answer, Failure};

/// What speaks of the creation's body, or of an answer that we could not read.
const NOT_ASKED: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// What Karbor says of a plan.
pub(super) enum Provider {
    /// It is kept there.
    Found(ProviderId),
    /// Anything but 200: for the caller, unchanged.
    Answer(Box<Answer<RequestBody>>),
}

/// Asks Karbor for the plan. `creation` is the creation as it would be sent, apart from its target;
/// `tenant` and `plan` are canonical segments.
pub(super) async fn provider_of(
    proxy: &Proxy,
    creation: &Parts,
    tenant: &str,
    plan: &str,
) -> Result<Provider, Failure> {
    ask(proxy, creation, tenant, plan).await.map_err(|failure| Failure::Question(Box::new(failure)))
}

async fn ask(proxy: &Proxy, creation: &Parts, tenant: &str, plan: &str) -> Result<Provider, Failure> {
    let path = format!("{}/v1/{tenant}/plans/{plan}", proxy.options.path_prefix);
    let mut question = Request::new(RequestBody::Empty);
    *question.method_mut() = Method::GET;
    *question.version_mut() = Version::HTTP_11;
    *question.uri_mut() = PathAndQuery::try_from(path)
        .map(Uri::from)
        .map_err(|_unusable| Failure::Answer("a plan id that cannot stand in a path"))?;
    *question.headers_mut() = creation.headers.clone();
    for name in NOT_ASKED {
        question.headers_mut().remove(name);
    }
    let answer = forward::send(proxy, question).await?;
    let status = answer.response.status();
    if status != StatusCode::OK {
        return Ok(Provider::Answer(Box::new(answer)));
    }
    proxy.desk.metrics.upstream_answered(status.as_u16(), answer.first_byte);
    let body = collect_answer(answer.response.into_body(), proxy.stall_timeout, &proxy.budget).await?;
    answer.lease.give_back();
    provider_of_plan(&body).map(Provider::Found).ok_or(Failure::Answer("its plan names no provider"))
}
