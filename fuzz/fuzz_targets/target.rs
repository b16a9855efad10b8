//! Request targets: canonical form, routing, and what Karbor reads of both.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::target::check(data));
