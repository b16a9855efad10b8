//! Addresses, hosts and ports, as written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::problem::Wrong;
use crate::proxy::{AddressRange, TrustedPeer};
use crate::server::Listen;

/// The bits before an IPv4 address in an IPv6 one.
const MAPPED_BITS: u8 = 96;
/// What the system takes as the path of a unix socket.
const SOCKET_PATH_BYTES: usize = 107;
/// The longest host name.
const HOST_BYTES: usize = 253;

/// Where clients connect: an address with a port, or a unix socket.
pub(super) fn listen(text: &str) -> Result<Listen, Wrong> {
    place(text, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 8799))
}

fn place(text: &str, example: SocketAddr) -> Result<Listen, Wrong> {
    match text.strip_prefix("unix:") {
        Some(path) => unix_path(path).map(Listen::Unix),
        None if text.starts_with('/') => Err(Wrong::hint(format!("\"unix:{text}\""))),
        None => address(text, example).map(Listen::Tcp),
    }
}

/// The path of a unix socket.
fn unix_path(path: &str) -> Result<PathBuf, Wrong> {
    const FORM: &str = "\"unix:/run/karbor-admission/listen.sock\"";
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err(Wrong::expected("unix: and an absolute path").with_hint(FORM));
    }
    bound_socket_path(path)?;
    Ok(path.into())
}

/// A unix socket has no longer name, be it ours or another's.
pub(super) fn bound_socket_path(path: &str) -> Result<(), Wrong> {
    if path.len() > SOCKET_PATH_BYTES {
        return Err(Wrong::expected(format!("a path of at most {SOCKET_PATH_BYTES} bytes")));
    }
    Ok(())
}

/// The mode of a file: octal digits.
pub(super) fn mode(text: &str) -> Result<u32, Wrong> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    octal
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| Wrong::hint("octal digits, such as \"0660\": the owner and the group may connect"))
}

/// Who is trusted: an address, a range of them, or `unix`.
pub(super) fn trusted_peer(text: &str) -> Result<TrustedPeer, Wrong> {
    match text {
        "unix" => Ok(TrustedPeer::Unix),
        _ => address_range(text).map(TrustedPeer::Range),
    }
}

/// Where the admin side is: an address with a port, or a unix socket.
pub(super) fn admin_listen(text: &str) -> Result<Listen, Wrong> {
    place(text, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9799))
}

/// An address with a port; the hint takes what is missing from `example`.
fn address(text: &str, example: SocketAddr) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_malformed| {
        let whole = text.ends_with(']') || text.parse::<Ipv6Addr>().is_ok();
        let split = text.rsplit_once(':').filter(|_| !whole);
        let (host, port) = match split {
            Some((host, port)) => (host, port.parse().ok()),
            None => (text, text.parse().ok()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let known = match host {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => host.parse::<IpAddr>().ok(),
        };
        let better = SocketAddr::new(known.unwrap_or(example.ip()), port.unwrap_or(example.port()));
        let named = known.is_none_or(|_| host == "localhost") && host.contains(|c: char| c.is_alphabetic());
        Wrong::hint(if named {
            format!("a number, not a name: \"{better}\"")
        } else {
            format!("\"{better}\"")
        })
    })
}

/// An address, or a range written `ADDRESS/BITS`. IPv4 in IPv6 (`::ffff:10.0.0.5`) is IPv4, as it is of peers.
pub(super) fn address_range(text: &str) -> Result<AddressRange, Wrong> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr =
        address.parse().map_err(|_malformed| Wrong::hint("\"10.0.0.0/8\", \"192.0.2.1\", \"fd00::/8\""))?;
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) => plain_number(bits)
            .and_then(|bits| u8::try_from(bits).ok())
            .filter(|&bits| bits <= most)
            .ok_or_else(|| Wrong::hint(format!("0 to {most} bits after the slash")))?,
    };
    let network = masked(address, bits);
    if network == address {
        Ok(match (address.to_canonical(), bits.checked_sub(MAPPED_BITS)) {
            (IpAddr::V4(mapped), Some(bits)) if address.is_ipv6() => {
                AddressRange { address: mapped.into(), bits }
            }
            _ => AddressRange { address, bits },
        })
    } else {
        Err(Wrong::expected("an address without bits beyond its range")
            .with_hint(format!("\"{network}/{bits}\" or \"{address}\"")))
    }
}

/// The port that is named, or else the usual one.
pub(super) fn port_or(named: Option<&str>, usual: u16) -> Result<u16, Wrong> {
    match named {
        None => Ok(usual),
        Some(port) => plain_number(port)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|&port| port > 0)
            .ok_or_else(|| Wrong::expected("a port from 1 to 65535")),
    }
}

/// The host without brackets, and the port as text.
pub(super) fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), Wrong> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| Wrong::expected("a closing bracket"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(Wrong::expected("an IPv6 address in the brackets"));
        }
        return match rest.strip_prefix(':') {
            _ if rest.is_empty() => Ok((host, None)),
            Some(port) => Ok((host, Some(port))),
            None => Err(Wrong::expected("a port after the brackets")),
        };
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Err(
            Wrong::expected("an IPv6 address in brackets").with_hint(format!("\"http://[{authority}]\""))
        );
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let labels =
        host.strip_suffix('.').unwrap_or(host).split('.').all(|label| (1..=63).contains(&label.len()));
    let named = host.len() <= HOST_BYTES && labels && host.bytes().all(name) && !numeric;
    if named || host.parse::<Ipv4Addr>().is_ok() {
        Ok((host, port))
    } else {
        Err(Wrong::expected("a host name or an address"))
    }
}

fn plain_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}
