//! How a process comes by its sockets, and who looks after it.

use std::io;
use std::net::TcpListener;

use super::AppError;
use crate::admin;
use crate::config::{Config, Supervisor};
use crate::server::{self, Listener};

/// How the process was launched. By default by nobody in particular.
#[derive(Debug, Default)]
pub struct Launch {
    /// Whether to listen beside another instance on the same addresses, which is to end then.
    pub beside: bool,
    /// Who looks after it. Of its sockets that named `admin` is for the admin side, and another one for clients.
    pub supervisor: Supervisor,
}

/// The name of the socket for the admin side.
const ADMIN: &str = "admin";

impl Launch {
    /// A listener for each worker, and the admin side's.
    pub(super) fn bind(&mut self, config: &Config) -> Result<(Vec<Listener>, admin::Bound), AppError> {
        let (listen, setting) = (config.server.listen, "server.listen");
        let for_clients = self.take(|name| name != ADMIN);
        let listeners = match for_clients {
            Some(socket) => server::adopt(socket, config.server.workers),
            None => server::bind(&config.server, self.beside),
        };
        let listeners = listeners.map_err(|source| AppError::Bind { address: listen, setting, source })?;
        let (listen, setting) = (config.admin.listen, "admin.listen");
        let admin = match self.take(|name| name == ADMIN) {
            Some(socket) => admin::adopt(socket),
            None => admin::bind(&config.admin, self.beside),
        };
        let admin = admin.map_err(|source| AppError::Bind { address: listen, setting, source })?;
        match self.supervisor.sockets.first() {
            Some((name, _)) => {
                let source = io::Error::other(format!("there is nothing to do for the socket {name:?}"));
                Err(AppError::Bind { address: config.server.listen, setting: "server.listen", source })
            }
            None => Ok((listeners, admin)),
        }
    }

    fn take(&mut self, fits: impl Fn(&str) -> bool) -> Option<TcpListener> {
        let at = self.supervisor.sockets.iter().position(|(name, _)| fits(name))?;
        Some(self.supervisor.sockets.remove(at).1)
    }
}
