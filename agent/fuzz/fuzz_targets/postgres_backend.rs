//! What a PostgreSQL server sends: any bytes are read within their limits, what is read is written back as it came, cells
//! of any type are read or refused, and a session with something outstanding takes the answers or refuses them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::{
    Backend, Frame, Framer, Frontend, Limits, Startup,
    auth::Authentication,
    session::{Room, Session, Turn},
    value,
};

/// Requests of every kind, so that any answer may be right.
const ASKED: &[u8] = b"P\0\0\0\x08\0\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04Q\0\0\0\x06x\0";

fn outstanding() -> Session {
    let mut session = Session::new(Room::default());
    let Ok(Startup::Start(start)) = Startup::decode(b"\0\x03\0\0user\0ada\0\0") else { unreachable!("it is one") };
    session.start(&start).expect("it is the first");
    assert!(session.backend(&Backend::Authentication(Authentication::Ok)).is_ok());
    let mut framer = Framer::frontend(Limits::default());
    assert!(matches!(framer.next(b"\0\0\0\x12\0\x03\0\0user\0ada\0\0"), Ok(Some(_))));
    framer.open();
    let mut rest = ASKED;
    while let Ok(Some(Frame::Message { tag, body, bytes })) = framer.next(rest) {
        let message = Frontend::decode(tag, body).expect("it is well-formed");
        if let Ok(Turn::Ask(asked)) = session.frontend(message) {
            assert!(session.pass(asked, &[]).is_ok());
        }
        rest = &rest[bytes.len()..];
    }
    assert!(rest.is_empty());
    session
}

fuzz_target!(|bytes: &[u8]| {
    let mut framer = Framer::backend(Limits::default());
    let mut session = Some(outstanding());
    let mut rest = bytes;
    let (hopped, _) = framer.rows(bytes, b'D');
    assert!(hopped <= bytes.len());
    while let Ok(Some(frame)) = framer.next(rest) {
        let (all, next) = rest.split_at(frame.consumed());
        rest = next;
        let Frame::Message { tag, body, .. } = frame else { unreachable!("nothing was to be handed out in pieces") };
        let Ok(message) = Backend::decode(tag, body) else { return };
        let mut written = Vec::new();
        message.encode(&mut written);
        assert_eq!(written, all);
        if let Backend::Row(row) = message {
            // The first cell says what type the second is of.
            let cells: Vec<_> = row.cells().collect();
            if let [Some([a, b, ..]), Some(cell), ..] = cells[..] {
                let oid = u32::from(u16::from_be_bytes([*a, *b]));
                if let Ok(text) = value::to_text(oid, cell) {
                    // What was read once is read again as the same.
                    if let Ok(binary) = value::from_text(oid, text.as_bytes()) {
                        assert_eq!(value::to_text(oid, &binary).as_deref(), Ok(&*text));
                    }
                }
            }
        }
        if session.as_mut().is_some_and(|session| session.backend(&message).is_err()) {
            session = None;
        }
    }
});
