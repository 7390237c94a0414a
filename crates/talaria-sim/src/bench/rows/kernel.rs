//! What the kernel holds for the connections of this machine.

use std::fs;

/// The length of a page on the platforms that have `/proc`, in bytes.
const PAGE: u64 = 4096;

/// The kernel's memory in bytes: its small objects, of which a connection is a dozen (`Slab` of `/proc/meminfo`), and the buffers of
/// TCP (`mem` of `/proc/net/sockstat`). None if it does not say.
///
/// It is of the whole machine: other processes blur it, and both ends of a connection that does not leave the machine are in it.
pub(super) fn memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
    parse(&meminfo, &sockstat)
}

fn parse(meminfo: &str, sockstat: &str) -> Option<u64> {
    let slab = meminfo.lines().find_map(|line| line.strip_prefix("Slab:"))?;
    let slab: u64 = slab.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()?;
    Some(slab * 1024 + pages * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_objects_and_buffers_are_added() {
        let meminfo = "MemTotal:  16 kB\nSlab:            10 kB\nSReclaimable: 4 kB\n";
        let sockstat =
            "sockets: used 20\nTCP: inuse 1 orphan 0 tw 1129 alloc 1 mem 225\nUDP: inuse 0 mem 7\n";
        assert_eq!(parse(meminfo, sockstat), Some(10 * 1024 + 225 * 4096));
        assert_eq!(parse(meminfo, ""), None);
    }
}
