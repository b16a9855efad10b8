//! What each command of the program does: one function for each.
//!
//! With `main`, the only place that prints and that may give up with any error. Leaves arguments to
//! `arguments`, and everything that is tested through the library to the library.

pub(crate) mod arguments;
pub(crate) mod check;
pub(crate) mod console;
pub(crate) mod serve;
