//! The provider of a plan, asked with the caller's own token: the short form names none.

use http::uri::PathAndQuery;
use http::{StatusCode, Uri};

use super::question::question;
use super::{Proxy, forward};
use crate::karbor::ProviderId;
use crate::karbor::answer::provider_of_plan;
use crate::upstream::{Answer, Failure, Head};

/// What Karbor says of a plan.
pub(super) enum Provider {
    /// It is kept there.
    Found(ProviderId),
    /// Anything but 200: for the caller, unchanged.
    Answer(Box<Answer>),
}

/// Asks Karbor for the plan. `creation` is the creation as it would be sent, apart from its target;
/// `tenant` and `plan` are canonical segments.
pub(super) async fn provider_of(
    proxy: &Proxy,
    creation: &Head,
    tenant: &str,
    plan: &str,
) -> Result<Provider, Failure> {
    ask(proxy, creation, tenant, plan).await.map_err(|failure| Failure::Question(Box::new(failure)))
}

async fn ask(proxy: &Proxy, creation: &Head, tenant: &str, plan: &str) -> Result<Provider, Failure> {
    let path = format!("{}/v1/{tenant}/plans/{plan}", proxy.options.path_prefix);
    let uri = PathAndQuery::try_from(path)
        .map(Uri::from)
        .map_err(|_unusable| Failure::Answer("a plan id that cannot stand in a path"))?;
    let answer = forward::send(proxy, question(creation, uri)).await?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Ok(Provider::Answer(Box::new(answer)));
    }
    let body = forward::read_whole(proxy, answer.into_parts().1).await?;
    provider_of_plan(&body).map(Provider::Found).ok_or(Failure::Answer("its plan names no provider"))
}
