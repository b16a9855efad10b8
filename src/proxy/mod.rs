//! One HTTP exchange: classify, review, forward, answer.

use std::net::IpAddr;
use std::time::Duration;

/// A range of addresses: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The address.
    pub address: IpAddr,
    /// Leading bits that count; 0 to 32 or 128.
    pub bits: u8,
}

/// Under which name an admitted map is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraInfoField {
    /// `extra-info`: Karbor 1.0 and later; the very bytes that were reviewed.
    Hyphen,
    /// `extra_info`: Karbor before 1.0 (facts, section 12); the body is written anew.
    Underscore,
}

/// What the proxy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOptions {
    /// What stands before `/v1`; empty, or `/` and segments without a slash at the end.
    pub path_prefix: Box<str>,
    /// Whether the specification's short form is offered.
    pub short_form: bool,
    /// Under which name an admitted map is sent on.
    pub extra_info_field: ExtraInfoField,
    /// For the whole of a body that is reviewed.
    pub body_timeout: Duration,
    /// Peers whose forwarding headers are passed on.
    pub trusted_peers: Vec<AddressRange>,
    /// The date in the `Warning` header from which warned rules will be enforced, `YYYY-MM-DD`.
    pub enforced_from: Option<Box<str>>,
}
