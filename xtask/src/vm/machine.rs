//! The machine itself: emulated, without a network, on disks it cannot change, for a limited time.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Result;

use super::image::Image;
use crate::process::{target, watch};

/// Two minutes on an idle machine.
const SECONDS: &str = "900";

/// `bpf` is not in Debian's own list.
const COMMAND_LINE: &str = "console=ttyS0 root=/dev/vda rw quiet lsm=lockdown,yama,integrity,apparmor,bpf";

/// Boots, hands every line of the second serial line to `see`, and returns when the machine is off.
pub(super) fn boot(image: &Image, payload: &Path, see: impl FnMut(&str)) -> Result<ExitStatus> {
    let drive = |path: &Path, more: &str| format!("file={},if=virtio,format=raw,{more}", path.display());
    let mut machine = Command::new("timeout");
    machine
        .args(["--kill-after=5", SECONDS, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"])
        .args(["-m", "1024", "-smp", "2", "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.initrd)
        .args(["-append", COMMAND_LINE])
        .args(["-drive", &drive(&image.disk, "snapshot=on")])
        .args(["-drive", &drive(payload, "readonly=on")])
        .args(["-serial", &format!("file:{}", console().display()), "-serial", "stdio"])
        .stdin(Stdio::null());
    watch(&mut machine, see)
}

/// What the machine's kernel and boot said.
pub(super) fn console() -> PathBuf {
    target("vm/console.log")
}
