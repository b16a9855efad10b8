//! The addresses of all endpoints, and which of them gets the next request.
//!
//! The fit one with the fewest requests under way; of several such, each in its turn. A roster is replaced when the
//! configuration is: requests end on the one they began with. Leaves lookups to `resolve`.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::address::{Address, Site};
use super::connect::Dial;
use super::health::{Fault, Health};
use super::options::{Endpoint, UpstreamOptions};
use super::{AddressState, EndpointState, Failure};
use crate::telemetry::metrics::WorkerMetrics;

/// What is known of where to send requests.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) options: Rc<UpstreamOptions>,
    pub(super) sites: Vec<Rc<Site>>,
    addresses: RefCell<Vec<Rc<Address>>>,
    turn: Cell<usize>,
    retired: Cell<bool>,
    /// Told when a lookup is wanted before its time.
    pub(super) wanted: Rc<Notify>,
    /// Told when every name was looked up.
    pub(super) looked_up: Notify,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Choice {
    /// There.
    Use {
        address: Rc<Address>,
        /// Whether it is to show that the address is fit again.
        on_trial: bool,
    },
    /// Nowhere until then: every address is left alone.
    Ejected(Instant),
    /// Nowhere: none is left, or none is known yet.
    Nothing,
}

impl Roster {
    /// The roster of these options. What `before` knows of the same endpoints stays.
    pub(super) fn new(
        options: Rc<UpstreamOptions>,
        metrics: &WorkerMetrics,
        before: Option<&Self>,
    ) -> Rc<Self> {
        let (mut sites, mut addresses) = (Vec::new(), Vec::new());
        for endpoint in &options.endpoints {
            let known = before.and_then(|before| before.site(endpoint).map(|site| (before, site)));
            // Other certificates make other connections.
            let same_tls = before.is_some_and(|before| before.options.tls == options.tls);
            let site = match &known {
                Some((_, site)) if same_tls || !endpoint.is_secure() => (*site).clone(),
                _ => Site::new(endpoint, &options, metrics),
            };
            match known {
                Some((before, old)) => addresses.extend(before.of(old).map(|address| {
                    if Rc::ptr_eq(&site, old) {
                        address
                    } else {
                        Address::new(site.clone(), address.dial.clone(), address.health())
                    }
                })),
                None => addresses.extend(
                    Dial::fixed(endpoint).map(|dial| Address::new(site.clone(), dial, Health::default())),
                ),
            }
            sites.push(site);
        }
        Rc::new(Self {
            options,
            sites,
            addresses: RefCell::new(addresses),
            turn: Cell::default(),
            retired: Cell::default(),
            wanted: Rc::default(),
            looked_up: Notify::new(),
        })
    }

