//! Looks names of endpoints up: at the start, from time to time, and when a connection failed.
//!
//! One task for each worker, so one lookup at a time. Requests never wait for one, but for the first.

use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::address::Site;
use super::roster::{Roster, is_named};
use crate::drain;

/// Between two lookups, however much one is wanted.
const PAUSE: Duration = Duration::from_secs(1);
/// The most addresses of one name that are used.
const MOST: usize = 64;

/// Sees to the names of a roster for as long as it is in use.
pub(super) fn begin(roster: &Rc<Roster>) {
    if roster.sites.iter().any(|site| is_named(&site.endpoint)) {
        let wanted = roster.wanted.clone();
        let period = roster.options.resolve_period;
        let roster = Rc::downgrade(roster);
        drain::spawn_cut(async move {
            while look_up(&roster).await {
                sleep(PAUSE).await;
                let _ = timeout(period.saturating_sub(PAUSE), wanted.notified()).await;
            }
        });
    }
}

/// One round. Whether there will be another.
async fn look_up(roster: &Weak<Roster>) -> bool {
    let in_use = || roster.upgrade().filter(|roster| !roster.is_retired());
    let sites: Vec<Rc<Site>> = in_use().map(|roster| roster.sites.clone()).unwrap_or_default();
    for site in sites.iter().filter(|site| is_named(&site.endpoint)) {
        let Some(authority) = site.endpoint.authority() else { continue };
        let found = addresses_of(authority).await;
        let Some(roster) = in_use() else { return false };
        match found {
            Ok(found) => {
                site.unresolved.take();
                roster.resolved(site, &found);
            }
            Err(error) => {
                // What it had before may still be right.
                tracing::warn!(endpoint = %site.endpoint, %error, "the name of an endpoint cannot be looked up");
                site.unresolved.replace(Some(error));
            }
        }
    }
    let roster = in_use();
    if let Some(roster) = &roster {
        roster.looked_up.notify_waiters();
    }
    roster.is_some()
}

/// The addresses of a name, at least one.
pub(super) async fn addresses_of(authority: (&str, u16)) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for address in tokio::net::lookup_host(authority).await?.take(MOST) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
}
