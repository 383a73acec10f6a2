//! The kernel half: programs attached at the cgroup v2 root. Built for `bpfel-unknown-none`; empty elsewhere.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}
