//! Bytes of a connection: heads, framing, and where they are cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::head::check(data));
