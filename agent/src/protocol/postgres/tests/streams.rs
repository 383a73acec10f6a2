//! Framing: the same messages however the stream is cut, and limits that hold.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::copy::put_copy_data;
use super::super::error::ProtocolError;
use super::super::frame::{Bulk, Frame, Framer, Limits};
use super::super::rows::put_row;
use super::super::startup::Startup;
use super::messages::{backend, frontend, start};

/// A message's type and body; packets have type 0.
type Whole = (u8, Vec<u8>);

/// Reads a stream that arrives in pieces of these lengths, over and over.
pub(super) fn read(framer: &mut Framer, stream: &[u8], cuts: &[usize]) -> Result<Vec<Whole>, ProtocolError> {
    let (mut found, mut buffer, mut open) = (Vec::<Whole>::new(), Vec::new(), false);
    let mut cuts = cuts.iter().copied().filter(|cut| *cut > 0).cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let (arrived, more) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        buffer.extend_from_slice(arrived);
        rest = more;
        loop {
            let enough = framer.wanted() <= buffer.len();
            let Some(frame) = framer.next(&buffer)? else { break };
            assert!(enough || matches!(frame, Frame::Begin { .. }), "it wanted more than it needed");
            let consumed = frame.consumed();
            match frame {
                Frame::Packet(body) => {
                    found.push((0, body.to_vec()));
                    framer.open();
                }
                Frame::Message { tag, body, bytes } => {
                    assert_eq!(bytes.len(), body.len() + 5);
                    found.push((tag, body.to_vec()));
                }
                Frame::Begin { tag, .. } => {
                    found.push((tag, Vec::new()));
                    open = true;
                }
                Frame::Piece { bytes, last } => {
                    assert!(open && !bytes.is_empty());
                    found.last_mut().unwrap().1.extend_from_slice(bytes);
                    open = !last;
                }
            }
            assert_eq!(framer.between_messages(), !open);
            buffer.drain(..consumed);
        }
    }
    assert!(buffer.is_empty() || framer.wanted() > buffer.len());
    Ok(found)
}

fn split(messages: &[Vec<u8>]) -> Vec<Whole> {
    messages.iter().map(|bytes| (bytes[0], bytes[5..].to_vec())).collect()
}

fn bulk() -> impl Strategy<Value = Bulk> {
    prop_oneof![Just(Bulk::Whole), Just(Bulk::Pieces)]
}

proptest! {
    #[test]
    fn a_clients_stream_is_the_same_however_cut(
        start in start(),
        messages in vec(frontend(), 0..8),
        cuts in vec(1..40_usize, 1..6),
        bulk in bulk(),
    ) {
        let mut framer = Framer::frontend(Limits::default());
        framer.deliver(bulk);
        let stream = [start.clone(), messages.concat()].concat();
        let found = read(&mut framer, &stream, &cuts).unwrap();
        let (first, rest) = found.split_first().unwrap();
        prop_assert_eq!(&first.1, &start[4..]);
        prop_assert_eq!(rest, split(&messages));
    }

    #[test]
    fn a_servers_stream_is_the_same_however_cut(messages in vec(backend(), 0..12), cuts in vec(1..40_usize, 1..6), bulk in bulk()) {
        let mut framer = Framer::backend(Limits::default());
        framer.deliver(bulk);
        prop_assert_eq!(read(&mut framer, &messages.concat(), &cuts).unwrap(), split(&messages));
    }

    #[test]
    fn any_bytes_are_messages_or_refused(bytes in vec(any::<u8>(), 0..200), cuts in vec(1..20_usize, 1..4), typed in any::<bool>()) {
        let mut framer = if typed { Framer::backend(Limits::default()) } else { Framer::frontend(Limits::default()) };
        let whole = read(&mut framer.clone(), &bytes, &[]);
        let cut = read(&mut framer, &bytes, &cuts);
        // An error is the same error however late it shows.
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn rows_are_hopped_over(rows in vec(vec(proptest::option::of(vec(any::<u8>(), 0..30)), 0..4), 0..20), cut in any::<prop::sample::Index>()) {
        let (mut stream, mut ends) = (Vec::new(), vec![0]);
        for row in &rows {
            put_row(&mut stream, row.iter().map(Option::as_deref));
            ends.push(stream.len());
        }
        let at = cut.index(stream.len() + 1);
        let whole = ends.iter().rposition(|end| *end <= at).unwrap();
        let mut framer = Framer::backend(Limits::default());
        prop_assert_eq!(framer.rows(&stream[..at], b'D'), (ends[whole], whole as u64));
    }
}

fn refused(framer: &mut Framer, bytes: &[u8]) -> ProtocolError {
    framer.next(bytes).expect_err("it is refused")
}

fn open() -> Framer {
    let mut framer = Framer::frontend(Limits { request: 1000, row: 2000, answer: 3000 });
    let start = [&[0, 0, 0, 18, 0, 3, 0, 0][..], b"user\0ada\0\0"].concat();
    assert!(matches!(framer.next(&start), Ok(Some(Frame::Packet(_)))));
    framer.open();
    framer
}

/// A header with this length, of which nothing follows.
fn header(tag: u8, length: u32) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes()].concat()
}

