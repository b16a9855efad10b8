//! What is wrong with a configuration, and where it stands.
//!
//! Leaves finding problems to the other files.

use std::fmt;
use std::num::NonZeroU32;

use super::written::KeyPath;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// In a file.
    File {
        /// Its name, as given.
        name: Box<str>,
        /// The line, from 1, where one is known.
        line: Option<NonZeroU32>,
        /// The column in characters, from 1, where one is known.
        column: Option<NonZeroU32>,
    },
    /// In an environment variable of this name.
    Variable(Box<str>),
}

impl Origin {
    /// A whole file.
    pub(super) fn file(name: &str) -> Self {
        Self::File { name: name.into(), line: None, column: None }
    }

    /// A place in a file; line and column from 1.
    pub(super) fn place(name: &str, line: usize, column: Option<usize>) -> Self {
        let small = |number: usize| u32::try_from(number).ok().and_then(NonZeroU32::new);
        Self::File { name: name.into(), line: small(line), column: column.and_then(small) }
    }

    /// The line in its file; 0 where there is none.
    pub(super) fn line(&self) -> u32 {
        match self {
            Self::File { line, .. } => line.map_or(0, NonZeroU32::get),
            Self::Default | Self::Variable(_) => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::File { name, line, column } => {
                f.write_str(name)?;
                for number in [line, column].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
                Ok(())
            }
        }
    }
}

/// What a problem found at its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing to show.
    Nothing,
    /// This value, as TOML, cut if long.
    Value(Box<str>),
    /// This item of its list.
    Item(Box<str>),
}

/// One thing that is wrong, or that deserves a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The setting, dotted; empty for a whole file.
    pub key: Box<str>,
    /// What stands there.
    pub found: Found,
    /// What was expected, or what is wrong.
    pub text: Box<str>,
    /// What would help.
    pub hint: Option<Box<str>>,
}

impl Problem {
    /// A problem with a whole file or variable.
    pub(super) fn whole(origin: Origin, text: impl Into<Box<str>>) -> Self {
        Self { origin, key: Box::default(), found: Found::Nothing, text: text.into(), hint: None }
    }

    /// A problem with the setting of that key.
    pub(super) fn at(origin: Origin, key: &KeyPath, text: impl Into<Box<str>>) -> Self {
        Self { key: key.to_string().into(), ..Self::whole(origin, text) }
    }

    /// The same, showing what stands there.
    pub(super) fn found(self, found: Found) -> Self {
        Self { found, ..self }
    }

    /// The same with a hint, where there is one.
    pub(super) fn hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "`{}`", self.key)?;
            match &self.found {
                Found::Nothing => {}
                Found::Value(value) => write!(f, " is {value}")?,
                Found::Item(item) => write!(f, " has {item}")?,
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a value is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What was expected; empty where the kind of the setting says it.
    pub(super) expected: String,
    /// What would help.
    pub(super) hint: Option<String>,
}

impl Wrong {
    /// Not of the kind; the kind says what was expected.
    pub(super) const KIND: Self = Self { expected: String::new(), hint: None };

    /// Not of the kind, with a hint.
    pub(super) fn hint(hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::KIND }
    }

    /// Of the kind, but not right.
    pub(super) fn expected(expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), hint: None }
    }

    /// The same with a hint.
    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
