//! Requests and answers as bytes: what is let through, and what is refused. Where does a row go?
//!
//! `heads` rules 1 to 8 of `read_head`, in its order; `http2` the same of HTTP/2; `preambles` PROXY headers; `limits` its bounds at n−1, n, n+1; `streams` bodies and
//! pipelines; `properties` what holds for any bytes and however they arrive. Of Karbor's answers, `answers` has the head,
//! `answer_bodies` where they end, `answer_properties` the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod answer_bodies;
mod answer_properties;
mod answers;
mod heads;
mod http2;
mod limits;
mod preambles;
mod properties;
mod received;
mod streams;
mod support;
