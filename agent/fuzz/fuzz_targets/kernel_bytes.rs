//! What the kernel hands over: type information, socket tables, events. Any bytes are read within their bounds, and
//! an event that is read is exactly the bytes it was read from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::{
    intercept::{btf, sockdiag},
    sys,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = btf::offsets(bytes);
    if let Some(entry) = sockdiag::parse(bytes, 6) {
        assert!(bytes.len() >= 72);
        assert_eq!(entry.state, bytes[1]);
    }
    if let Some(event) = sys::event(bytes) {
        assert_eq!(sys::bytes_of(&event), bytes);
    }
});