#[test]
fn lengths_are_limited_before_anything_is_kept() {
    for (tag, most) in
        [(b'Q', 1000), (b'P', 1000), (b'B', 1000), (b'F', 1000), (b'd', 2000), (b'E', 10_000), (b'S', 4), (b'X', 4)]
    {
        assert_eq!(open().next(&header(tag, most)).map(|frame| frame.is_some()), Ok(most == 4), "{}", char::from(tag));
        for length in [most + 1, 0x3FFF_FFFF, u32::MAX, 3, 0] {
            assert_eq!(refused(&mut open(), &header(tag, length)), ProtocolError::Length { kind: tag, length });
        }
    }
    let limits = Limits { request: 1000, row: 2000, answer: 3000 };
    for (tag, most) in [(b'D', 2000), (b'd', 2000), (b'V', 2000), (b'T', 3000), (b'E', 3000), (b'Z', 5), (b'1', 4)] {
        let mut framer = Framer::backend(limits);
        assert!(framer.next(&header(tag, most)).is_ok(), "{}", char::from(tag));
        assert_eq!(refused(&mut framer, &header(tag, most + 1)), ProtocolError::Length { kind: tag, length: most + 1 });
    }
}

#[test]
fn long_rows_pass_in_pieces_if_nobody_looks() {
    let mut framer = Framer::backend(Limits { row: 2000, ..Limits::default() });
    framer.deliver(Bulk::Pieces);
    let bytes = header(b'D', 0x3FFF_FFFE);
    assert_eq!(framer.next(&bytes), Ok(Some(Frame::Begin { tag: b'D', length: 0x3FFF_FFFA, bytes: &bytes })));
    assert_eq!(framer.next(b""), Ok(None));
    assert_eq!(framer.next(b"abc"), Ok(Some(Frame::Piece { bytes: b"abc", last: false })));
    assert_eq!(framer.rows(&header(b'D', 4), b'D'), (0, 0), "not inside another row");
    let mut framer = Framer::backend(Limits::default());
    framer.deliver(Bulk::Pieces);
    assert!(framer.next(&header(b'D', 0x3FFF_FFFF)).is_err());
}

#[test]
fn types_of_the_other_side_are_refused() {
    for tag in [b'R', b'Z', b'T', b'A', 0, b'x', 0xFF] {
        assert_eq!(refused(&mut open(), &[tag]), ProtocolError::UnknownType(tag));
    }
    for tag in [b'Q', b'P', b'B', b'p', b'X', b'F', 0] {
        assert_eq!(refused(&mut Framer::backend(Limits::default()), &[tag]), ProtocolError::UnknownType(tag));
    }
}

#[test]
fn only_passwords_come_before_authentication() {
    let start = [&[0, 0, 0, 18, 0, 3, 0, 0][..], b"user\0ada\0\0"].concat();
    let mut framer = Framer::frontend(Limits::default());
    framer.next(&start).unwrap();
    assert!(matches!(refused(&mut framer, b"Q"), ProtocolError::Unexpected { kind: b'Q', .. }));
    assert_eq!(framer.next(&header(b'p', 65_535)), Ok(None));
    assert_eq!(refused(&mut framer, &header(b'p', 65_536)), ProtocolError::Length { kind: b'p', length: 65_536 });
}

#[test]
fn nothing_follows_a_request_for_encryption_or_cancellation() {
    let mut tls = Vec::new();
    Startup::Tls.encode(&mut tls);
    let mut framer = Framer::frontend(Limits::default());
    assert_eq!(refused(&mut framer, &[&tls[..], b"x"].concat()), ProtocolError::ClearText);
    assert!(framer.next(&tls).unwrap().is_some());
    assert_eq!(refused(&mut framer, b"x"), ProtocolError::ClearText);
    framer.answered();
    assert!(framer.next(&tls).unwrap().is_some());
    let cancel = [&[0, 0, 0, 16, 4, 210, 22, 46][..], &[0; 8]].concat();
    let mut framer = Framer::frontend(Limits::default());
    assert!(framer.next(&cancel).unwrap().is_some());
    assert_eq!(framer.next(b""), Ok(None));
    assert!(framer.next(b"x").is_err());
}

#[test]
fn packets_are_no_longer_than_a_server_reads() {
    for (length, good) in [(7_u32, false), (8, true), (10_004, true), (10_005, false), (u32::MAX, false)] {
        let mut framer = Framer::frontend(Limits::default());
        assert_eq!(framer.next(&length.to_be_bytes()).is_ok(), good, "{length}");
    }
    let mut framer = Framer::frontend(Limits::default());
    let old = [0, 0, 0, 8, 0, 2, 0, 0];
    assert_eq!(refused(&mut framer, &old), ProtocolError::Version { major: 2, minor: 0 });
}

#[test]
fn runs_of_rows_end_at_anything_else() {
    let mut stream = Vec::new();
    put_row(&mut stream, [Some(&b"a"[..])].into_iter());
    let one = stream.len();
    put_copy_data(&mut stream, b"x");
    let mut framer = Framer::backend(Limits::default());
    assert_eq!(framer.rows(&stream, b'D'), (one, 1));
    assert_eq!(framer.rows(&stream[one..], b'd'), (stream.len() - one, 1));
    assert_eq!(framer.rows(&stream, b'T'), (0, 0));
    assert_eq!(framer.rows(&header(b'D', 3), b'D'), (0, 0));
}
