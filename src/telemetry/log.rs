//! Logs for operators: readable on a terminal, JSON otherwise; no line per request above debug.
//!
//! They go to standard error, so that standard output is free for audit lines.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Readable.
    Text,
    /// One JSON object a line.
    Json,
}

/// Lets one line a second through, so that an outage does not fill the disk. For one thread.
#[derive(Debug, Default)]
pub struct Throttle {
    last: Cell<Option<Instant>>,
    held_back: Cell<u64>,
}

impl Throttle {
    /// Whether a line may be written now; then how many were held back since the last.
    pub fn admit(&self) -> Option<u64> {
        const PAUSE: Duration = Duration::from_secs(1);
        let now = Instant::now();
        if self.last.get().is_some_and(|last| now.duration_since(last) < PAUSE) {
            self.held_back.set(self.held_back.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.held_back.take())
    }
}

/// What the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The lowest level written.
    pub level: tracing::Level,
    /// The shape of the lines.
    pub format: LogFormat,
}

/// A log is set up already: there is one for the process.
#[derive(Debug, thiserror::Error)]
#[error("the log is already set up")]
pub struct LogError(#[from] TryInitError);

/// The level of the process's log, once there is one.
static LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// Sets the log up, for the whole process, on standard error.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let (subscriber, set_level) = subscriber(options, io::stderr().is_terminal(), io::stderr);
    subscriber.try_init()?;
    // Nobody was before: the line above would have failed.
    let _first = LEVEL.set(set_level);
    Ok(())
}

/// The lowest level written from now on. Without a log it does nothing.
pub fn set_level(level: tracing::Level) {
    if let Some(set) = LEVEL.get() {
        set(level);
    }
}

type SetLevel = Box<dyn Fn(tracing::Level) + Send + Sync>;

fn subscriber<W>(
    options: &LogOptions,
    terminal: bool,
    writer: W,
) -> (Box<dyn Subscriber + Send + Sync + 'static>, SetLevel)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(options.level));
    let lines = fmt::layer().with_writer(writer);
    let text = match options.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines: Box<dyn Layer<_> + Send + Sync> = match (text, terminal) {
        // As it comes the layer colours, unless the person has set NO_COLOR.
        (true, true) => lines.with_target(false).boxed(),
        (true, false) => lines.with_target(false).with_ansi(false).boxed(),
        (false, _) => lines.json().flatten_event(true).boxed(),
    };
    let set_level = move |level| {
        // It only fails once the log is gone.
        let _gone = handle.reload(LevelFilter::from_level(level));
    };
    (Box::new(tracing_subscriber::registry().with(filter).with(lines)), Box::new(set_level))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check(format: LogFormat, terminal: bool, json: bool) {
        let lines = Lines::default();
        let writer = lines.clone();
        let options = LogOptions { level: Level::INFO, format };
        let (subscriber, _) = subscriber(&options, terminal, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(revision = "abc", "the policy is in force");
            tracing::debug!("one request");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(line) => {
                assert!(json, "{text}");
                assert_eq!(line["message"], "the policy is in force");
                assert_eq!(line["revision"], "abc");
                assert_eq!(line["level"], "INFO");
            }
            Err(_) => {
                assert!(!json, "{text}");
                assert!(text.contains("the policy is in force"), "{text}");
                assert!(terminal || !text.contains('\u{1b}'), "colours off a terminal: {text}");
            }
        }
    }

    #[test]
    fn writes_text_on_a_terminal_and_json_otherwise() {
        check(LogFormat::Auto, true, false);
        check(LogFormat::Auto, false, true);
        check(LogFormat::Text, true, false);
        check(LogFormat::Text, false, false);
        check(LogFormat::Json, true, true);
        check(LogFormat::Json, false, true);
    }

    #[test]
    fn the_level_can_be_set_while_it_runs() {
        let lines = Lines::default();
        let writer = lines.clone();
        let options = LogOptions { level: Level::INFO, format: LogFormat::Json };
        let (subscriber, set_level) = subscriber(&options, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("one");
            set_level(Level::DEBUG);
            tracing::debug!("two");
            set_level(Level::WARN);
            tracing::info!("three");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("two") && text.lines().count() == 1, "{text}");
    }
}
