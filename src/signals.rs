//! SIGTERM, SIGINT, SIGHUP and SIGUSR1 as futures.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the operator asks of the running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// End, for this reason.
    End(&'static str),
    /// End, for this reason, and leave the addresses to another instance that listens there already.
    HandOver(&'static str),
    /// Open the audit file anew, which may have been rotated, and read the configuration again.
    Reload,
}

/// The signals we listen to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    /// Begins to listen. Must be called within a runtime.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next wish.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload,
            _ = self.user.recv() => Wish::HandOver("SIGUSR1"),
        }
    }
}
