//! Deletions and copies: forward, and tell the ledger what Karbor carried out.
//!
//! Karbor's answer decides, and the client gets it as it came. The work goes on whether the client waits or not, and
//! the shutdown waits for it: who hangs up does not keep the ledger from learning what was done.

use std::rc::Rc;

use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::caller::Caller;
use super::owed::{Begun, Owed};
use super::peer::Peer;
use super::read::{Place, ask_for_readable, is_readable};
use super::{AnswerBody, Proxy, forward, request_id};
use crate::karbor::answer::copied_pairs;
use crate::karbor::target::Target;
use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::LedgerOperation;
use crate::upstream::{Answer, Head};

/// What is done to checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Delete,
    Copy,
}

/// Forwards a deletion or a copy.
pub(super) async fn carry_out(
    proxy: Rc<Proxy>,
    exchange: Box<Exchange>,
    peer: Rc<Peer>,
    parts: Parts,
    target: Target,
    body: Incoming,
    (deed, place): (Deed, Place),
) -> Response<AnswerBody> {
    let caller = Caller::of(&parts);
    let told = request_id::fresh();
    let mut head = forward::head(&proxy, &peer, parts, target);
    if deed == Deed::Copy {
        ask_for_readable(&mut head.headers);
    }
    let own = proxy.clone();
    let work = async move { perform(&proxy, exchange, head, body, (deed, &place), &caller).await };
    let begun = Begun::default();
    begun.set();
    Owed::new(own, peer, told, begun, work).await
}

async fn perform(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    head: Head,
    body: Incoming,
    (deed, place): (Deed, &Place),
    caller: &Caller,
) -> Response<AnswerBody> {
    let answer = match forward::send_on(proxy, &mut exchange, head, body).await {
        Ok(answer) => answer,
        Err(failure) => return caller.fail(proxy, exchange, &failure),
    };
    match deed {
        Deed::Delete => {
            let status = answer.status();
            // Without a token, noauth answers 204 and deletes nothing (facts, section 7).
            if status.is_success() && status != StatusCode::NO_CONTENT {
                forget(proxy, place).await;
            }
            forward::stream(proxy, exchange, answer)
        }
        Deed::Copy => copied(proxy, exchange, answer, place, caller).await,
    }
}

/// Karbor has begun to delete the checkpoint: it counts no longer, whosever it is. An administrator may delete
/// another project's.
async fn forget(proxy: &Proxy, place: &Place) {
    let (Some(ledger), Some(checkpoint)) = (&proxy.ledger, &place.checkpoint) else { return };
    let known = ledger.read(&place.provider, std::slice::from_ref(checkpoint));
    let tenant = match proxy.ask(LedgerOperation::Read, known).await {
        Ok(known) => known.into_iter().next().map(|kept| kept.tenant),
        Err(_told) => Some(place.tenant.clone()),
    };
    if let Some(tenant) = tenant {
        let forgotten = ledger.forget(&tenant, &place.provider, checkpoint);
        // Where it fails, the ledger tries again, and a later sight of the deleted checkpoint does the same.
        let _told = proxy.ask(LedgerOperation::Forget, forgotten).await;
    }
}

/// Karbor made copies: each gets its original's map.
async fn copied(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    answer: Answer,
    place: &Place,
    caller: &Caller,
) -> Response<AnswerBody> {
    if !is_readable(&answer) {
        return forward::stream(proxy, exchange, answer);
    }
    let (parts, incoming) = forward::note_answer(&mut exchange, answer);
    let body = match forward::read_whole(proxy, incoming).await {
        Ok(body) => body,
        Err(failure) => return caller.fail(proxy, exchange, &failure),
    };
    exchange.came_whole(body.len() as u64);
    if let (Some(ledger), Some(copied)) = (&proxy.ledger, copied_pairs(&body)) {
        let provider = copied.provider.as_ref().unwrap_or(&place.provider);
        let plan = copied.plan.as_deref().unwrap_or_default();
        let request_id =
            request_id::lasting(exchange.lineage(), caller.answered_id(&parts.headers)).to_string();
        let noted = ledger.copied(&place.tenant, provider, plan, &copied.pairs, &request_id);
        let _told = proxy.ask(LedgerOperation::Copy, noted).await;
    }
    forward::whole(exchange, parts, body)
}
