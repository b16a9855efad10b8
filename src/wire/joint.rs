//! Small parts of a message, written as one.
//!
//! A head and a small body are copied together for less than the system takes to gather them. Large ones are not.

use std::cell::RefCell;
use std::io::IoSlice;

/// The most bytes that are copied.
const MOST: usize = 16 * 1024;

thread_local! {
    /// One for all sockets of a thread: it is only used within a write.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is to be written.
#[derive(Debug)]
pub enum Joint<'p> {
    /// All of it, as one.
    Whole(&'p [u8]),
    /// Its parts, as they are.
    Apart(&'p [IoSlice<'p>]),
}

/// Has `parts` written by `write`, small ones as one.
pub fn write_joined<T>(parts: &[IoSlice<'_>], write: impl FnOnce(Joint<'_>) -> T) -> T {
    if let [part] = parts {
        return write(Joint::Whole(part));
    }
    if parts.iter().map(|part| part.len()).sum::<usize>() > MOST {
        return write(Joint::Apart(parts));
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        for part in parts {
            scratch.extend_from_slice(part);
        }
        write(Joint::Whole(scratch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[usize], is_whole: bool) {
        let texts: Vec<Vec<u8>> = (b'a'..).zip(parts).map(|(byte, length)| vec![byte; *length]).collect();
        let slices: Vec<IoSlice<'_>> = texts.iter().map(|text| IoSlice::new(text)).collect();
        let (whole, bytes) = write_joined(&slices, |joint| match joint {
            Joint::Whole(bytes) => (true, bytes.to_vec()),
            Joint::Apart(parts) => (false, parts.iter().flat_map(|part| part.iter().copied()).collect()),
        });
        assert_eq!((whole, bytes), (is_whole, texts.concat()), "{parts:?}");
    }

    #[test]
    fn small_parts_are_one() {
        check(&[], true);
        check(&[3], true);
        check(&[MOST + 1], true);
        check(&[3, 0, 4], true);
        check(&[1, 2], true);
        check(&[MOST - 1, 1], true);
        check(&[MOST, 1], false);
    }
}
