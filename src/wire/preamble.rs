//! The PROXY protocol, versions 1 and 2: what a balancer says of a connection before its first byte.
//!
//! Strict: what the specification leaves open to a receiver is refused. A line has at most 107 bytes; a
//! binary header at most [`BINARY_BYTES`], of which the addresses are read and the rest is passed over.
//! Source: "The PROXY protocol", HAProxy Technologies, sections 2.1 and 2.2. Leaves whom to believe to `server`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Origin;

/// What stands before a connection's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// Its bytes.
    pub bytes: usize,
    /// Where the client connected from; none where the sender speaks for itself, or does not know.
    pub source: Option<Origin>,
}

/// Not a header of the PROXY protocol, or not one for a connection of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPreamble;

impl fmt::Display for BadPreamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the PROXY header is missing or malformed")
    }
}

impl std::error::Error for BadPreamble {}

/// The longest line, its end included.
const LINE_BYTES: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
/// The most bytes of a binary header in all.
pub const BINARY_BYTES: usize = 16 + 1024;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads one at the start of `input`. `None` while it is incomplete and nothing is wrong with it yet.
///
/// # Errors
/// Where it is none.
pub fn read_preamble(input: &[u8]) -> Result<Option<Preamble>, BadPreamble> {
    let begins = |start: &[u8]| {
        let common = start.len().min(input.len());
        input[..common] == start[..common]
    };
    if begins(SIGNATURE) {
        read_binary(input)
    } else if begins(LINE_START) {
        read_line(input)
    } else {
        Err(BadPreamble)
    }
}

fn read_line(input: &[u8]) -> Result<Option<Preamble>, BadPreamble> {
    let within = &input[..input.len().min(LINE_BYTES)];
    let end = match memchr::memchr2(b'\r', b'\n', within) {
        Some(end) if within[end] == b'\r' && within.get(end + 1).is_none_or(|&next| next == b'\n') => end,
        Some(_) => return Err(BadPreamble),
        None => within.len(),
    };
    let line = &within[..end];
    if !line.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Err(BadPreamble);
    }
    if end + 2 > within.len() {
        return if within.len() == LINE_BYTES { Err(BadPreamble) } else { Ok(None) };
    }
    let line = std::str::from_utf8(line).map_err(|_not_text| BadPreamble)?;
    let parts: Vec<&str> = line.split(' ').collect();
    let source = match parts[..] {
        // Whatever follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let four = family == "TCP4";
            let from = address(from, four)?;
            address(to, four)?;
            port(from_port)?;
            port(to_port)?;
            Some(from.into())
        }
        _ => return Err(BadPreamble),
    };
    Ok(Some(Preamble { bytes: end + 2, source }))
}

fn address(text: &str, four: bool) -> Result<IpAddr, BadPreamble> {
    let parsed = if four {
        text.parse::<Ipv4Addr>().map(IpAddr::V4)
    } else {
        text.parse::<Ipv6Addr>().map(IpAddr::V6)
    };
    parsed.map_err(|_malformed| BadPreamble)
}

/// No leading zero, no sign.
fn port(text: &str) -> Result<u16, BadPreamble> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().ok_or(BadPreamble)
}

fn read_binary(input: &[u8]) -> Result<Option<Preamble>, BadPreamble> {
    // Refused as soon as it shows, not once it is whole.
    let rest = input.get(SIGNATURE.len()..).unwrap_or_default();
    if rest.first().is_some_and(|command| !matches!(command, 0x20 | 0x21)) {
        return Err(BadPreamble);
    }
    let [command, family, high, low, rest @ ..] = rest else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let bytes = SIGNATURE.len() + 4 + length;
    if bytes > BINARY_BYTES {
        return Err(BadPreamble);
    }
    // In a connection of its own making, such as a look at our health, the sender names nobody.
    let speaks_for_itself = *command == 0x20;
    let least = match family {
        _ if speaks_for_itself => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(BadPreamble),
    };
    if length < least {
        return Err(BadPreamble);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let source = match family {
        0x11 if !speaks_for_itself => body.first_chunk::<4>().map(|four| IpAddr::from(*four).into()),
        0x21 if !speaks_for_itself => body.first_chunk::<16>().map(|six| IpAddr::from(*six).into()),
        0x31 if !speaks_for_itself => Some(Origin::Unix),
        _ => None,
    };
    Ok(Some(Preamble { bytes, source }))
}
