//! What single steps of an exchange take: those that are pure, so that nothing but the code is timed.
//!
//! `cargo bench --bench steps -- [FILTER]`. `review` the verdict on a body; `request` heads, targets, routes and
//! header fields; `answer` what is written and read in answers. `cargo test` runs each once. Figures are of the
//! machine; `benches/instructions` counts what is the same on all.

#![allow(clippy::unwrap_used, reason = "a bench fails aloud")]

mod answer;
mod bodies;
mod proxy;
mod request;
mod review;

// The source that `proxy` compiles once more finds these under the names it uses.
use karbor_admission::{karbor, wire};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}
