//! Queries of lists.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::filter::check(data));
