//! Bytes of a connection to Karbor: answers, and where they are cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::karbor_answer::check(data));
