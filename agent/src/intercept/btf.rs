//! Offsets of a few kernel structure members, from the running kernel's type information (BTF).
//!
//! Source: `Documentation/bpf/btf.rst` of the kernel. Only structures, unions, modifiers and pointers matter here;
//! the rest is stepped over by size. The input is the kernel's own file, yet every read is bounded.

use sallyport_ebpf::Offsets;

const MAGIC: u16 = 0xeb9f;
/// Anonymous structures nest this deep at most in the ones we look at.
const MAX_NESTING: u32 = 4;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
/// `typedef`, `volatile`, `const`, `restrict`.
const KIND_TYPEDEF: u32 = 8;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_ENUM64: u32 = 19;

/// Reads the offsets the kernel half wants; members this kernel lacks stay zero. `None` when the bytes are not BTF
/// or the structures every process identity rests on are missing.
pub fn offsets(btf: &[u8]) -> Option<Offsets> {
    let types = Types::parse(btf)?;
    let in_task = |member| types.offset("task_struct", member);
    let mut found = Offsets {
        group_leader: in_task("group_leader")?,
        start_boottime: in_task("start_boottime").or_else(|| in_task("real_start_time"))?,
        self_exec_id: in_task("self_exec_id")?,
        tgid: in_task("tgid")?,
        loginuid: in_task("loginuid").unwrap_or(0),
        sessionid: in_task("sessionid").unwrap_or(0),
        ..Offsets::default()
    };
    if let (Some(signal), Some(live)) = (in_task("signal"), types.offset("signal_struct", "live")) {
        (found.signal, found.live) = (signal, live);
    }
    found.lock_owned = types.nested("sock", &["sk_lock", "owned"]).unwrap_or(0);
    let exe = [("mm_struct", "exe_file"), ("file", "f_inode"), ("inode", "i_ino"), ("inode", "i_sb")]
        .map(|(of, member)| types.offset(of, member));
    if let (Some(mm), [Some(exe_file), Some(f_inode), Some(i_ino), Some(i_sb)], Some(s_dev)) =
        (in_task("mm"), exe, types.offset("super_block", "s_dev"))
    {
        (found.mm, found.exe_file, found.f_inode) = (mm, exe_file, f_inode);
        (found.i_ino, found.i_sb, found.s_dev) = (i_ino, i_sb, s_dev);
    }
    Some(found)
}

struct Types<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Start of each type in `bytes`; index 0 is `void`.
    starts: Vec<usize>,
}

impl<'a> Types<'a> {
    fn parse(btf: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(btf.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let header = u32_at(btf, 4)? as usize;
        let section = |offset: usize, len: usize| {
            let start = header.checked_add(u32_at(btf, offset)? as usize)?;
            btf.get(start..start.checked_add(u32_at(btf, len)? as usize)?)
        };
        let bytes = section(8, 12)?;
        let strings = section(16, 20)?;
        let mut starts = vec![0];
        let mut at = 0;
        while at < bytes.len() {
            starts.push(at);
            at = at.checked_add(12)?.checked_add(tail(u32_at(bytes, at + 4)?)?)?;
        }
        Some(Self { bytes, strings, starts })
    }

    /// Byte offset of a member, looked for inside anonymous members too.
    fn offset(&self, of: &str, member: &str) -> Option<u32> {
        self.nested(of, &[member])
    }

    /// Byte offset of a member of a member.
    fn nested(&self, of: &str, path: &[&str]) -> Option<u32> {
        let found = self.starts.iter().skip(1).find(|at| {
            let info = u32_at(self.bytes, **at + 4).unwrap_or(0);
            kind(info) == KIND_STRUCT && vlen(info) > 0 && self.name(u32_at(self.bytes, **at)) == Some(of.as_bytes())
        })?;
        let (mut at, mut offset) = (*found, 0_u32);
        for step in path {
            let (inner, holds) = self.member(self.resolved(at)?, step, MAX_NESTING)?;
            offset = offset.checked_add(inner)?;
            at = holds;
        }
        Some(offset)
    }

    /// The type itself, behind its names and qualifiers.
    fn resolved(&self, mut at: usize) -> Option<usize> {
        for _ in 0..MAX_NESTING {
            if !matches!(kind(u32_at(self.bytes, at + 4)?), KIND_TYPEDEF..=KIND_RESTRICT) {
                break;
            }
            at = *self.starts.get(u32_at(self.bytes, at + 8)? as usize)?;
        }
        Some(at)
    }

    /// Offset of a member, and where its type starts.
    fn member(&self, at: usize, wanted: &str, nesting: u32) -> Option<(u32, usize)> {
        let info = u32_at(self.bytes, at + 4)?;
        if !matches!(kind(info), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        // With the kind flag set, the upper byte of a member's offset is its bit-field size.
        let mask = if info >> 31 == 1 { 0x00ff_ffff } else { u32::MAX };
        for index in 0..vlen(info) as usize {
            let entry = at + 12 + index * 12;
            let name = self.name(u32_at(self.bytes, entry))?;
            let bits = u32_at(self.bytes, entry + 8)? & mask;
            let holds = *self.starts.get(u32_at(self.bytes, entry + 4)? as usize)?;
            if name == wanted.as_bytes() {
                return Some((bits / 8, holds));
            }
            if name.is_empty()
                && nesting > 0
                && let Some((offset, found)) = self.member(holds, wanted, nesting - 1)
            {
                return Some((offset.checked_add(bits / 8)?, found));
            }
        }
        None
    }

    fn name(&self, offset: Option<u32>) -> Option<&'a [u8]> {
        self.strings.get(offset? as usize..)?.split(|byte| *byte == 0).next()
    }
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn vlen(info: u32) -> u32 {
    info & 0xffff
}

/// Length of what follows a type's twelve common bytes.
fn tail(info: u32) -> Option<usize> {
    let n = vlen(info) as usize;
    Some(match kind(info) {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => n * 12,
        KIND_ENUM | KIND_FUNC_PROTO => n * 8,
        // Pointers, modifiers, forwards, functions, floats, type tags: nothing follows.
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_what_identity_needs() {
        let btf = std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF");
        let found = offsets(&btf).expect("task_struct is described");
        assert_ne!(found.group_leader, 0);
        assert_ne!(found.exe_file, 0);
        assert_ne!(found.live, found.signal);
        assert_ne!(found.lock_owned, 0);
    }

    #[test]
    fn truncated_type_information_is_refused_not_read_past() {
        let btf = std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF");
        for cut in [0, 1, 7, 23, 24, 100, btf.len() / 2] {
            assert_eq!(offsets(&btf[..cut]), None, "cut at {cut}");
        }
    }
}
