//! Which certificate a client gets: by the host it names (SNI), otherwise the first.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// Certificates by name.
#[derive(Debug)]
pub(super) struct ByName {
    first: Arc<CertifiedKey>,
    /// `*.example.org` stands as it is.
    named: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    pub(super) fn new(first: Arc<CertifiedKey>) -> Self {
        Self { first, named: HashMap::new() }
    }

    /// A name goes to the first certificate that has it.
    pub(super) fn add(&mut self, name: String, certificate: &Arc<CertifiedKey>) {
        self.named.entry(name).or_insert_with(|| Arc::clone(certificate));
    }

    fn find(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let host = host.to_ascii_lowercase();
        let wildcard = || host.split_once('.').map(|(_, domain)| format!("*.{domain}"));
        self.named.get(&host).or_else(|| self.named.get(&wildcard()?))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|host| self.find(host));
        Some(Arc::clone(named.unwrap_or(&self.first)))
    }
}
