//! Lists filtered by extra-info: the checkpoints that Karbor lists for this caller and whose kept maps fit.
//!
//! Karbor knows nothing of the filter, so its pages are asked for one after the other, bounded in number and time,
//! until the caller's page is full. Markers are the caller's own: some of Karbor's banks ignore them, and then
//! what was seen is left out here. Order is Karbor's.

use std::collections::HashSet;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Response, StatusCode, Uri, response};
use tokio::time::Instant;

use super::budget::Share;
use super::caller::Caller;
use super::collect::{Collected, collect_to_fill};
use super::fill::{KeptMaps, kept_for};
use super::headers::{X_FORWARDED_HOST, X_FORWARDED_PROTO};
use super::peer::Peer;
use super::question::question;
use super::read::{Place, is_readable};
use super::{AnswerBody, Proxy, forward, request_id, respond};
use crate::karbor::CheckpointId;
use crate::karbor::answer::{Seen, Sketch, keep, read_list};
use crate::karbor::filter::{ListQuery, Term};
use crate::karbor::target::Target;
use crate::ledger::{LedgerError, Matches, Search};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::LedgerOperation;
use crate::upstream::{Answer, Failure, Head};
use crate::wire::Refusal;

/// The most checkpoints of a page, as in Karbor (facts, section 8).
const PAGE: u32 = 1000;
/// The most maps that the ledger gives beforehand. With more, every page is held against the ledger.
const CANDIDATES: usize = 1000;
const NO_ROOM: Failure = Failure::Answer("the memory for answers is used up");
const UNREADABLE: Failure = Failure::Answer("it is no list of checkpoints");

/// Answers a list with a filter.
pub(super) async fn search(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    peer: &Peer,
    parts: Parts,
    target: Target,
    (query, place): (ListQuery, Place),
) -> Response<AnswerBody> {
    let caller = Caller::of(&parts);
    let request = forward::head(proxy, peer, parts, target);
    let outcome = match candidates(proxy, &query, &place).await {
        Ok(candidates) => {
            exchange.dispatched();
            let walk = Walk { proxy, request: &request, query: &query, place: &place, candidates };
            walk.collect(&mut exchange).await
        }
        Err(stop) => Err(stop),
    };
    match outcome {
        Ok(page) => page.answer(proxy, exchange, (&request, peer), (&query, &place), &caller),
        Err(Stop::Answer(answer)) => forward::stream(proxy, exchange, *answer),
        Err(Stop::Failure(failure)) => caller.fail(proxy, exchange, &failure),
        Err(Stop::Down) => {
            let request_id = request_id::fresh();
            exchange.judge(request_id, caller.method(), Some(place.subject(proxy)));
            respond::refusal(exchange, Refusal::Ledger, request_id)
        }
    }
}

/// Why there is no page to answer with.
enum Stop {
    /// Karbor's own word on one of its pages.
    Answer(Box<Answer>),
    /// It gave none that could be read.
    Failure(Failure),
    /// The ledger did not answer.
    Down,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<LedgerError> for Stop {
    fn from(_told: LedgerError) -> Self {
        Self::Down
    }
}

/// The maps that match, whoever may see them.
struct Candidates {
    kept: KeptMaps,
    /// Those whose checkpoints were not met yet.
    left: HashSet<CheckpointId>,
    /// Of the memory for answers.
    _share: Share,
}

/// None if they are too many to name, or take too much memory.
async fn candidates(proxy: &Proxy, query: &ListQuery, place: &Place) -> Result<Option<Candidates>, Stop> {
    let Some(ledger) = &proxy.ledger else { return Err(Stop::Down) };
    let search = Search {
        // With all_tenants an administrator sees other projects' too. Karbor decides whose it lists.
        tenant: (!names_all_tenants(query)).then(|| place.tenant.clone()),
        provider: Some(place.provider.clone()),
        terms: query.terms.clone(),
        most: CANDIDATES,
        after: None,
    };
    let Matches { kept, after } = proxy.ask(LedgerOperation::Find, ledger.matching(search)).await?;
    let kept = KeptMaps::of(kept.into_iter().map(Into::into));
    let left = kept.checkpoints().cloned().collect();
    let mut share = proxy.budget.answer_share();
    let few = after.is_none() && share.hold(kept.bytes());
    Ok(few.then_some(Candidates { kept, left, _share: share }))
}

/// Whether the query may ask for every tenant's. An encoded name may be anything.
fn names_all_tenants(query: &ListQuery) -> bool {
    let query = query.for_karbor(PAGE, None);
    query.contains("all_tenants") || query.contains('%')
}

/// A walk over Karbor's pages.
struct Walk<'w> {
    proxy: &'w Proxy,
    request: &'w Head,
    query: &'w ListQuery,
    place: &'w Place,
    candidates: Option<Candidates>,
}

