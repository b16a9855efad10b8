//! Other ways to the proxy: a port of its own, whose connections go on over something else than TCP.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Client;

/// Listens for the rest of the test's process; a thread for each connection.
pub(crate) struct Tunnel {
    address: SocketAddr,
}

impl Tunnel {
    /// To a unix socket.
    pub(crate) fn to_unix(path: &Path) -> Self {
        let path = path.to_owned();
        Self::through(move || UnixStream::connect(path.clone()))
    }

    /// To an address by TLS, to a host of that name.
    pub(crate) fn to_tls(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Self {
        Self::to_tls_after(b"", address, name, config)
    }

    /// The same, once `before` is said.
    pub(crate) fn to_tls_after(
        before: &'static [u8],
        address: SocketAddr,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> Self {
        let (connector, name) = (TlsConnector::from(config.clone()), name.to_owned());
        Self::through(move || {
            let (connector, name) = (connector.clone(), ServerName::try_from(name.clone()).unwrap());
            async move {
                let mut socket = TcpStream::connect(address).await?;
                socket.write_all(before).await?;
                connector.connect(name, socket).await
            }
        })
    }

    /// Through whatever `open` opens.
    pub(crate) fn through<S, F>(open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Future<Output = io::Result<S>>,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(open);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let open = Arc::clone(&open);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let near = near.unwrap();
                        near.set_nonblocking(true).unwrap();
                        let mut near = TcpStream::from_std(near).unwrap();
                        // What goes wrong shows at the near end: it is closed.
                        if let Ok(mut far) = open().await {
                            let _ = copy_bidirectional(&mut near, &mut far).await;
                        }
                    });
                });
            }
        });
        Self { address }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.address)
    }
}
