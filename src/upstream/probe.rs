//! Asks every address from time to time, so that what is down is known before a request finds out.
//!
//! One task for each worker, one question at a time, each on a connection of its own: that it is taken is a part of
//! the question. Any status is a sign of life.

use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::Empty;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::connect::dial;
use super::converse::converse;
use super::health::Fault;
use super::line::Line;
use super::options::ProbeOptions;
use super::outgoing::{Head, Outgoing};
use super::roster::Roster;
use crate::drain;
use crate::telemetry::metrics::{Probe, WorkerMetrics};

/// Asks for as long as the roster is in use, if probes are configured.
pub(super) fn begin(roster: &Rc<Roster>, metrics: &Rc<WorkerMetrics>) {
    if let Some(options) = roster.options.probe.clone() {
        let (roster, metrics) = (Rc::downgrade(roster), metrics.clone());
        drain::spawn_cut(async move {
            while round(&roster, &options, &metrics).await {
                sleep(options.period).await;
            }
        });
    }
}

/// Whether there will be another.
async fn round(roster: &Weak<Roster>, options: &ProbeOptions, metrics: &WorkerMetrics) -> bool {
    let in_use = || roster.upgrade().filter(|roster| !roster.is_retired());
    let addresses = in_use().map(|roster| roster.addresses()).unwrap_or_default();
    for address in addresses {
        let Some(rules) = in_use().map(|roster| roster.options.clone()) else { return false };
        match ask(&address, options, rules.connect_timeout).await {
            Ok(()) => {
                metrics.probed(Probe::Alive);
                address.answered_probe();
            }
            Err(reason) => {
                metrics.probed(Probe::Dead);
                tracing::debug!(address = %address.dial, reason, "a probe was not answered");
                address.failed(Fault::Probe, true, &rules.ejection);
            }
        }
    }
    in_use().is_some()
}

async fn ask(address: &Address, options: &ProbeOptions, most: Duration) -> Result<(), String> {
    let secure = address.site.secure.as_ref().map_err(ToString::to_string)?;
    let stream = dial(&address.dial, secure.as_ref(), most).await.map_err(|failure| failure.to_string())?;
    let headers = HeaderMap::from_iter([(header::CONNECTION, HeaderValue::from_static("close"))]);
    let uri = options.target.clone().into();
    let question = Head { method: Method::GET, uri, headers, lines: Rc::default() };
    let mut outgoing = Outgoing::of(&question, Empty::<Bytes>::new());
    outgoing.begin(&address.site.host);
    match timeout(most, converse(&mut Line::new(stream), &mut outgoing)).await {
        Ok(Ok(_answer)) => Ok(()),
        Ok(Err(broken)) => Err(broken.to_string()),
        Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).to_string()),
    }
}
