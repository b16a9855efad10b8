//! Bodies of creations, reviewed under several policies.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::create_body::check(data));
