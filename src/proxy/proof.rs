//! Which tokens Karbor accepted for which project, lately.
//!
//! A reservation stands in the ledger before Karbor has looked at the caller's token, and stays there where its
//! outcome is unknown. Only a token that Karbor accepted for that project may make one, or strangers could use a
//! tenant's room up, or have a map of theirs taken for that of a checkpoint. A token that is not known is shown to
//! Karbor first, with the cheapest question that needs one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderName};
use http::{StatusCode, Uri};

use super::question::question;
use super::{Proxy, forward};
use crate::upstream::{Answer, Failure, Head};

/// Where Karbor takes a token from (facts, section 7).
const TOKENS: [HeaderName; 2] =
    [HeaderName::from_static("x-auth-token"), HeaderName::from_static("x-storage-token")];
/// The most tokens that are remembered.
const MOST: usize = 4096;

/// The tokens of one worker that Karbor accepted. They are kept as digests under a key of this process.
#[derive(Debug)]
pub(super) struct Proofs {
    digests: [RandomState; 2],
    accepted: RefCell<HashMap<Digest, Instant>>,
    lasting: Cell<Duration>,
}

/// A token for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u64; 2]);

impl Proofs {
    pub(super) fn lasting(lasting: Duration) -> Self {
        Self {
            digests: [RandomState::new(), RandomState::new()],
            accepted: RefCell::default(),
            lasting: Cell::new(lasting),
        }
    }

    /// How long each counts from now on, those of before too.
    pub(super) fn last(&self, lasting: Duration) {
        self.lasting.set(lasting);
    }

    /// None without a token.
    pub(super) fn digest(&self, headers: &HeaderMap, tenant: &str) -> Option<Digest> {
        let tokens = TOKENS.map(|name| headers.get(name).map(|token| token.as_bytes()));
        tokens.iter().any(Option::is_some).then(|| {
            let [one, other] = &self.digests;
            Digest([one.hash_one((tenant, tokens)), other.hash_one((tenant, tokens))])
        })
    }

    /// Karbor accepted it.
    pub(super) fn add(&self, digest: Digest) {
        let mut accepted = self.accepted.borrow_mut();
        if accepted.len() >= MOST {
            accepted.retain(|_, at| at.elapsed() < self.lasting.get());
            if accepted.len() >= MOST {
                accepted.clear();
            }
        }
        accepted.insert(digest, Instant::now());
    }

    /// Karbor does not accept it any more.
    pub(super) fn remove(&self, digest: Digest) {
        self.accepted.borrow_mut().remove(&digest);
    }

    fn holds(&self, digest: Digest) -> bool {
        self.accepted.borrow().get(&digest).is_some_and(|at| at.elapsed() < self.lasting.get())
    }
}

/// What Karbor says of a token.
pub(super) enum Proof {
    /// It is one for that project.
    Accepted,
    /// It is not: Karbor's answer, for the caller.
    Answer(Box<Answer>),
}

/// Asks Karbor for the caller's token, unless it was accepted lately. `request` is one on its way to Karbor,
/// `tenant` is a canonical segment.
pub(super) async fn prove(proxy: &Proxy, request: &Head, tenant: &str) -> Result<Proof, Failure> {
    let digest = proxy.proofs.digest(&request.headers, tenant);
    if digest.is_some_and(|digest| proxy.proofs.holds(digest)) {
        return Ok(Proof::Accepted);
    }
    let path = format!("{}/v1/{tenant}/plans?limit=1", proxy.options.path_prefix);
    let uri: Uri =
        path.parse().map_err(|_unusable| Failure::Answer("a project that cannot stand in a path"))?;
    let sent = forward::send(proxy, question(request, uri)).await;
    let answer = sent.map_err(|failure| Failure::Question(Box::new(failure)))?;
    // Karbor looks at the token first, then at the project, and then at what its policy allows (facts, section 7).
    let status = answer.status();
    let accepted = status == StatusCode::OK || status == StatusCode::FORBIDDEN;
    match digest {
        Some(digest) if accepted => proxy.proofs.add(digest),
        // A Karbor that needs no token accepts everybody.
        None if status == StatusCode::OK => {}
        _ => return Ok(Proof::Answer(Box::new(answer))),
    }
    forward::discard(proxy, answer).await;
    Ok(Proof::Accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn accepts_a_token_for_its_project_only() {
        let proofs = Proofs::lasting(Duration::from_secs(60));
        let of = |fields: &[_], tenant| proofs.digest(&headers(fields), tenant);
        let proven = of(&[("x-auth-token", "a")], "p").unwrap();
        proofs.add(proven);
        assert!(proofs.holds(proven));
        for (fields, tenant) in [
            (&[("x-auth-token", "a")][..], "q"),
            (&[("x-auth-token", "b")], "p"),
            (&[("x-storage-token", "a")], "p"),
            (&[("x-auth-token", "a"), ("x-storage-token", "a")], "p"),
        ] {
            assert!(!proofs.holds(of(fields, tenant).unwrap()), "{fields:?} {tenant}");
        }
        assert_eq!(of(&[("x-other", "a")], "p"), None);
        proofs.remove(proven);
        assert!(!proofs.holds(proven));
    }

    #[test]
    fn forgets_with_time() {
        let proofs = Proofs::lasting(Duration::ZERO);
        let digest = proofs.digest(&headers(&[("x-auth-token", "a")]), "p").unwrap();
        proofs.add(digest);
        assert!(!proofs.holds(digest));
    }

    #[test]
    fn remembers_a_bounded_number() {
        let proofs = Proofs::lasting(Duration::from_secs(60));
        for number in 0..=MOST as u64 {
            proofs.add(Digest([number, 0]));
        }
        assert!(proofs.accepted.borrow().len() <= MOST);
        assert!(proofs.holds(Digest([MOST as u64, 0])));
    }
}
