//! Who may read which page. Leaves reading the token to `options`, the answer to `pages`.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue};

use super::options::{AdminOptions, TokenSource};
use crate::server::Listen;

/// What tells no more than a connection that is taken: whoever balances loads or restarts containers has no token.
const FOR_EVERYBODY: [&str; 2] = ["/livez", "/readyz"];

/// What whoever asks is held against.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) options: AdminOptions,
    /// Whether it may be where it listens: a reload may have taken away what a socket that was handed over needs.
    is_in_place: bool,
    /// Whether it listens on an address.
    has_address: bool,
}

impl Guard {
    pub(super) fn at(listen: &Listen, options: AdminOptions) -> Self {
        let is_in_place = options.may_be_at(listen);
        Self { options, is_in_place, has_address: matches!(listen, Listen::Tcp(_)) }
    }

    /// Whether anybody is talked to at all.
    pub(super) const fn receives(&self) -> bool {
        self.is_in_place
    }

    /// Whether the page is for whoever sent these.
    pub(super) fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        match &self.options.token {
            _ if FOR_EVERYBODY.contains(&path) => true,
            TokenSource::None => true,
            TokenSource::Given(token) => {
                let mut shown = headers.get_all(AUTHORIZATION).into_iter();
                let only = shown.next().filter(|_| shown.next().is_none());
                only.and_then(bearer).is_some_and(|shown| token.is(shown))
            }
            // Never read, so nobody can show it.
            TokenSource::File(_) => false,
        }
    }

    /// Whether whoever asks knows whom: where neither a token nor a certificate tells, a page from elsewhere could
    /// have its name lead to this machine, and read in a browser here what it likes (DNS rebinding). No such name is
    /// an address or `localhost`.
    pub(super) fn is_meant(&self, path: &str, headers: &HeaderMap) -> bool {
        let open = self.options.token == TokenSource::None && self.options.tls.is_none() && self.has_address;
        let hosts = headers.get_all(HOST).into_iter();
        !open
            || FOR_EVERYBODY.contains(&path)
            || hosts.map(HeaderValue::to_str).all(|host| host.is_ok_and(names_no_other))
    }
}

/// An address or `localhost`, with a port or without.
fn names_no_other(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// What stands behind `Bearer`, in whatever case (RFC 6750, section 2.1; RFC 7235, section 2.1).
fn bearer(field: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = field.as_bytes().split_at_checked(b"Bearer".len())?;
    let shown = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer") && rest.first() == Some(&b' ') && !shown.is_empty())
        .then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::super::options::Token;
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(token: TokenSource) -> Guard {
        let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        let options = AdminOptions { listen: listen.clone(), unix_mode: 0o660, token, tls: None };
        Guard::at(&listen, options)
    }

    #[test]
    fn a_token_opens_the_pages() {
        let guarded = guard(TokenSource::Given(Token::new(TOKEN).unwrap()));
        let rows: [(&[&str], bool); 14] = [
            (&["Bearer 0123456789abcdef"], true),
            (&["bearer 0123456789abcdef"], true),
            (&["BEARER   0123456789abcdef "], true),
            (&[], false),
            (&[""], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearer0123456789abcdef"], false),
            (&["Bearer\t0123456789abcdef"], false),
            (&["Basic 0123456789abcdef"], false),
            (&["0123456789abcdef"], false),
            (&["Bearer 0123456789abcdeg"], false),
            (&["Bearer 0123456789abcdef x"], false),
            (&["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"], false),
        ];
        for (fields, admitted) in rows {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
            }
            for path in ["/", "/status", "/config", "/metrics", "/livez/", "/nothing"] {
                assert_eq!(guarded.admits(path, &headers), admitted, "{path} {fields:?}");
            }
            for path in ["/livez", "/readyz"] {
                assert!(guarded.admits(path, &headers), "{path} {fields:?}");
            }
        }
    }

    #[test]
    fn no_name_from_elsewhere_leads_here() {
        let meant = |guard: &Guard, host: &str| {
            let mut headers = HeaderMap::new();
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
            assert!(guard.is_meant("/livez", &headers));
            guard.is_meant("/status", &headers)
        };
        let open = guard(TokenSource::None);
        for host in
            ["127.0.0.1", "127.0.0.1:9799", "10.0.0.5:1", "[::1]", "[::1]:9799", "localhost", "LocalHost:1"]
        {
            assert!(meant(&open, host), "{host}");
        }
        let named = [
            "",
            "example.org",
            "example.org:9799",
            "127.0.0.1.example.org",
            "localhost.example.org",
            "[x]",
            "::1",
        ];
        for host in named {
            assert!(!meant(&open, host), "{host}");
            assert!(meant(&guard(TokenSource::Given(Token::new(TOKEN).unwrap())), host), "{host}");
            let unix = Guard::at(&Listen::Unix("/a".into()), open.options.clone());
            assert!(meant(&unix, host), "{host}");
        }
        assert!(open.is_meant("/status", &HeaderMap::new()), "no browser leaves it out");
    }

    #[test]
    fn without_one_they_are_open_and_with_one_not_read_they_are_shut() {
        let nothing = HeaderMap::new();
        assert!(guard(TokenSource::None).admits("/status", &nothing));
        assert!(!guard(TokenSource::File("/t".into())).admits("/status", &nothing));
        assert!(guard(TokenSource::File("/t".into())).admits("/livez", &nothing));
    }
}
