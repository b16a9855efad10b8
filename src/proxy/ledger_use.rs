//! How the proxy uses the ledger: what it does without, and how much it reads to fill and to search answers.
//!
//! Leaves where the ledger is to `ledger::LedgerOptions`.

use std::time::Duration;

/// How the proxy uses the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerUse {
    /// What becomes of a creation with a map while the ledger does not answer.
    pub when_down: WhenDown,
    /// The largest answer of Karbor's that is filled, in bytes. Larger ones pass as they are.
    pub max_answer: u64,
    /// The most pages of Karbor's list that are read for one page of a search; at least 1.
    pub filter_pages: u32,
    /// How long Karbor is asked for further pages of one search.
    pub filter_timeout: Duration,
    /// How long a token that Karbor accepted for a project counts as accepted. Zero asks each time.
    pub proof: Duration,
}

/// What becomes of a creation with a map while the ledger does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// It is turned away; others pass.
    Closed,
    /// It is forwarded, and its map is not kept.
    Open,
}
