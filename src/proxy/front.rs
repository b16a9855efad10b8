//! What `server` hands requests to: each goes to the proxy in force when it begins, and stays with it.
//!
//! So a request is answered under one policy and one set of options, whatever is reloaded meanwhile.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use super::{AnswerBody, BodyFault, Peer, Proxy, lineage, peer, request_id, respond};
use crate::server::{Handler, Stay};
use crate::telemetry::exchange::{Client, Exchange, Lineage};
use crate::telemetry::metrics::{ConnectionRefusal, Handshake};
use crate::upstream::Broken;
use crate::wire::{Origin, Refusal};

/// The proxy of one worker, whichever is in force.
#[derive(Debug)]
pub struct Front {
    current: RefCell<Rc<Proxy>>,
    /// Grows with each replacement.
    generation: Cell<u64>,
}

impl Front {
    /// With this proxy.
    #[must_use]
    pub fn new(proxy: Rc<Proxy>) -> Rc<Self> {
        Rc::new(Self { current: RefCell::new(proxy), generation: Cell::new(0) })
    }

    /// The proxy in force.
    #[must_use]
    pub fn current(&self) -> Rc<Proxy> {
        self.current.borrow().clone()
    }

    /// From now on requests go to `proxy`; those under way stay where they are.
    pub fn replace(&self, proxy: Rc<Proxy>) {
        self.current.replace(proxy);
        self.generation.set(self.generation.get() + 1);
    }
}

impl Handler for Front {
    type Body = AnswerBody;
    type BodyError = BodyFault<Broken>;
    type Peer = Peer;

    fn trusts(&self, origin: Origin) -> bool {
        peer::is_among(origin, &self.current.borrow().options.trusted_peers)
    }

    fn greet(&self, client: Client, stay: Rc<Stay>) -> Peer {
        let proxy = self.current.borrow();
        let peer = Peer::new(client, stay, &proxy.options.trusted_peers, proxy.desk.metrics.clone());
        peer.generation.set(self.generation.get());
        peer
    }

    fn handle(
        self: Rc<Self>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<AnswerBody>> + 'static {
        let proxy = self.current();
        if peer.generation.replace(self.generation.get()) != self.generation.get() {
            peer.trusted.set(peer::is_among(peer.client.origin, &proxy.options.trusted_peers));
        }
        let opened = proxy.open(&peer, request);
        proxy.answer(peer, opened)
    }

    fn refuse(&self, peer: &Peer, refusal: Refusal) -> Bytes {
        let request_id = request_id::fresh();
        let mut exchange =
            Exchange::open(self.current.borrow().desk.clone(), &peer.client, "", Lineage::default());
        exchange.judge(request_id, "", None);
        exchange.refused(refusal);
        let (status, answer) = respond::refusal_on_wire(refusal, request_id);
        exchange.answers(status.as_u16());
        exchange.finish();
        answer
    }

    fn share(&self, peer: &Peer, stay: Rc<Stay>) -> Peer {
        peer.with(stay)
    }

    fn decline(&self, peer: &Peer, head: &Parts, refusal: Refusal) -> Response<AnswerBody> {
        let request_id = request_id::fresh();
        let desk = self.current.borrow().desk.clone();
        let mut exchange =
            Exchange::open(desk, &peer.client, head.method.as_str(), lineage::of(&head.headers));
        exchange.judge(request_id, head.method.as_str(), None);
        respond::refusal(exchange, refusal, request_id)
    }

    fn not_believed(&self) {
        self.current.borrow().desk.metrics.connection_refused(ConnectionRefusal::NotBelieved);
    }

    fn turn_away(&self) -> Bytes {
        self.current.borrow().desk.metrics.connection_refused(ConnectionRefusal::AtLimit);
        respond::no_room_on_wire(request_id::fresh())
    }

    fn handshake_ended(&self, outcome: Handshake) {
        self.current.borrow().desk.metrics.handshake(outcome);
    }

    fn cannot_accept(&self) {
        self.current.borrow().desk.metrics.connection_refused(ConnectionRefusal::AcceptFailed);
    }
}
