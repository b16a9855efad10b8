//! Arguments to one function each; exit code.

fn main() {}
