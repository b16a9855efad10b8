//! Why a request is refused: it cannot be reviewed with certainty. Not policy, and always on.

use std::fmt;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a request cannot be reviewed at all. Stable codes, in faults, audit lines and metrics.
        ///
        /// Source: rules at the end of section 4 of the Karbor facts; RFC 9110 and 9112.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// Every refusal, in the order of the documentation.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name,)*];

            /// The stable code, for machines.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Refusal::$name => $code,)* }
            }

            /// The sentence for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Refusal::$name => $text,)* }
            }
        }
    };
}

refusals! {
    /// The request line is not `METHOD SP target SP HTTP/1.x`.
    RequestLine = "request-line", "the request line is malformed";
    /// The request line is longer than Karbor's server reads.
    RequestLineTooLong = "request-line-too-long", "the request line is too long";
    /// The head is over the bytes or the number of fields allowed.
    HeadTooLarge = "head-too-large", "the request head is too large";
    /// The head did not arrive in time.
    HeadTimeout = "head-timeout", "the request head did not arrive in time";
    /// A byte that no target may hold, or a fragment.
    TargetByte = "target-byte", "the request target has a character that must not stand there";
    /// `%` not followed by two hexadecimal digits.
    TargetPercent = "target-percent", "the request target has a percent sign without two hexadecimal digits";
    /// A control character, encoded.
    TargetControl = "target-control", "the request target has an encoded control character";
    /// A slash or backslash, encoded.
    TargetSlash = "target-slash", "the request target has an encoded slash or a backslash";
    /// A `.` or `..` segment.
    TargetDots = "target-dot-segment", "the request target has a dot segment";
    /// Neither origin form nor an `http` or `https` absolute form without user information.
    TargetForm = "target-form", "the request target is not a path";
    /// `_method` in the query, raw or decoded: Karbor would run another method.
    MethodOverride = "method-override", "the query has a `_method` parameter";
    /// A field name with anything but letters, digits and `-`.
    FieldName = "field-name", "a header name has a character other than a letter, a digit or a hyphen";
    /// A control byte in a field value, a bare CR or LF, or a folded line.
    FieldValue = "field-value", "a header value has a control character or a folded line";
    /// A field that may stand only once.
    FieldRepeated = "field-repeated", "a header that may stand only once is repeated";
    /// No `Host`, or not a host.
    Host = "host", "the Host header is missing or malformed";
    /// Not a plain decimal number.
    ContentLength = "content-length", "the Content-Length is not a plain number";
    /// Anything but a single `chunked` in HTTP/1.1.
    TransferEncoding = "transfer-encoding", "the Transfer-Encoding is not a single `chunked`";
    /// Both at once.
    LengthAndChunked = "length-and-chunked", "Content-Length and Transfer-Encoding stand together";
    /// The chunked body is malformed, or has extensions or trailers out of bounds.
    Chunk = "chunk", "the chunked body is malformed";
    /// Anything but `100-continue`.
    Expect = "expect", "the expectation cannot be met";
    /// An upgrade, which would open a tunnel.
    Upgrade = "upgrade", "upgrades are not offered";
    /// A field about the connection, in HTTP/2.
    ConnectionField = "connection-field", "the request has a header that HTTP/2 does not allow";
    /// `CONNECT`, which would open a tunnel.
    Connect = "connect", "CONNECT is not offered";
    /// The body did not arrive in time.
    BodyTimeout = "body-timeout", "the request body did not arrive in time";
    /// The bodies under review take all the memory there is for them.
    BodyBudget = "body-budget", "too many bodies are under review, try again";
    /// As many requests and connections as may be are under way.
    NoRoom = "no-room", "too many requests are under way, try again";
    /// The ledger did not answer: maps that cannot be kept are not forwarded, and lists cannot be filtered.
    Ledger = "ledger", "the ledger of extra-info did not answer; nothing was done, try again";
    /// A filter by extra-info that cannot be understood.
    Filter = "filter", "the filter by extra-info is malformed";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
