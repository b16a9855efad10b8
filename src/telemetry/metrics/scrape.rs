//! Adding up what the workers counted, and writing it as text.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

type Series = BTreeMap<Vec<String>, Metric>;

/// The families of all `registries`, sorted by name, each series once: equal ones are added up.
pub(super) fn gather(registries: &[Registry]) -> Vec<MetricFamily> {
    let mut merged: BTreeMap<String, (MetricFamily, Series)> = BTreeMap::new();
    for mut family in registries.iter().flat_map(Registry::gather) {
        let kind = family.get_field_type();
        let metrics = family.take_metric();
        let (_, series) = merged.entry(family.name().to_owned()).or_insert_with(|| (family, Series::new()));
        for metric in metrics {
            match series.entry(label_values(&metric)) {
                Entry::Vacant(place) => {
                    place.insert(metric);
                }
                Entry::Occupied(mut sum) => add(sum.get_mut(), &metric, kind),
            }
        }
    }
    let whole = |(mut family, series): (MetricFamily, Series)| {
        family.set_metric(series.into_values().collect());
        family
    };
    merged.into_values().map(whole).collect()
}

/// What the gauge of that name adds up to; never below zero.
pub(super) fn sum_of_gauge(registries: &[Registry], name: &str) -> u64 {
    let families = registries.iter().flat_map(Registry::gather).filter(|family| family.name() == name);
    let sum: f64 = families
        .flat_map(|family| {
            family.get_metric().iter().map(|metric| metric.get_gauge().get_value()).collect::<Vec<_>>()
        })
        .sum();
    whole(sum)
}

/// A count out of the float that it is held in; never below zero.
pub(super) fn whole(count: f64) -> u64 {
    // Far below where a float is exact.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number, not negative"
    )]
    let whole = count.max(0.0) as u64;
    whole
}

/// Appends one family. The encoder fails only on a family without name or series: it is left out then.
pub(super) fn write(text: &mut String, family: &MetricFamily) {
    let start = text.len();
    if let Err(error) = TextEncoder::new().encode_utf8(std::slice::from_ref(family), text) {
        tracing::error!(%error, family = family.name(), "a metric could not be written");
        text.truncate(start);
    }
}

// The labels of one family come in the same order from every registry.
fn label_values(metric: &Metric) -> Vec<String> {
    metric.get_label().iter().map(|label| label.value().to_owned()).collect()
}

fn add(sum: &mut Metric, more: &Metric, kind: MetricType) {
    match kind {
        MetricType::COUNTER => {
            let mut counter = Counter::default();
            counter.set_value(sum.get_counter().get_value() + more.get_counter().get_value());
            sum.set_counter(counter);
        }
        MetricType::GAUGE => {
            let mut gauge = Gauge::default();
            gauge.set_value(sum.get_gauge().get_value() + more.get_gauge().get_value());
            sum.set_gauge(gauge);
        }
        MetricType::HISTOGRAM => {
            let histogram = add_histograms(sum.get_histogram(), more.get_histogram());
            sum.set_histogram(histogram);
        }
        // We have none.
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

fn add_histograms(one: &Histogram, other: &Histogram) -> Histogram {
    let add_buckets = |(one, other): (&Bucket, &Bucket)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(one.upper_bound());
        bucket.set_cumulative_count(one.cumulative_count() + other.cumulative_count());
        bucket
    };
    let mut sum = Histogram::default();
    sum.set_sample_count(one.get_sample_count() + other.get_sample_count());
    sum.set_sample_sum(one.get_sample_sum() + other.get_sample_sum());
    sum.set_bucket(one.get_bucket().iter().zip(other.get_bucket()).map(add_buckets).collect());
    sum
}
