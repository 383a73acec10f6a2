//! What a PostgreSQL client sends: any bytes are read within their limits, the same however they are cut; what is read is
//! written back as it came; and a session takes it or refuses it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::protocol::postgres::{
    Frame, Framer, Frontend, Limits, Startup,
    notice::Fields,
    session::{Room, Session, Turn},
};

fuzz_target!(|bytes: &[u8]| {
    let mut framer = Framer::frontend(Limits::default());
    let mut session = Session::new(Room::default());
    let (mut client, mut server, mut rest) = (Vec::new(), Vec::new(), bytes);
    while let Ok(Some(frame)) = framer.next(rest) {
        let (all, next) = rest.split_at(frame.consumed());
        rest = next;
        let mut written = Vec::new();
        match frame {
            Frame::Packet(body) => {
                let Ok(packet) = Startup::decode(body) else { return };
                packet.encode(&mut written);
                framer.answered();
                if let Startup::Start(start) = packet {
                    session.start(&start).expect("there is one startup message");
                    let ok = sallyport::protocol::postgres::auth::Authentication::Ok;
                    let answer = session.backend(&sallyport::protocol::postgres::Backend::Authentication(ok));
                    assert!(answer.is_ok());
                    framer.open();
                }
            }
            Frame::Message { tag, body, .. } => {
                let Ok(message) = Frontend::decode(tag, body) else { return };
                message.encode(&mut written);
                match session.frontend(message) {
                    Ok(Turn::Ask(asked)) if body.len() % 3 == 0 => {
                        session.deny(asked, &Fields::denied("no")).expect("it is its turn");
                    }
                    Ok(Turn::Ask(asked)) => drop(session.pass(asked, &[]).expect("it is its turn")),
                    Ok(Turn::Pass(_) | Turn::Drop | Turn::Wait) => {}
                    Err(_) => return,
                }
                session.inject(&mut client, &mut server);
            }
            Frame::Begin { .. } | Frame::Piece { .. } => unreachable!("nothing was to be handed out in pieces"),
        }
        assert_eq!(written, all);
    }
});
