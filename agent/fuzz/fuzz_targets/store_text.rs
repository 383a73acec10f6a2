//! Text of strangers in the store: what was written is what is read, and no text is taken for a query.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::record::{EventKind, EventRecord, Filter, Recorder, Store, Timestamps};

struct Open {
    runtime: tokio::runtime::Runtime,
    recorder: Recorder,
    store: Store,
}

fn open() -> Open {
    let directory = std::env::temp_dir().join(format!("sallyport-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let recorder = Recorder::open(&directory).unwrap();
    let store = Store::open_read_only(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A fuzzer ends without dropping anything: whoever runs it removes the directory for temporary files.
    Open { runtime, recorder, store }
}

thread_local! {
    // One store for all inputs: a fuzzer's thread tries some thousands a second.
    static OPEN: Open = open();
}

fuzz_target!(|text: &str| OPEN.with(|open| hold(open, text)));

fn hold(open: &Open, text: &str) {
    let event = EventRecord {
        scope: Some(text.to_owned()),
        detail: Some(text.to_owned()),
        ..EventRecord::new(EventKind::Refused, Timestamps::default())
    };
    open.runtime.block_on(open.recorder.event(event)).unwrap();
    let newest = Filter { limit: Some(1), ..Filter::default() };
    let rows = open.store.events(&newest).unwrap();
    assert_eq!(rows[0].detail.as_deref(), Some(text));
    assert_eq!(rows[0].scope.as_deref(), Some(text));
    let anything =
        Filter { unit: Some(text.to_owned()), user: Some(text.to_owned()), target: Some(text.to_owned()), ..newest };
    assert!(open.store.list(&anything).unwrap().is_empty());
    assert!(open.store.show(text).is_err());
}
