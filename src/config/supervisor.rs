//! What a service manager tells the process that it starts, in variables of its own.
//!
//! Leaves talking back to `app`.

use std::env;
use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;

/// The wishes of a service manager, as systemd spells them (sd_notify(3), sd_watchdog_enabled(3),
/// sd_listen_fds(3)).
#[derive(Debug, Default)]
pub struct Supervisor {
    /// The datagram socket that is told how the process stands: a path, or `@` and an abstract name.
    pub notify_socket: Option<OsString>,
    /// Within this time after each sign of life there must be another.
    pub watchdog: Option<Duration>,
    /// Sockets that it has bound for the process, and that listen; each with its name, or none.
    pub sockets: Vec<(String, TcpListener)>,
}

impl Supervisor {
    /// That of this process; nothing where nobody supervises it.
    ///
    /// # Errors
    /// When something was handed over that is no TCP socket.
    pub fn of_this_process() -> io::Result<Self> {
        let text = |name: &str| env::var_os(name).and_then(|value| value.into_string().ok());
        // The variables may be meant for a parent that did not clear them.
        let is_meant = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let microseconds = text("WATCHDOG_USEC").filter(|_| is_meant).and_then(|text| text.parse().ok());
        Ok(Self {
            notify_socket: env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()),
            watchdog: microseconds.filter(|most| *most > 0).map(Duration::from_micros),
            sockets: sockets(&text("LISTEN_FDNAMES").unwrap_or_default())?,
        })
    }
}

fn sockets(names: &str) -> io::Result<Vec<(String, TcpListener)>> {
    let mut names = names.split(':').map(str::to_owned);
    let mut handed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for at in 0..handed.len() {
        let name = names.next().unwrap_or_default();
        sockets.extend(handed.take_tcp_listener(at)?.map(|socket| (name, socket)));
    }
    Ok(sockets)
}
