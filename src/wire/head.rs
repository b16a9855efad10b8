//! A request head, judged strictly before any HTTP library reads it.
//!
//! hyper is careful, not paranoid: it takes bare LF, drops one of two framing headers, and merges equal
//! lengths. Whoever stands between two readers must not guess which of them is right, so this reader
//! refuses whatever RFC 9112 lets two readers see differently. In order:
//!
//! 1. Lines end in CRLF; one empty line may stand before the request line.
//! 2. The request line is `METHOD SP target SP HTTP/1.1` or `HTTP/1.0`, one space each.
//! 3. The target has only characters of a URI (RFC 3986), no fragment; it starts with `/` or is an absolute
//!    `http` or `https` URI of a host as in rule 8, or is an authority for CONNECT.
//! 4. Field names are letters, digits and `-` (`_` is `-` to WSGI: facts, section 4, D1 and D2).
//! 5. Field values have no control characters but tab, and are not folded.
//! 6. `Host`, `Content-Length`, `Transfer-Encoding`, `Content-Type`, `Expect` and `X-Auth-Token` stand once.
//! 7. `Content-Length` is digits; `Transfer-Encoding` is one `chunked`, in HTTP/1.1; never both.
//! 8. HTTP/1.1 has a `Host`, and it is a host: a name or an address, and perhaps a port.
//!
//! Meaning is left to `karbor`; what fields say of each other, to `proxy::headers`.

use super::Refusal;

/// Bounds on a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line without its end.
    pub request_line_bytes: usize,
    /// Bytes of the head, the empty line included.
    pub head_bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; none is 0.
    Length(u64),
    /// Chunked.
    Chunked,
}

/// A complete head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its bytes, the empty line included.
    pub bytes: usize,
    /// What follows it.
    pub framing: Framing,
}

/// Reads one head at the start of `input`. `None` while it is incomplete and nothing is wrong with it yet.
///
/// # Errors
/// The first rule broken, in reading order.
pub fn read_head(input: &[u8], limits: &HeadLimits) -> Result<Option<Head>, Refusal> {
    let mut at = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let Some(line) = take_line(input, &mut at, limits.request_line_bytes, Refusal::RequestLineTooLong)
        .map_err(|refusal| refusal.unwrap_or(Refusal::RequestLine))?
    else {
        return Ok(None);
    };
    let version = check_request_line(line)?;
    if at > limits.head_bytes {
        return Err(Refusal::HeadTooLarge);
    }
    // Nothing beyond the bound is judged: the refusal would depend on the parts in which the bytes arrive.
    let within = &input[..input.len().min(limits.head_bytes)];
    let mut fields = Fields::default();
    loop {
        let line = take_line(within, &mut at, limits.head_bytes, Refusal::HeadTooLarge)
            .map_err(|refusal| refusal.unwrap_or(Refusal::FieldValue))?;
        match line {
            None if input.len() > limits.head_bytes => return Err(Refusal::HeadTooLarge),
            None => return Ok(None),
            Some([]) => return Ok(Some(Head { bytes: at, framing: fields.framing(version)? })),
            Some(line) => fields.add(line, limits.fields)?,
        }
    }
}

