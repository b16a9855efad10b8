//! How a process comes by its sockets, and who looks after it.

use std::io;
use std::net::TcpListener;

use super::AppError;
use crate::admin;
use crate::config::{Config, Supervisor};
use crate::server::{self, BindError, Listen, Takeover};

/// How the process was launched. By default by nobody in particular.
#[derive(Debug, Default)]
pub struct Launch {
    /// Whether to listen beside another instance on the same addresses, which is to end then.
    pub beside: bool,
    /// Who looks after it. Of its sockets that named `admin` is for the admin side, the others are for clients.
    pub supervisor: Supervisor,
}

/// The name of the socket for the admin side.
const ADMIN: &str = "admin";

impl Launch {
    /// The listeners of each worker, the admin side's, and what is still to be taken from another instance.
    pub(super) fn bind(
        &mut self,
        config: &Config,
    ) -> Result<(server::Bound, admin::Bound, Option<Takeover>), AppError> {
        let takeover = self.beside.then(Takeover::default);
        let for_admin = self.take(|name, _| name == ADMIN);
        let for_clients = self.for_clients(&config.server.listen);
        if let Some((name, socket)) = self.supervisor.sockets.first() {
            let source = io::Error::other(format!("there is nothing to do for the socket {name:?}"));
            let listen = socket.local_addr().map_or_else(|_gone| config.admin.listen.clone(), Listen::Tcp);
            return Err(AppError::Bind { listen, setting: "server.listen", source });
        }
        let server = server::bind(&config.server, takeover.as_ref(), for_clients).map_err(
            |BindError { listen, source }| AppError::Bind { listen, setting: "server.listen", source },
        )?;
        let admin = admin::bind(&config.admin, takeover.as_ref(), for_admin).map_err(|source| {
            AppError::Bind { listen: config.admin.listen.clone(), setting: "admin.listen", source }
        })?;
        Ok((server, admin, takeover))
    }

    /// For each place to listen, the socket that was handed over for it: the one on that address; where there is
    /// none, the next that is on no other address of the list. Unix sockets are not handed over.
    fn for_clients(&mut self, listens: &[Listen]) -> Vec<Option<TcpListener>> {
        let on = |listen: &Listen, socket: &TcpListener| matches!(listen, Listen::Tcp(address) if socket.local_addr().is_ok_and(|own| own == *address));
        let mut sockets: Vec<_> =
            listens.iter().map(|listen| self.take(|_, socket| on(listen, socket))).collect();
        for (socket, listen) in sockets.iter_mut().zip(listens) {
            if socket.is_none() && matches!(listen, Listen::Tcp(_)) {
                *socket = self.take(|_, _| true);
            }
        }
        sockets
    }

    fn take(&mut self, fits: impl Fn(&str, &TcpListener) -> bool) -> Option<TcpListener> {
        let at = self.supervisor.sockets.iter().position(|(name, socket)| fits(name, socket))?;
        Some(self.supervisor.sockets.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_taken_by_address_and_then_in_order() {
        let sockets: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mut launch = Launch::default();
        launch.supervisor.sockets = sockets.into_iter().map(|socket| (String::new(), socket)).collect();
        let elsewhere = || Listen::Tcp("192.0.2.1:1".parse().unwrap());
        let listens =
            [elsewhere(), Listen::Unix("/k".into()), Listen::Tcp(addresses[0]), elsewhere(), elsewhere()];
        let taken = launch.for_clients(&listens);
        let taken: Vec<_> =
            taken.iter().map(|socket| socket.as_ref().map(|socket| socket.local_addr().unwrap())).collect();
        assert_eq!(taken, [Some(addresses[1]), None, Some(addresses[0]), Some(addresses[2]), None]);
        assert!(launch.supervisor.sockets.is_empty());
    }
}