/// What a walk found.
struct Page {
    items: Vec<Bytes>,
    kept: KeptMaps,
    /// The last checkpoint looked at, where there may be more behind it.
    next: Option<CheckpointId>,
    /// The head of Karbor's first page, for the client.
    head: Option<response::Parts>,
    /// The body of that page: what is not an item stays as it is there.
    frame: Option<(Bytes, Sketch)>,
    /// Of the memory for answers: for each that the items stand in.
    shares: Vec<Share>,
    /// For the maps, and for the page itself.
    share: Share,
}

impl Walk<'_> {
    async fn collect(mut self, exchange: &mut Exchange) -> Result<Page, Stop> {
        let deadline = Instant::now() + self.proxy.options.ledger.filter_timeout;
        let mut page = Page::new(self.proxy.budget.answer_share());
        let mut met = HashSet::new();
        let mut marker = self.query.marker.clone();
        for left in (0..self.proxy.options.ledger.filter_pages.max(1)).rev() {
            let (body, sketch) = self.ask(marker.as_ref(), exchange, &mut page).await?;
            let fresh = fresh(&sketch, self.query.marker.as_ref(), &mut met);
            let last = fresh.last().map(|seen| seen.id.clone());
            let full = self.take(&body, &fresh, &mut page).await?;
            let all_met = self.candidates.as_ref().is_some_and(|candidates| candidates.left.is_empty());
            let more = sketch.next.is_some() && last.is_some();
            page.frame.get_or_insert((body, sketch));
            if full || all_met || !more {
                // Nothing can be behind it.
                page.next.take_if(|next| all_met || (!more && last.as_ref() == Some(next)));
                break;
            }
            if left == 0 || Instant::now() >= deadline {
                page.next = last;
                break;
            }
            marker = last;
        }
        Ok(page)
    }

    /// Asks for Karbor's page behind `marker`.
    async fn ask(
        &self,
        marker: Option<&CheckpointId>,
        exchange: &mut Exchange,
        page: &mut Page,
    ) -> Result<(Bytes, Sketch), Stop> {
        let proxy = self.proxy;
        let mut query = self.query.for_karbor(PAGE, marker);
        if !query.contains("sort") {
            // As the banks list by themselves; but in the other direction Swift's goes back from a marker.
            query.push_str("&sort_dir=asc");
        }
        let uri = PathAndQuery::try_from(format!("{}?{query}", self.request.uri.path()))
            .map(Uri::from)
            .map_err(|_unusable| Failure::Answer("a query that cannot stand in a target"))?;
        let answer = forward::send(proxy, question(self.request, uri)).await?;
        if !is_readable(&answer) {
            // A list that ignores the filter would be a wrong answer.
            let is_list = answer.status() == StatusCode::OK;
            return Err(if is_list { UNREADABLE.into() } else { Stop::Answer(Box::new(answer)) });
        }
        let incoming = if page.head.is_none() {
            let (head, incoming) = forward::note_answer(exchange, answer);
            page.head = Some(head);
            incoming
        } else {
            answer.into_parts().1
        };
        let mut share = proxy.budget.answer_share();
        let most = proxy.options.ledger.max_answer;
        match collect_to_fill(incoming, most, proxy.stall_timeout, &mut share).await? {
            Collected::Whole(body) => {
                exchange.came_whole(body.len() as u64);
                page.shares.push(share);
                let sketch = read_list(&body).ok_or(UNREADABLE)?;
                Ok((body, sketch))
            }
            Collected::TooLarge(..) => Err(Failure::Answer("its list is over ledger.max_answer").into()),
            Collected::NoRoom(..) => Err(NO_ROOM.into()),
        }
    }

    /// Takes what matches of one page of Karbor's. Whether that fills the client's page.
    async fn take(&mut self, body: &Bytes, fresh: &[&Seen], page: &mut Page) -> Result<bool, Stop> {
        let read;
        let kept = match &self.candidates {
            Some(candidates) => &candidates.kept,
            None => {
                read = kept_for(self.proxy, self.place, fresh).await?;
                &read
            }
        };
        let limit = self.query.limit.unwrap_or(PAGE).min(PAGE) as usize;
        for seen in fresh {
            if !kept.map_of(seen).is_some_and(|map| matches(map, &self.query.terms)) {
                continue;
            }
            page.items.push(body.slice(seen.whole.clone()));
            page.kept.add(seen, kept);
            if page.items.len() == limit {
                page.next = Some(seen.id.clone());
                break;
            }
        }
        if !page.share.hold(page.kept.bytes()) {
            return Err(NO_ROOM.into());
        }
        if let Some(candidates) = &mut self.candidates {
            for item in fresh.iter().take_while(|seen| page.next.as_ref() != Some(&seen.id)) {
                candidates.left.remove(&item.id);
            }
            if let Some(next) = &page.next {
                candidates.left.remove(next);
            }
        }
        Ok(page.items.len() == limit)
    }
}

