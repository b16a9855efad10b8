//! The rules. Pure: bytes in, verdict out. Leaves statuses to `proxy`, the file's shape to `config`.

pub mod enforcement;
pub mod limits;
pub mod namespace;
pub mod verdict;

pub use enforcement::{Enforcement, Stances};
pub use limits::{Bound, Limits};
pub use namespace::Applications;
pub use verdict::{Charge, Rule, Verdict, Violation, Violations};
