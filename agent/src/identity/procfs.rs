//! Pure parsers for the files of `/proc/PID` (proc(5)), and the bounded reader that feeds them.
//!
//! Bytes in, values out: nothing here reads a clock, opens a file or indexes. A file that is not what the kernel
//! writes is `None`.

use std::io::{self, Read};

/// Clock ticks per second in `/proc`: `USER_HZ` is 100 on every architecture Rust supports.
pub const USER_HZ: u64 = 100;
/// Nanoseconds in one of those ticks; the kernel divides by this, rounding down (`nsec_to_clock_t`).
pub const TICK_NS: u64 = 1_000_000_000 / USER_HZ;

/// Fields of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 1.
    pub pid: u32,
    /// Field 3: `R`, `S`, `Z` and so on.
    pub state: u8,
    /// Field 4: the parent.
    pub ppid: u32,
    /// Field 22: start of the thread group leader, ticks of [`USER_HZ`] since boot.
    pub start_ticks: u64,
}

/// Fields of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Thread group id.
    pub tgid: u32,
    /// Real uid.
    pub uid: u32,
    /// Real gid.
    pub gid: u32,
}

/// Reads `/proc/PID/stat`. The command name may hold anything, `) ` and newlines included: it ends at the last `)`.
#[must_use]
pub fn stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|b| *b == b'(')?;
    let close = bytes.iter().rposition(|b| *b == b')')?;
    if close < open {
        return None;
    }
    let pid = number(bytes.get(..open)?.strip_suffix(b" ")?)?;
    let mut fields = bytes.get(close + 1..)?.strip_prefix(b" ")?.split(|b| *b == b' ');
    let [state] = fields.next()? else { return None };
    let ppid = number(fields.next()?)?;
    // Field 22; the iterator stands before field 5.
    let start_ticks = wide_number(fields.nth(17)?.trim_ascii_end())?;
    Some(Stat { pid, state: *state, ppid, start_ticks })
}

/// Reads `/proc/PID/status`. The kernel escapes newlines in `Name:`, so no line can be forged.
#[must_use]
pub fn status(bytes: &[u8]) -> Option<Status> {
    let field = |name: &[u8]| {
        let line = bytes.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name))?;
        number(line.split(|b| *b == b'\t').find(|f| !f.is_empty())?.trim_ascii())
    };
    Some(Status { tgid: field(b"Tgid:")?, uid: field(b"Uid:")?, gid: field(b"Gid:")? })
}

/// The v2 path in `/proc/PID/cgroup`: the line of hierarchy 0. The kernel refuses newlines in cgroup names.
#[must_use]
pub fn cgroup(bytes: &[u8]) -> Option<&str> {
    let path = bytes.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let path = std::str::from_utf8(path).ok()?;
    path.starts_with('/').then_some(path)
}

/// `/proc/PID/loginuid`, `/proc/PID/sessionid`: one decimal number.
#[must_use]
pub fn id(bytes: &[u8]) -> Option<u32> {
    number(bytes.trim_ascii_end())
}

/// The arguments in `/proc/PID/cmdline`: each ends in NUL, but a process may overwrite them with anything.
#[must_use]
pub fn cmdline(bytes: &[u8]) -> Vec<&[u8]> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|b| *b == 0).collect()
}

/// Reads at most `limit` bytes; the flag says whether there were more.
///
/// # Errors
/// Those of the reader.
pub fn read_bounded(reader: impl Read, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let more = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, more))
}

fn number(digits: &[u8]) -> Option<u32> {
    wide_number(digits).and_then(|n| u32::try_from(n).ok())
}

fn wide_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write_stat(stat: &Stat, comm: &[u8]) -> Vec<u8> {
        let mut out = format!("{} (", stat.pid).into_bytes();
        out.extend_from_slice(comm);
        out.extend_from_slice(format!(") {} {}", char::from(stat.state), stat.ppid).as_bytes());
        out.extend_from_slice(b" 7 7 -1 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0");
        out.extend_from_slice(format!(" {} 1024 2 18446744073709551615 0 0\n", stat.start_ticks).as_bytes());
        out
    }

    #[test]
    fn a_command_name_cannot_forge_the_fields_after_it() {
        let expected = Stat { pid: 42, state: b'S', ppid: 1, start_ticks: 12_345 };
        for comm in ["sleep", ") R 1 1", "a) (b", "\n42 (x) R 1", ")", "(", "", "x ) Z 0 0 0 0"] {
            assert_eq!(stat(&write_stat(&expected, comm.as_bytes())), Some(expected), "{comm:?}");
        }
    }

    #[test]
    fn malformed_files_are_none() {
        for bytes in [&b""[..], b"42", b"42 (sleep", b"42 sleep) S 1", b"42 (sleep) S", b")(", b"x (s) S 1 1"] {
            assert_eq!(stat(bytes), None, "{bytes:?}");
        }
        assert_eq!(status(b"Name:\tx\nUid:\t0\t0\t0\t0\n"), None);
        assert_eq!(cgroup(b"12:cpu:/\n"), None);
        assert_eq!(cgroup(b"0::relative\n"), None);
        assert_eq!(id(b"4294967296"), None);
        assert_eq!(id(b"-1"), None);
    }

    #[test]
    fn the_kernels_own_files_are_read() {
        let text = b"Name:\tUid:\\n7\nTgid:\t42\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\n";
        assert_eq!(status(text), Some(Status { tgid: 42, uid: 1000, gid: 100 }));
        assert_eq!(cgroup(b"4:cpu:/x\n0::/system.slice/cron.service\n"), Some("/system.slice/cron.service"));
        assert_eq!(id(b"4294967295"), Some(u32::MAX));
        assert_eq!(cmdline(b"sh\0-c\0\0"), [&b"sh"[..], b"-c", b""]);
        assert_eq!(cmdline(b"nginx: worker"), [&b"nginx: worker"[..]]);
        assert!(cmdline(b"").is_empty());
        let own = std::fs::read("/proc/self/stat").unwrap();
        assert_eq!(stat(&own).unwrap().pid, std::process::id());
        assert_eq!(status(&std::fs::read("/proc/self/status").unwrap()).unwrap().tgid, std::process::id());
    }

    #[test]
    fn reading_stops_at_the_limit_and_says_so() {
        assert_eq!(read_bounded(&b"abcdef"[..], 4).unwrap(), (b"abcd".to_vec(), true));
        assert_eq!(read_bounded(&b"abcd"[..], 4).unwrap(), (b"abcd".to_vec(), false));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            pid: u32, ppid: u32, start_ticks: u64, state in b'A'..=b'Z',
            comm in proptest::collection::vec(any::<u8>(), 0..16),
        ) {
            let expected = Stat { pid, state, ppid, start_ticks };
            prop_assert_eq!(stat(&write_stat(&expected, &comm)), Some(expected));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = (stat(&bytes), status(&bytes), cgroup(&bytes).map(str::len), id(&bytes));
            let _ = cmdline(&bytes);
        }

        #[test]
        fn near_misses_do_not_panic(text in "[0-9]{0,3} ?\\(?[a-z) (\n]{0,8}\\)? ?[RSZ]?[ 0-9]{0,60}") {
            let _ = stat(text.as_bytes());
        }

        #[test]
        fn arguments_are_split_and_joined_again(args in proptest::collection::vec("[^\0]{0,8}", 1..8)) {
            let mut bytes = args.join("\0").into_bytes();
            bytes.push(0);
            let expected: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
            prop_assert_eq!(cmdline(&bytes), expected);
        }
    }
}
