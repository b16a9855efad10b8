//! Which applications a tenant may write. Leaves the grammar of a key to `key`.

use super::key::is_application;

/// The applications a tenant may write: exact names, and names that end in `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Applications(Vec<Box<str>>);

impl Applications {
    /// Every application.
    #[must_use]
    pub fn every() -> Self {
        Self(vec!["*".into()])
    }

    /// These patterns. A `*` at the end stands for any rest, also for none; elsewhere it is an ordinary
    /// character that no application has.
    pub fn of<P: Into<Box<str>>>(patterns: impl IntoIterator<Item = P>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether `text` is an application, or the start of one and a `*`: a pattern that can admit something.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        match text.strip_suffix('*') {
            // The start of an application is what some letter makes a whole one.
            Some(start) => is_application(&format!("{start}a")),
            None => is_application(text),
        }
    }

    /// Whether `application` may be written.
    #[must_use]
    pub fn admit(&self, application: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => application.starts_with(start),
            None => application == &**pattern,
        })
    }

    /// The patterns, as configured.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}
