//! Who else is attached where Sallyport attaches.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;

use aya::programs::loaded_programs;

use super::Check;
use super::host::Machine;
use crate::sys::{Attach, attached};

const KINDS: [(&str, Attach); 12] = [
    ("sock_create", Attach::SockCreate),
    ("bind4", Attach::Bind4),
    ("bind6", Attach::Bind6),
    ("connect4", Attach::Connect4),
    ("connect6", Attach::Connect6),
    ("sendmsg4", Attach::Sendmsg4),
    ("sendmsg6", Attach::Sendmsg6),
    ("getpeername4", Attach::Getpeername4),
    ("getpeername6", Attach::Getpeername6),
    ("setsockopt", Attach::Setsockopt),
    ("sock_ops", Attach::SockOps),
    ("egress", Attach::InetEgress),
];

/// Programs at the root cgroup, ours among them. Others run beside ours; one that rewrites connections is worth knowing.
pub(super) fn others(machine: &Machine) -> Check {
    const NAME: &str = "cgroup-programs";
    if !machine.privileged {
        return Check::skipped(NAME, "needs root");
    }
    let Some(root) = machine.cgroup2() else {
        return Check::skipped(NAME, "no cgroup v2");
    };
    let root = match File::open(&root) {
        Ok(root) => root,
        Err(error) => return Check::warn(NAME, format!("cannot open {}: {error}", root.display()), "be root"),
    };
    let names: HashMap<u32, String> = loaded_programs()
        .filter_map(Result::ok)
        .map(|program| (program.id(), program.name_as_str().unwrap_or("?").to_owned()))
        .collect();
    let mut found = Vec::new();
    for (hook, kind) in KINDS {
        match attached(root.as_fd(), kind) {
            Ok(ids) => found.extend(ids.iter().map(|id| {
                let name = names.get(id).map_or("?", String::as_str);
                format!("{hook}: {name} ({id})")
            })),
            Err(error) => {
                return Check::fail(NAME, format!("cannot ask the kernel about {hook}: {error}"), "see above");
            }
        }
    }
    if found.is_empty() {
        return Check::ok(NAME, "none attached at the root");
    }
    Check::ok(NAME, format!("attached at the root:\n{}", found.join("\n")))
}
