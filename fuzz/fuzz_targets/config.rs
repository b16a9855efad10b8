//! Files and variables of settings.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::config::check(data));