    /// `next` is in its place: what that does not have is let go.
    pub(super) fn retire(&self, next: &Self, metrics: &WorkerMetrics) {
        self.retired.set(true);
        self.wanted.notify_one();
        let staying = next.addresses.borrow();
        for address in self.addresses.borrow().iter() {
            if !staying.iter().any(|other| Rc::ptr_eq(other, address)) {
                address.retire();
            }
        }
        for site in &self.sites {
            if next.site(&site.endpoint).is_none() {
                metrics.endpoint_goes(&site.endpoint.to_string());
            }
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Every address.
    pub(super) fn addresses(&self) -> Vec<Rc<Address>> {
        self.addresses.borrow().clone()
    }

    /// Whether there is but one, so that nothing can move.
    pub(super) fn is_single(&self) -> bool {
        self.addresses.borrow().len() < 2
    }

    /// Where the next request goes, apart from those that it was at. One that may be sent again, or that nothing
    /// fit is left for, may be a trial; one that may not is none where only an answer tells.
    pub(super) fn choose(&self, tried: &[Rc<Address>], is_repeatable: bool) -> Choice {
        let addresses = self.addresses.borrow();
        let start = self.turn.get();
        self.turn.set(start.wrapping_add(1));
        let (mut best, mut due, mut soonest): (Option<&Rc<Address>>, Option<&Rc<Address>>, _) =
            (None, None, None);
        for step in 0..addresses.len() {
            let address = &addresses[start.wrapping_add(step) % addresses.len()];
            if tried.iter().any(|other| Rc::ptr_eq(other, address)) {
                continue;
            }
            match address.ejection() {
                None if best.is_none_or(|best| address.requests() < best.requests()) => best = Some(address),
                None => {}
                Some(ejection) if ejection.until <= Instant::now() => due = due.or(Some(address)),
                Some(ejection) => {
                    soonest = Some(soonest.map_or(ejection.until, |soonest| ejection.until.min(soonest)));
                }
            }
        }
        let harmless = |address: &Rc<Address>| {
            is_repeatable || address.ejection().is_some_and(|ejection| ejection.fault == Fault::Connect)
        };
        match (due, best) {
            (Some(due), best) if best.is_none() || harmless(due) => {
                due.begins_trial(Instant::now());
                Choice::Use { address: due.clone(), on_trial: true }
            }
            (_, Some(best)) => Choice::Use { address: best.clone(), on_trial: false },
            (_, None) => soonest.map_or(Choice::Nothing, Choice::Ejected),
        }
    }

    /// Until when every address is left alone, if every one is.
    pub(super) fn closed_until(&self) -> Option<Instant> {
        let addresses = self.addresses.borrow();
        let now = Instant::now();
        let ends = addresses.iter().map(|address| address.ejection().map(|ejection| ejection.until));
        ends.collect::<Option<Vec<_>>>()?.into_iter().min().filter(|soonest| *soonest > now)
    }

    /// Waits until the names are looked up for the first time.
    ///
    /// # Errors
    /// When no address came of that, or nothing in time.
    pub(super) async fn until_known(&self, most: Duration) -> Result<(), Failure> {
        let known = self.looked_up.notified();
        if self.unresolved().is_none() && timeout(most, known).await.is_err() {
            return Err(Failure::ConnectTimeout { address: self.names() });
        }
        match self.unresolved() {
            Some(source) if self.addresses.borrow().is_empty() => {
                self.wanted.notify_one();
                Err(Failure::Connect { address: self.names(), source })
            }
            _ => Ok(()),
        }
    }

    /// Why a name has no address.
    fn unresolved(&self) -> Option<io::Error> {
        self.sites.iter().find_map(|site| {
            let error = site.unresolved.borrow();
            error.as_ref().map(|error| io::Error::new(error.kind(), error.to_string()))
        })
    }

    fn names(&self) -> String {
        self.sites.iter().map(|site| site.endpoint.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The name of `site` has these addresses now.
    pub(super) fn resolved(&self, site: &Rc<Site>, found: &[SocketAddr]) {
        let mut addresses = self.addresses.borrow_mut();
        let is_found = |address: &Address| matches!(address.dial, Dial::Tcp(dial) if found.contains(&dial));
        addresses.retain(|address| {
            let stays = !Rc::ptr_eq(&address.site, site) || is_found(address);
            if !stays {
                address.retire();
            }
            stays
        });
        for dial in found {
            let dial = Dial::Tcp(*dial);
            let is_there = |address: &Rc<Address>| Rc::ptr_eq(&address.site, site) && address.dial == dial;
            if !addresses.iter().any(is_there) {
                addresses.push(Address::new(site.clone(), dial, Health::default()));
            }
        }
    }

    /// What is known of each endpoint.
    pub(super) fn states(&self) -> Vec<EndpointState> {
        let now = Instant::now();
        let state = |address: Rc<Address>| AddressState {
            address: address.dial.to_string(),
            requests: address.requests(),
            back_in: address.ejection().map(|ejection| ejection.until.saturating_duration_since(now)),
        };
        let of = |site: &Rc<Site>| EndpointState {
            endpoint: site.endpoint.to_string(),
            addresses: self.of(site).map(state).collect(),
            unresolved: site.unresolved.borrow().as_ref().map(ToString::to_string),
        };
        self.sites.iter().map(of).collect()
    }

    fn site(&self, endpoint: &Endpoint) -> Option<&Rc<Site>> {
        self.sites.iter().find(|site| site.endpoint == *endpoint)
    }

    fn of(&self, site: &Rc<Site>) -> impl Iterator<Item = Rc<Address>> {
        let own = |address: &Rc<Address>| Rc::ptr_eq(&address.site, site);
        self.addresses().into_iter().filter(own).collect::<Vec<_>>().into_iter()
    }
}

/// Whether an endpoint's addresses are looked up.
pub(super) fn is_named(endpoint: &Endpoint) -> bool {
    Dial::fixed(endpoint).is_none()
}
