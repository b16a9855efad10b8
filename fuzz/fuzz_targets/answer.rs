//! Bodies of Karbor's answers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karbor_admission_fuzz::answer::check(data));
