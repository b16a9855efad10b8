//! What was turned away in the last hour, minute by minute: differences of what the metrics count anyway.
//!
//! Nothing is counted for it. Leaves the clock to whoever closes the minutes, drawing to `plot`.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::telemetry::metrics::Tally;

/// How often a minute is to be closed.
pub(in crate::admin) const MINUTE: Duration = Duration::from_secs(60);
/// How many minutes are told, the one that runs included.
pub(super) const MINUTES: usize = 60;

/// The minutes that are over. Tallies come in the same order always.
#[derive(Debug, Default)]
pub(in crate::admin) struct Trend {
    /// The counts when the minute that runs began.
    begun: Vec<u64>,
    /// What was counted in each that is over, the latest last.
    over: VecDeque<Vec<u64>>,
}

/// One reason with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Series {
    pub(super) reason: &'static str,
    pub(super) outcome: &'static str,
    /// In all these minutes.
    pub(super) count: u64,
    /// The oldest first; the last one still runs.
    pub(super) by_minute: Vec<u64>,
}

impl Trend {
    /// A minute is over.
    pub(in crate::admin) fn close(&mut self, tallies: &[Tally]) {
        let minute = self.running(tallies);
        self.over.push_back(minute);
        if self.over.len() >= MINUTES {
            self.over.pop_front();
        }
        self.begun = tallies.iter().map(|tally| tally.count).collect();
    }

    /// What each reason did, less those that did nothing; the busiest first.
    pub(super) fn series(&self, tallies: &[Tally]) -> Vec<Series> {
        let running = self.running(tallies);
        let unknown = MINUTES - 1 - self.over.len();
        let of = |(at, tally): (usize, &Tally)| {
            let known = self.over.iter().chain([&running]);
            let counts = known.map(|minute| minute.get(at).copied().unwrap_or_default());
            let by_minute: Vec<u64> = std::iter::repeat_n(0, unknown).chain(counts).collect();
            let count = by_minute.iter().sum();
            Series { reason: tally.reason, outcome: tally.outcome, count, by_minute }
        };
        let mut series: Vec<Series> = tallies.iter().enumerate().map(of).collect();
        series.retain(|series| series.count > 0);
        series.sort_by_key(|series| std::cmp::Reverse(series.count));
        series
    }

    /// What the minute that runs has so far.
    fn running(&self, tallies: &[Tally]) -> Vec<u64> {
        let begun = self.begun.iter().copied().chain(std::iter::repeat(0));
        tallies.iter().zip(begun).map(|(tally, begun)| tally.count.saturating_sub(begun)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(counts: [u64; 3]) -> Vec<Tally> {
        let [a, b, c] = counts;
        [("a", "enforced", a), ("a", "warned", b), ("c", "refused", c)]
            .map(|(reason, outcome, count)| Tally { reason, outcome, count })
            .into()
    }

    /// The series as words: reason, outcome, and each minute that is not 0 by its age.
    #[track_caller]
    fn check(trend: &Trend, now: [u64; 3], expected: &[&str]) {
        let series = trend.series(&tallies(now));
        let words = series.iter().map(|series| {
            assert_eq!(series.by_minute.len(), MINUTES);
            assert_eq!(series.by_minute.iter().sum::<u64>(), series.count);
            let minutes = series.by_minute.iter().rev().enumerate().filter(|(_, count)| **count > 0);
            let minutes: Vec<String> = minutes.map(|(age, count)| format!("{count}@{age}")).collect();
            format!("{} {}: {}", series.reason, series.outcome, minutes.join(" "))
        });
        assert_eq!(words.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn tells_differences_by_minute() {
        let mut trend = Trend::default();
        check(&trend, [0, 0, 0], &[]);
        check(&trend, [2, 0, 1], &["a enforced: 2@0", "c refused: 1@0"]);
        trend.close(&tallies([2, 0, 1]));
        check(&trend, [2, 0, 1], &["a enforced: 2@1", "c refused: 1@1"]);
        check(&trend, [2, 7, 2], &["a warned: 7@0", "a enforced: 2@1", "c refused: 1@0 1@1"]);
        trend.close(&tallies([3, 7, 2]));
        trend.close(&tallies([3, 7, 2]));
        check(&trend, [3, 7, 2], &["a warned: 7@2", "a enforced: 1@2 2@3", "c refused: 1@2 1@3"]);
    }

    #[test]
    fn forgets_what_is_older_than_an_hour() {
        let mut trend = Trend::default();
        trend.close(&tallies([5, 0, 0]));
        for _ in 0..MINUTES - 2 {
            trend.close(&tallies([5, 0, 0]));
        }
        check(&trend, [5, 0, 0], &["a enforced: 5@59"]);
        trend.close(&tallies([5, 0, 0]));
        check(&trend, [5, 0, 0], &[]);
        for minute in 1..=1000 {
            trend.close(&tallies([5, minute, 0]));
        }
        assert_eq!(trend.series(&tallies([5, 1000, 0]))[0].count, 59);
        assert_eq!(trend.over.len(), MINUTES - 1);
    }

    /// Counters only grow; should one not, nothing is told rather than nonsense.
    #[test]
    fn tells_nothing_of_a_count_that_fell() {
        let mut trend = Trend::default();
        trend.close(&tallies([5, 0, 0]));
        trend.close(&tallies([3, 0, 0]));
        check(&trend, [4, 0, 0], &["a enforced: 1@0 5@2"]);
    }
}
