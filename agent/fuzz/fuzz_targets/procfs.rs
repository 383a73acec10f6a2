//! What a process may write into its own `/proc` files: fields cannot be forged, arguments keep their number, and a
//! name made of any bytes is a valid SPIFFE ID that leads back to them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::identity::{Placement, SpiffeId, TrustDomain, procfs, redact, unescape_segment};

fuzz_target!(|bytes: &[u8]| {
    let _ = (procfs::status(bytes), procfs::id(bytes));
    if let Some(stat) = procfs::stat(bytes) {
        // The same fields behind any command name are the same process.
        let (pid, state, ppid) = (stat.pid, char::from(stat.state), stat.ppid);
        let mut again = format!("{pid} (").into_bytes();
        again.extend_from_slice(bytes);
        let rest = "0 ".repeat(17);
        again.extend_from_slice(format!(") {state} {ppid} {rest}{} 0\n", stat.start_ticks).as_bytes());
        assert_eq!(procfs::stat(&again), Some(stat));
    }
    if let Some(path) = procfs::cgroup(bytes) {
        let unit = Placement::of(path).unit;
        assert!(unit.is_none_or(|unit| path.contains(&unit)));
    }
    let args: Vec<String> =
        procfs::cmdline(bytes).into_iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    assert_eq!(redact(args.clone()).len(), args.len());
    if let Ok(domain) = TrustDomain::new("example.org")
        && let Ok(id) = SpiffeId::new(&domain, [bytes])
    {
        assert_eq!(SpiffeId::parse(id.as_str()).as_ref(), Ok(&id));
        assert_eq!(unescape_segment(id.path().trim_start_matches('/')), bytes);
    }
});
