//! Who a client is, and whether it is trusted.

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderValue;

use super::super::ours::Ours;
use super::{peer, range, sent_by};

#[test]
fn names_the_peer() {
    for (address, plain, node) in [
        ("192.0.2.1:5", "192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:5", "2001:db8::1", "\"[2001:db8::1]\""),
        ("[::ffff:192.0.2.1]:5", "192.0.2.1", "192.0.2.1"),
        ("[::1]:5", "::1", "\"[::1]\""),
        ("unix", "unknown", "unknown"),
    ] {
        let client = peer(address, &[]);
        // One connection may name several hosts, and come back to one.
        for host in ["a", "b", "b", "a"] {
            let headers = sent_by(&client, "/", &[("host", host)]).headers;
            assert_eq!(headers["x-forwarded-for"], plain);
            assert_eq!(headers["forwarded"], format!("for={node};host=\"{host}\";proto=http"));
        }
    }
}

/// A field is a part of what it was read with, and holds all of it.
#[test]
fn keeps_nothing_that_a_request_was_read_with() {
    let read = Bytes::from("a host, and 8 KiB of other fields".as_bytes().to_vec());
    let host = HeaderValue::from_maybe_shared(read.slice(..6)).unwrap();
    let client = peer("192.0.2.1:5", &[]);
    let ours = Ours { http2: false, host: true, scheme: true };
    client.lines(Some(&host), ours);
    drop(host);
    assert!(read.is_unique());
}

#[test]
fn trusts_peers_of_its_ranges() {
    for (address, trusted, expected) in [
        ("10.1.2.3:5", &["10.0.0.0/8"][..], true),
        ("11.1.2.3:5", &["10.0.0.0/8"], false),
        ("11.1.2.3:5", &["10.0.0.0/8", "11.1.2.3/32"], true),
        ("[::ffff:10.1.2.3]:5", &["10.0.0.0/8"], true),
        ("[fd00::1]:5", &["fd00::/8"], true),
        ("[fd00::1]:5", &["10.0.0.0/8"], false),
        ("10.1.2.3:5", &[], false),
        ("10.1.2.3:5", &["unix"], false),
        ("unix", &["0.0.0.0/0", "::/0"], false),
        ("unix", &["10.0.0.0/8", "unix"], true),
    ] {
        assert_eq!(peer(address, trusted).trusted.get(), expected, "{address} in {trusted:?}");
    }
}

#[test]
fn knows_which_addresses_a_range_holds() {
    #[track_caller]
    fn check(text: &str, inside: &[&str], outside: &[&str]) {
        for (addresses, expected) in [(inside, true), (outside, false)] {
            for address in addresses {
                let ip: IpAddr = address.parse().unwrap();
                assert_eq!(range(text).contains(ip), expected, "{address} in {text}");
            }
        }
    }
    check("0.0.0.0/0", &["0.0.0.0", "127.0.0.1", "255.255.255.255"], &["::", "::ffff:127.0.0.1"]);
    check("128.0.0.0/1", &["128.0.0.0", "255.255.255.255"], &["127.255.255.255", "0.0.0.0"]);
    check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]);
    check("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127", "192.0.3.0"]);
    check("192.0.2.4/31", &["192.0.2.4", "192.0.2.5"], &["192.0.2.3", "192.0.2.6"]);
    check("192.0.2.4/32", &["192.0.2.4"], &["192.0.2.3", "192.0.2.5", "::c000:204", "::ffff:192.0.2.4"]);
    check("::/0", &["::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:1.2.3.4"], &["1.2.3.4"]);
    check("8000::/1", &["8000::", "ffff::"], &["7fff:ffff::", "::1"]);
    check("fd00::/8", &["fd00::", "fdff:ffff::1"], &["fc00::", "fe00::"]);
    check("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db7:ffff::", "2001:db9::"]);
    check("2001:db8::2/127", &["2001:db8::2", "2001:db8::3"], &["2001:db8::1", "2001:db8::4"]);
    check("2001:db8::1/128", &["2001:db8::1"], &["2001:db8::", "2001:db8::2"]);
    check("::ffff:10.0.0.0/104", &["::ffff:10.1.2.3"], &["::ffff:11.1.2.3", "10.1.2.3"]);
}
