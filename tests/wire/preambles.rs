//! Headers of the PROXY protocol: taken, incomplete, refused.

use std::net::IpAddr;

use karbor_admission::wire::{BadPreamble, Origin, Preamble, read_preamble};

/// Taken whole, whatever follows; incomplete at every byte before its end.
#[track_caller]
fn takes(header: &[u8], source: Option<Origin>) {
    let expected = Ok(Some(Preamble { bytes: header.len(), source }));
    assert_eq!(read_preamble(header), expected, "{header:?}");
    for after in [&b"GET / HTTP/1.1\r\n"[..], b"\0", b"\r\n", &[0x16; 3000]] {
        assert_eq!(read_preamble(&[header, after].concat()), expected, "{header:?}");
    }
    for end in 0..header.len() {
        assert_eq!(read_preamble(&header[..end]), Ok(None), "{end} of {header:?}");
    }
}

#[track_caller]
fn refuses(header: &[u8]) {
    assert_eq!(read_preamble(header), Err(BadPreamble), "{:?}", String::from_utf8_lossy(header));
}

fn from(address: &str) -> Option<Origin> {
    Some(address.parse::<IpAddr>().unwrap().into())
}

/// Version 2: command, family and what follows the length.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

fn four(rest: &[u8]) -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 7, 0xd4, 0x31, 0x22, 0x5f][..], rest].concat()
}

fn six() -> Vec<u8> {
    let mut body = vec![0; 36];
    body[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    body[15] = 1;
    body
}

#[test]
fn takes_lines() {
    takes(b"PROXY TCP4 192.0.2.1 198.51.100.7 54321 8799\r\n", from("192.0.2.1"));
    takes(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", from("0.0.0.0"));
    takes(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", from("2001:db8::1"));
    takes(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", from("192.0.2.1"));
    takes(b"PROXY UNKNOWN\r\n", None);
    takes(b"PROXY UNKNOWN whatever it says 1 2 3\r\n", None);
    let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n");
    assert_eq!(longest.len(), 107);
    takes(longest.as_bytes(), None);
}

#[test]
fn refuses_other_lines() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY\r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY \r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY TCP6 ::1%lo ::1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7  2\r\n",
        "PROXY TCP4\t192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN\r \n",
        "PROXY UNKNOWN \0\r\n",
        "PROXY UNKNOWN ä\r\n",
    ] {
        refuses(line.as_bytes());
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(93));
    assert_eq!(long.len(), 107);
    refuses(long.as_bytes());
    refuses(format!("{}\r\n", &long[..106]).as_bytes());
}

#[test]
fn takes_binary_headers() {
    takes(&binary(0x21, 0x11, &four(b"")), from("192.0.2.1"));
    takes(&binary(0x21, 0x11, &four(b"\x04\0\x01x")), from("192.0.2.1"));
    takes(&binary(0x21, 0x21, &six()), from("2001:db8::1"));
    takes(&binary(0x21, 0x31, &[b'x'; 216]), Some(Origin::Unix));
    takes(&binary(0x21, 0x00, b""), None);
    takes(&binary(0x21, 0x00, b"whatever"), None);
    takes(&binary(0x21, 0x11, &four(&[0; 1012])), from("192.0.2.1"));
    // For itself, whatever else it says.
    takes(&binary(0x20, 0x00, b""), None);
    takes(&binary(0x20, 0x11, &four(b"")), None);
    takes(&binary(0x20, 0x31, b"short"), None);
    takes(&binary(0x20, 0xff, b""), None);
}

#[test]
fn refuses_other_binary_headers() {
    for command in [0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x31] {
        refuses(&binary(command, 0x11, &four(b"")));
        // As soon as it shows.
        refuses(&binary(command, 0x11, b"")[..13]);
    }
    for family in [0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xff] {
        refuses(&binary(0x21, family, &[0; 216]));
    }
    for (family, least) in [(0x11, 12), (0x21, 36), (0x31, 216)] {
        refuses(&binary(0x21, family, &vec![0; least - 1]));
    }
    refuses(&binary(0x21, 0x11, &four(&[0; 1013])));
    refuses(&binary(0x20, 0x00, &[0; 1025]));
    for at in 0..12 {
        let mut header = binary(0x21, 0x11, &four(b""));
        header[at] ^= 0x20;
        refuses(&header);
    }
}

#[test]
fn refuses_what_is_neither() {
    for bytes in [&b"\x16\x03\x01"[..], b"PRI * HTTP/2.0\r\n", b"\0", b"\n", b" PROXY"] {
        refuses(bytes);
    }
    assert_eq!(read_preamble(b""), Ok(None));
}
