//! The metrics page, read.

use std::collections::{BTreeMap, BTreeSet};

/// Every series of a scrape.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Series>);

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(lines.map(|line| Series::read(line).unwrap_or_else(|| panic!("{line}"))).collect())
    }

    /// The sum of the series of `name`, without `karbor_admission_`, that have all these labels. Of none, 0.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name)
            .filter(|series| {
                labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|own| own == value))
            })
            .map(|series| series.value)
            .sum()
    }

    /// The values a label has in `name`.
    pub(crate) fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        self.of(name).filter_map(|series| series.labels.get(label)).map(String::as_str).collect()
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Series> {
        let name = format!("karbor_admission_{name}");
        self.0.iter().filter(move |series| series.name == name)
    }
}

impl Series {
    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
        let labels = pairs.map(|pair| {
            let (label, value) = pair.split_once("=\"")?;
            Some((label.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        let labels = labels.collect::<Option<_>>()?;
        Some(Self { name: name.to_owned(), labels, value: value.replace("+Inf", "inf").parse().ok()? })
    }
}