/// The next line without its CRLF. `Err(None)` for a bare CR or LF.
fn take_line<'a>(
    input: &'a [u8],
    at: &mut usize,
    most: usize,
    too_long: Refusal,
) -> Result<Option<&'a [u8]>, Option<Refusal>> {
    let rest = &input[*at..];
    match memchr::memchr2(b'\r', b'\n', rest) {
        Some(end) if end > most => Err(Some(too_long)),
        Some(end) if rest[end] == b'\n' => Err(None),
        Some(end) => match rest.get(end + 1) {
            Some(b'\n') => {
                *at += end + 2;
                Ok(Some(&rest[..end]))
            }
            Some(_) => Err(None),
            None => Ok(None),
        },
        None if rest.len() > most => Err(Some(too_long)),
        None => Ok(None),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

fn check_request_line(line: &[u8]) -> Result<Version, Refusal> {
    let space = memchr::memchr(b' ', line).ok_or(Refusal::RequestLine)?;
    let (method, rest) = (&line[..space], &line[space + 1..]);
    let space = memchr::memrchr(b' ', rest).ok_or(Refusal::RequestLine)?;
    let (target, version) = (&rest[..space], &rest[space + 1..]);
    if !is_method(method) {
        return Err(Refusal::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(Refusal::RequestLine),
    };
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    check_target(target)?;
    Ok(version)
}

fn check_target(target: &[u8]) -> Result<(), Refusal> {
    if target.is_empty() {
        return Err(Refusal::RequestLine);
    }
    if !is_target(target) {
        return Err(Refusal::TargetByte);
    }
    if target[0] == b'/' {
        return Ok(());
    }
    // Rare, so the library's own reader may judge it: what it takes, hyper takes too.
    let uri = http::Uri::try_from(target).map_err(|_unusable| Refusal::TargetForm)?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.authority() {
        // It takes the place of `Host`.
        Some(authority) if known_scheme && is_host(authority.as_str().as_bytes()) => Ok(()),
        _ => Err(Refusal::TargetForm),
    }
}

/// What the fields say about each other.
#[derive(Default)]
struct Fields {
    count: usize,
    seen: u8,
    length: Option<u64>,
    chunked: bool,
}

const HOST: u8 = 1;
const CONTENT_LENGTH: u8 = 2;
const TRANSFER_ENCODING: u8 = 4;

impl Fields {
    fn add(&mut self, line: &[u8], most: usize) -> Result<(), Refusal> {
        self.count += 1;
        if self.count > most {
            return Err(Refusal::HeadTooLarge);
        }
        if line[0] == b' ' || line[0] == b'\t' {
            return Err(Refusal::FieldValue);
        }
        let colon = memchr::memchr(b':', line).ok_or(Refusal::FieldName)?;
        if !is_name(&line[..colon]) {
            return Err(Refusal::FieldName);
        }
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_value(value) {
            return Err(Refusal::FieldValue);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.once(HOST)?;
                check_host(value)
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.once(CONTENT_LENGTH)?;
                self.length = Some(read_length(value)?);
                Ok(())
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.once(TRANSFER_ENCODING)?;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                if self.chunked { Ok(()) } else { Err(Refusal::TransferEncoding) }
            }
            12 if name.eq_ignore_ascii_case(b"content-type") => self.once(8),
            12 if name.eq_ignore_ascii_case(b"x-auth-token") => self.once(16),
            6 if name.eq_ignore_ascii_case(b"expect") => self.once(32),
            _ => Ok(()),
        }
    }

    fn once(&mut self, field: u8) -> Result<(), Refusal> {
        if self.seen & field != 0 {
            return Err(Refusal::FieldRepeated);
        }
        self.seen |= field;
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        if version == Version::Http11 && self.seen & HOST == 0 {
            return Err(Refusal::Host);
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::LengthAndChunked),
            (true, None) if version == Version::Http10 => Err(Refusal::TransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn check_host(value: &[u8]) -> Result<(), Refusal> {
    if is_host(value) { Ok(()) } else { Err(Refusal::Host) }
}

/// A name, an IPv4 address or an IPv6 address in brackets, then perhaps a port. Stricter than RFC 3986: no
/// sub-delims, no percent-encoding, which a list or a log would read differently.
pub(super) fn is_host(value: &[u8]) -> bool {
    let bracketed = value.strip_prefix(b"[").and_then(|rest| Some((rest, memchr::memchr(b']', rest)?)));
    let (host, after, class) = match bracketed {
        Some((rest, end)) => (&rest[..end], &rest[end + 1..], IPV6_BYTE),
        None => {
            let (host, port) = value.split_at(memchr::memchr(b':', value).unwrap_or(value.len()));
            (host, port, HOST_BYTE)
        }
    };
    let port = match after {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port && !host.is_empty() && host.iter().all(|&byte| is(byte, class))
}

pub(super) fn read_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLength);
    }
    // The largest lengths are kept by hyper for its own marks; nobody sends them.
    value
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|&length| length <= u64::MAX >> 1)
        .ok_or(Refusal::ContentLength)
}

pub(super) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST_BYTE: u8 = 4;
const IPV6_BYTE: u8 = 8;

/// Which sets each byte is in.
static CLASSES: [u8; 256] = classes();

/// A token of at most 32 bytes.
pub(super) fn is_method(method: &[u8]) -> bool {
    (1..=32).contains(&method.len()) && method.iter().all(|&byte| is(byte, TOKEN))
}

pub(super) fn is_target(target: &[u8]) -> bool {
    target.iter().all(|&byte| is(byte, TARGET))
}

// The next three compute what a table would say, and end at no byte early: so the compiler looks at many at once.

pub(super) fn is_name(name: &[u8]) -> bool {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-');
    !name.is_empty() && name.iter().fold(true, |sound, &byte| sound & is_sound(byte))
}

pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().fold(true, |sound, &byte| sound & is_value_byte(byte))
}

pub(super) fn is_value_byte(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= 0x20) & (byte != 0x7f))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut sets = 0;
        let alphanumeric = byte.is_ascii_alphanumeric();
        if alphanumeric || among(byte, b"!#$%&'*+-.^_`|~") {
            sets |= TOKEN;
        }
        // RFC 3986: unreserved, sub-delims, and `:@/?%[]`.
        if alphanumeric || among(byte, b"-._~!$&'()*+,;=:@/?%[]") {
            sets |= TARGET;
        }
        if alphanumeric || among(byte, b"-._~") {
            sets |= HOST_BYTE;
        }
        if byte.is_ascii_hexdigit() || among(byte, b":.") {
            sets |= IPV6_BYTE;
        }
        table[byte as usize] = sets;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn among(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}
