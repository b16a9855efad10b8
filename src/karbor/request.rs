//! Strict JSON of create and update bodies. Pure. See the numbered rules in the documentation below.
