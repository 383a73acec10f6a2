//! A length of time: whatever is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::config::{duration, in_words};

fuzz_target!(|text: &str| {
    if let Ok(length) = duration(text) {
        assert_eq!(duration(&in_words(length)), Ok(length));
    }
});
