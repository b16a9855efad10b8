//! The closed label values: every word a label may have, apart from tenants and configured keys.
//!
//! Routes, rules and refusals bring their own words. Leaves tenants to `tenants`.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The label value.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What a method does, coarsely: a client may invent methods, so they are no label themselves.
    MethodClass {
        /// Leaves Karbor as it is.
        Read = "read",
        /// May change Karbor.
        Write = "write",
        /// Unknown to us.
        Other = "other",
    }
}

impl MethodClass {
    /// The class of a method, as it stands in the request line.
    #[must_use]
    pub fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" | "OPTIONS" => Self::Read,
            "POST" | "PUT" | "PATCH" | "DELETE" => Self::Write,
            _ => Self::Other,
        }
    }
}

words! {
    /// How an exchange ended.
    Outcome {
        /// Karbor's answer went to the client.
        Forwarded = "forwarded",
        /// An enforced rule was broken.
        Denied = "denied",
        /// It could not be reviewed with certainty.
        Refused = "refused",
        /// The client left before it had its answer.
        Abandoned = "abandoned",
        /// Karbor could not be reached, or gave no whole answer.
        UpstreamFailed = "upstream-failed",
    }
}

words! {
    /// The side of a connection.
    Side {
        /// The client's.
        Downstream = "downstream",
        /// Karbor's.
        Upstream = "upstream",
    }
}

words! {
    /// The direction of body bytes, as seen by the proxy.
    Direction {
        /// Read from that side.
        Received = "received",
        /// Written to that side.
        Sent = "sent",
    }
}

words! {
    /// Why a connection of a client was not served.
    ConnectionRefusal {
        /// As many as may be were open.
        AtLimit = "at-limit",
        /// It has no PROXY header where it must, a malformed one, or is not trusted to send one.
        NotBelieved = "not-believed",
        /// The system could not accept it, for want of descriptors for example.
        AcceptFailed = "accept-failed",
    }
}

words! {
    /// How a TLS handshake ended.
    Handshake {
        /// The connection is ready for requests.
        Done = "done",
        /// The client cannot speak TLS with us, or does not try to.
        Failed = "failed",
        /// It showed no certificate where it must, or one that is not sound.
        ClientCertificate = "client-certificate",
        /// It left.
        Left = "left",
        /// It took too long.
        Late = "timeout",
    }
}

words! {
    /// Why Karbor gave no whole answer.
    UpstreamFailure {
        /// The name could not be resolved, or the connection was refused.
        Connect = "connect",
        /// The connection was not there in time.
        ConnectTimeout = "connect-timeout",
        /// The head of the answer was not there in time.
        FirstByteTimeout = "first-byte-timeout",
        /// A body stood still, either way.
        IdleTimeout = "idle-timeout",
        /// The connection broke, before the answer or within it.
        Reset = "reset",
        /// It closed the connection in an orderly way, before the answer was whole.
        Closed = "closed",
        /// What came back is not HTTP as we read it.
        Protocol = "protocol",
        /// TLS was not agreed on.
        Tls = "tls",
        /// Every address is left alone for a while.
        AllEjected = "all-ejected",
        /// Too many requests waited already.
        QueueFull = "queue-full",
        /// It waited too long for others to end.
        QueueTimeout = "queue-timeout",
    }
}

words! {
    /// Why a request went on to another connection or address.
    Move {
        /// No connection could be made.
        Unconnected = "unconnected",
        /// The connection ended before a byte of the request was sent.
        Unsent = "unsent",
        /// It ended before a byte of the answer came, and the request can be repeated.
        Unanswered = "unanswered",
    }
}

words! {
    /// What came of a probe.
    Probe {
        /// It was answered, whatever the status.
        Alive = "alive",
        /// It was not.
        Dead = "dead",
    }
}

words! {
    /// Why an audit line is missing from the audit log.
    AuditDrop {
        /// The writer was too far behind.
        QueueFull = "queue-full",
        /// The file or standard output did not take it.
        WriteFailed = "write-failed",
        /// It came after the log was closed.
        Closed = "closed",
    }
}

words! {
    /// Why a span of a trace does not reach the collector.
    SpanDrop {
        /// What exports them was too far behind.
        QueueFull = "queue-full",
        /// The collector was not reached, or could not take it, several times.
        Failed = "failed",
        /// The collector took it for wrong.
        Refused = "refused",
        /// The process ended first.
        Closed = "closed",
    }
}

words! {
    /// What the ledger is asked.
    LedgerOperation {
        /// To hold what a creation will use, before Karbor is asked.
        Reserve = "reserve",
        /// To keep a map: Karbor made the checkpoint.
        Commit = "commit",
        /// To give back what was held: Karbor refused.
        RollBack = "roll-back",
        /// For the maps of the checkpoints in an answer.
        Read = "read",
        /// For checkpoints by what stands in their maps.
        Find = "find",
        /// To forget a checkpoint that was deleted.
        Forget = "forget",
        /// To keep the map of an original for its copy.
        Copy = "copy",
        /// For what a tenant uses.
        Usage = "usage",
    }
}

words! {
    /// What came of it.
    LedgerOutcome {
        /// It was done, or a quota stood against it.
        Done = "done",
        /// The ledger could not do it, or not in time.
        Failed = "failed",
    }
}

words! {
    /// Why an answer of Karbor's went to the client without the maps that are kept.
    Unfilled {
        /// It is over `ledger.max_answer`.
        TooLarge = "too-large",
        /// It has a content coding, or is not JSON as Karbor writes it.
        Unreadable = "unreadable",
        /// The ledger did not answer.
        Ledger = "ledger",
    }
}

words! {
    /// Why a map that was admitted is not kept.
    Unkept {
        /// The ledger did not answer before Karbor was asked, and `ledger.when_down` is `open`.
        Forwarded = "forwarded",
        /// The ledger did not answer after Karbor had made the checkpoint. A later sight of it may settle that.
        Unsettled = "unsettled",
        /// Karbor's answer does not say whether it made a checkpoint. A later sight of it may settle that.
        Unknown = "unknown",
    }
}

words! {
    /// What came of a reload of the configuration.
    Reload {
        /// It is in force.
        Applied = "applied",
        /// It says the same as before.
        Unchanged = "unchanged",
        /// It has problems; nothing changed.
        Invalid = "invalid",
        /// It changes what only a start takes; nothing changed.
        NeedsRestart = "needs-restart",
    }
}