/// Those of a page that were not met yet; where Karbor ignores the caller's marker, those behind it.
fn fresh<'s>(
    sketch: &'s Sketch,
    marker: Option<&CheckpointId>,
    met: &mut HashSet<CheckpointId>,
) -> Vec<&'s Seen> {
    let marked = marker.and_then(|marker| sketch.checkpoints.iter().position(|seen| seen.id == *marker));
    let behind = sketch.checkpoints.iter().skip(marked.map_or(0, |at| at + 1));
    behind.filter(|seen| met.insert(seen.id.clone())).collect()
}

fn matches(map: &[(Box<str>, Box<str>)], terms: &[Term]) -> bool {
    terms.iter().all(|term| {
        let entry = map.iter().find(|(key, _)| *key == term.key);
        entry.is_some_and(|(_, value)| term.value.as_ref().is_none_or(|wanted| wanted == value))
    })
}

impl Page {
    fn new(share: Share) -> Self {
        Self {
            items: Vec::new(),
            kept: KeptMaps::default(),
            next: None,
            head: None,
            frame: None,
            shares: Vec::new(),
            share,
        }
    }

    fn answer(
        mut self,
        proxy: &Proxy,
        mut exchange: Box<Exchange>,
        (request, peer): (&Head, &Peer),
        (query, place): (&ListQuery, &Place),
        caller: &Caller,
    ) -> Response<AnswerBody> {
        let href = self.next.as_ref().map(|next| link(request, peer, &query.after(next)));
        let items: Vec<&[u8]> = self.items.iter().map(|item| &**item).collect();
        let listed =
            self.frame.as_ref().and_then(|(body, sketch)| keep(body, sketch, &items, href.as_deref()));
        let (Some(head), Some(listed)) = (self.head, listed) else {
            return caller.fail(proxy, exchange, &UNREADABLE);
        };
        let body = match read_list(&listed) {
            Some(sketch) => {
                let filled = self.kept.fill(&listed, &sketch);
                filled.note(&mut exchange, caller, &head.headers, || place.subject(proxy));
                filled.body.unwrap_or_else(|| listed.into())
            }
            None => listed.into(),
        };
        if !self.share.hold(self.kept.bytes() + body.len() as u64) {
            return caller.fail(proxy, exchange, &NO_ROOM);
        }
        self.shares.push(self.share);
        let body = self.shares.into_iter().fold(body, |body, share| share.attach(body));
        forward::whole(exchange, head, body)
    }
}

/// The address of a page, in the form of Karbor's own links but with the whole path (facts, section 8).
fn link(request: &Head, peer: &Peer, query: &str) -> String {
    let text = |name| {
        request.headers.get_all(name).iter().next_back().and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let last = |list: &str| list.rsplit(',').next().map(|item| item.trim().to_owned());
    // They are only there where somebody who is trusted said so.
    let host = text(X_FORWARDED_HOST).and_then(last).or_else(|| text(header::HOST).map(ToOwned::to_owned));
    let scheme = match text(X_FORWARDED_PROTO) {
        Some("https") => "https",
        Some(_) => "http",
        None => peer.scheme(),
    };
    format!("{scheme}://{}{}?{query}", host.unwrap_or_default(), request.uri.path())
}
