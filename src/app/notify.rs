//! Telling the service manager how the process stands (sd_notify(3)): datagrams on a socket that it names.
//!
//! A socket that is not there, or stays full, is no trouble of ours: the manager draws its own conclusions.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long it may take to make room for what it is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the service manager listens, if one does. Clones tell the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Notifier(Option<Arc<(UnixDatagram, SocketAddr)>>);

impl Notifier {
    /// To the socket of that name: a path, or `@` and an abstract name.
    pub(super) fn to(socket: Option<&OsString>) -> Self {
        let connected = socket.map(|socket| Ok::<_, io::Error>((unbound()?, address(socket)?)));
        match connected.transpose() {
            Ok(connected) => Self(connected.map(Arc::new)),
            Err(error) => {
                tracing::warn!(%error, ?socket, "the service manager cannot be told anything");
                Self(None)
            }
        }
    }

    /// The process works, after a start or a reload.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload has begun.
    pub(super) fn reloading(&self) {
        // The manager compares it with when it asked.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The end has begun.
    pub(super) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// A sign of life.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, words: &str) {
        if let Some((socket, address)) = self.0.as_deref()
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            tracing::debug!(%error, words, "the service manager was not told");
        }
    }
}

fn unbound() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that is slow to read must not miss that we are ready, and must not hold us up for long.
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, bound: &SocketAddr) {
        let manager = UnixDatagram::bind_addr(bound).unwrap();
        let notifier = Notifier::to(Some(&name.into()));
        notifier.ready("ready");
        notifier.reloading();
        notifier.stopping("draining");
        notifier.alive();
        let mut told = [0; 200];
        let mut next = || {
            let length = manager.recv(&mut told).unwrap();
            String::from_utf8(told[..length].to_vec()).unwrap()
        };
        assert_eq!(next(), "READY=1\nSTATUS=ready");
        let reloading = next();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(since.parse::<u64>().unwrap() > 0);
        assert_eq!(next(), "STOPPING=1\nSTATUS=draining");
        assert_eq!(next(), "WATCHDOG=1");
    }

    #[test]
    fn tells_a_socket_of_either_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        check(path.to_str().unwrap(), &SocketAddr::from_pathname(&path).unwrap());
        let name = format!("karbor-admission-test-{}", std::process::id());
        check(&format!("@{name}"), &SocketAddr::from_abstract_name(&name).unwrap());
    }

    #[test]
    fn nobody_is_told_where_nobody_listens() {
        Notifier::to(None).alive();
        Notifier::to(Some(&"/nonexistent/socket".into())).alive();
        Notifier::to(Some(&"x".repeat(300).into())).alive();
    }
}
