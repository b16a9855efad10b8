//! How much memory this process may have: the smallest limit of its control groups, or what the machine has.
//!
//! Leaves what is done with it to `memory`.

use std::fmt;
use std::fs;
use std::path::Path;

/// Where control groups are: all of version 2, or those for memory of version 1.
const UNIFIED: &str = "/sys/fs/cgroup";
const FOR_MEMORY: &str = "/sys/fs/cgroup/memory";

/// A bound on the memory of this process, and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes.
    pub bytes: u64,
    /// The file that says so, and the control group that it is of.
    pub source: Box<str>,
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB ({})", self.bytes >> 20, self.source)
    }
}

/// The bound on this process, if the system tells.
pub(in crate::config) fn find() -> Option<MemoryLimit> {
    smallest(|path| fs::read_to_string(path).ok())
}

/// The smallest of all bounds in the files that `read` knows.
fn smallest(read: impl Fn(&Path) -> Option<String>) -> Option<MemoryLimit> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(place).flat_map(|(root, file, group)| {
        // A container sees paths of its host there, and its own group at the root.
        let upwards = Path::new(group).ancestors().map(Path::to_owned);
        let read = &read;
        upwards.filter_map(move |at| {
            let folder = Path::new(root).join(at.strip_prefix("/").ok()?);
            let bytes = bytes(&read(&folder.join(file))?)?;
            Some(MemoryLimit { bytes, source: format!("{file} of {}", at.display()).into() })
        })
    });
    let machine = read(Path::new("/proc/meminfo")).as_deref().and_then(total);
    let machine = machine.map(|bytes| MemoryLimit { bytes, source: "MemTotal".into() });
    // The first of equal ones: the control group's own before those around it, and all before the machine.
    of_groups.chain(machine).min_by_key(|limit| limit.bytes)
}

/// Where a line of `/proc/self/cgroup` leads, if it is about memory.
fn place(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let (_number, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    if controllers.is_empty() {
        return Some((UNIFIED, "memory.max", group));
    }
    let is_for_memory = controllers.split(',').any(|controller| controller == "memory");
    is_for_memory.then_some((FOR_MEMORY, "memory.limit_in_bytes", group))
}

/// A number alone on its line. `max` is no bound.
fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// What `/proc/meminfo` says that there is.
fn total(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"))?;
    kib.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: Option<(u64, &str)>) {
        let read = |path: &Path| {
            let known = files.iter().find(|(name, _)| Path::new(name) == path);
            known.map(|(_, text)| (*text).to_owned())
        };
        let found = smallest(read);
        let found = found.as_ref().map(|limit| (limit.bytes, &*limit.source));
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn version_2() {
        let own = ("/proc/self/cgroup", "0::/system.slice/k.service\n");
        let at = |bytes| ("/sys/fs/cgroup/system.slice/k.service/memory.max", bytes);
        let around = |bytes| ("/sys/fs/cgroup/system.slice/memory.max", bytes);
        check(&[own, at("1073741824\n"), MACHINE], Some((1 << 30, "memory.max of /system.slice/k.service")));
        check(&[own, at("max\n"), MACHINE], Some((8 << 30, "MemTotal")));
        check(&[own, at("max\n"), around("1000\n"), MACHINE], Some((1000, "memory.max of /system.slice")));
        check(&[own, at("2000\n"), around("1000\n")], Some((1000, "memory.max of /system.slice")));
        check(&[own, at("1000\n"), around("1000\n")], Some((1000, "memory.max of /system.slice/k.service")));
        check(&[own, at("18446744073709551615\n"), MACHINE], Some((8 << 30, "MemTotal")));
        check(&[own, at("-1\n"), at("x"), MACHINE], Some((8 << 30, "MemTotal")));
        // More than the machine has.
        check(&[own, at("99999999999\n"), MACHINE], Some((8 << 30, "MemTotal")));
    }

    #[test]
    fn version_2_in_a_container() {
        let root = ("/sys/fs/cgroup/memory.max", "536870912\n");
        check(&[("/proc/self/cgroup", "0::/\n"), root, MACHINE], Some((512 << 20, "memory.max of /")));
        let outside = ("/proc/self/cgroup", "0::/../../other\n");
        check(&[outside, root, MACHINE], Some((512 << 20, "memory.max of /")));
    }

    #[test]
    fn version_1() {
        let own = ("/proc/self/cgroup", "12:cpu,cpuacct:/a\n11:memory:/docker/c\n0::/a\n");
        let none = "9223372036854771712\n";
        let at = |bytes| ("/sys/fs/cgroup/memory/docker/c/memory.limit_in_bytes", bytes);
        let root = |bytes| ("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes);
        check(&[own, at("4096\n"), root(none), MACHINE], Some((4096, "memory.limit_in_bytes of /docker/c")));
        check(&[own, at(none), root(none), MACHINE], Some((8 << 30, "MemTotal")));
        // As a container without a name space of its own sees it.
        check(&[own, root("4096\n"), MACHINE], Some((4096, "memory.limit_in_bytes of /")));
        let both = ("/proc/self/cgroup", "3:cpu,memory:/x\n");
        let there = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "77\n");
        check(&[both, there], Some((77, "memory.limit_in_bytes of /x")));
    }

    #[test]
    fn nothing_to_go_by() {
        check(&[], None);
        check(&[("/proc/self/cgroup", "0::/a\n")], None);
        check(&[("/proc/self/cgroup", "nonsense\n:\n1:memory\n"), MACHINE], Some((8 << 30, "MemTotal")));
        for text in ["", "MemTotal: lots kB\n", "MemTotal: 18446744073709551615 kB\n", "MemTotal: 5\n"] {
            check(&[("/proc/meminfo", text)], None);
        }
    }
}
