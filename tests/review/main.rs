//! The core by tables: what a body is, what the verdict on it is. Where does a row go?
//!
//! `bodies` what is read and what is not; `keys` keys, namespaces, values; `limits` bounds at n−1, n, n+1;
//! `quotas` bounds over time; `stances` what a violation leads to, and the cap; `words` what people and programs are told;
//! `properties` what holds for any body.

mod bodies;
mod keys;
mod limits;
mod properties;
mod quotas;
mod stances;
mod support;
mod words;
