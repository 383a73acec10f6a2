//! Every message, made of arbitrary parts: what is written is read, and what is read is written back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::auth::{self, Authentication, Mechanisms};
use super::super::copy::{self, Direction};
use super::super::extended::{Execute, Object};
use super::super::function::put_function_result;
use super::super::message::{Backend, Frontend};
use super::super::notice::{Fields, Severity};
use super::super::notify::{KeyData, Notification, Parameter, put_negotiation};
use super::super::query::{Status, Tag, put_query};
use super::super::rows::{Column, put_columns, put_row};
use super::super::startup::{Cancel, Start, Startup};
use super::super::wire::{Format, put_formats, put_oids, put_string, put_values};

/// A string without zero bytes, in any encoding.
fn string() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=255_u8, 0..12)
}

fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    vec(proptest::option::of(vec(any::<u8>(), 0..9)), 0..6)
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Text), Just(Format::Binary)]
}

fn formats() -> impl Strategy<Value = Vec<Format>> {
    vec(format(), 0..4)
}

fn object(kind: bool, name: &[u8]) -> Object<'_> {
    if kind { Object::Statement(name) } else { Object::Portal(name) }
}

/// So many formats as fit so many values.
fn fitting(formats: &[Format], values: usize) -> Vec<Format> {
    if formats.len() <= 1 { formats.to_vec() } else { formats.iter().copied().cycle().take(values).collect() }
}

fn put(tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    super::super::wire::message(&mut out, tag, body);
    out
}

fn made(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn cells(values: &[Option<Vec<u8>>]) -> impl Iterator<Item = Option<&[u8]>> {
    values.iter().map(Option::as_deref)
}

/// A message of a client, as it is on the wire.
pub(super) fn frontend() -> impl Strategy<Value = Vec<u8>> {
    let bind =
        (string(), string(), formats(), values(), formats()).prop_map(|(portal, statement, formats, list, results)| {
            put(b'B', |out| {
                put_string(out, &portal);
                put_string(out, &statement);
                put_formats(out, fitting(&formats, list.len()).into_iter());
                put_values(out, cells(&list));
                put_formats(out, results.into_iter());
            })
        });
    let call = (any::<u32>(), formats(), values(), format()).prop_map(|(function, formats, list, result)| {
        put(b'F', |out| {
            out.extend_from_slice(&function.to_be_bytes());
            put_formats(out, fitting(&formats, list.len()).into_iter());
            put_values(out, cells(&list));
            out.extend_from_slice(&result.code().to_be_bytes());
        })
    });
    let parse = (string(), string(), vec(any::<u32>(), 0..4)).prop_map(|(name, sql, types)| {
        put(b'P', |out| {
            put_string(out, &name);
            put_string(out, &sql);
            put_oids(out, types.into_iter());
        })
    });
    prop_oneof![
        string().prop_map(|sql| made(|out| put_query(out, &sql))),
        parse,
        bind,
        (any::<bool>(), string()).prop_map(|(kind, name)| made(|out| object(kind, &name).describe(out))),
        (any::<bool>(), string()).prop_map(|(kind, name)| made(|out| object(kind, &name).close(out))),
        (string(), any::<i32>())
            .prop_map(|(portal, max_rows)| made(|out| Execute { portal: &portal, max_rows }.encode(out))),
        call,
        vec(any::<u8>(), 0..40).prop_map(|data| made(|out| copy::put_copy_data(out, &data))),
        string().prop_map(|why| made(|out| copy::put_copy_fail(out, &why))),
        prop_oneof![Just(Frontend::Flush), Just(Frontend::Sync), Just(Frontend::CopyDone), Just(Frontend::Terminate)]
            .prop_map(|message| made(|out| message.encode(out))),
    ]
}

/// A client's answer to an authentication request.
fn secret() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        string().prop_map(|password| made(|out| auth::put_password(out, &password))),
        (string(), proptest::option::of(vec(any::<u8>(), 0..9)))
            .prop_map(|(name, data)| made(|out| auth::put_sasl_initial(out, &name, data.as_deref()))),
        vec(any::<u8>(), 0..40).prop_map(|data| made(|out| auth::put_sasl(out, &data))),
    ]
}

fn column() -> impl Strategy<Value = (Vec<u8>, u32, i16, u32, i16, i32, Format)> {
    (string(), any::<u32>(), any::<i16>(), any::<u32>(), any::<i16>(), any::<i32>(), format())
}

fn authentication() -> impl Strategy<Value = Vec<u8>> {
    let data = vec(any::<u8>(), 0..20);
    prop_oneof![
        prop_oneof![
            Just(Authentication::Ok),
            Just(Authentication::Kerberos),
            Just(Authentication::Cleartext),
            Just(Authentication::Gss),
            Just(Authentication::Sspi),
        ]
        .prop_map(|message| made(|out| message.encode(out))),
        any::<[u8; 4]>().prop_map(|salt| made(|out| Authentication::Md5(salt).encode(out))),
        (0..3, data).prop_map(|(kind, data)| made(|out| match kind {
            0 => Authentication::GssContinue(&data).encode(out),
            1 => Authentication::SaslContinue(&data).encode(out),
            _ => Authentication::SaslFinal(&data).encode(out),
        })),
        vec("[A-Z]{1,9}", 0..3).prop_map(|names| {
            let mut kept = Vec::new();
            let names = Mechanisms::new(names.iter().map(String::as_bytes), &mut kept).unwrap();
            made(|out| Authentication::Sasl(names).encode(out))
        }),
    ]
}

/// A message of a server, as it is on the wire.
pub(super) fn backend() -> impl Strategy<Value = Vec<u8>> {
    let columns = vec(column(), 0..4).prop_map(|list| {
        let columns: Vec<_> = list
            .iter()
            .map(|(name, table, attribute, kind, size, modifier, format)| Column {
                name,
                table: *table,
                attribute: *attribute,
                kind: *kind,
                size: *size,
                modifier: *modifier,
                format: *format,
            })
            .collect();
        made(|out| put_columns(out, &columns))
    });
    let report = (any::<bool>(), 0..3_usize, ".{0,9}", proptest::option::of("[a-z]{0,9}")).prop_map(
        |(error, bad, text, detail)| {
            let severity = [Severity::Fatal, Severity::Error, Severity::Notice][bad];
            let fields = Fields { severity, detail: detail.as_deref(), ..Fields::denied(&text) };
            made(|out| if error { fields.error(out) } else { fields.notice(out) })
        },
    );
    let copy = (0..3_usize, format(), 0..5_usize).prop_map(|(kind, format, count)| {
        let direction = [Direction::In, Direction::Out, Direction::Both][kind];
        made(|out| copy::put_copy_response(out, direction, format, vec![format; count].into_iter()))
    });
    let empty = b"123Icns".to_vec();
    prop_oneof![
        authentication(),
        (any::<u32>(), vec(string(), 0..3)).prop_map(|(version, options)| {
            let options: Vec<_> = options.iter().map(Vec::as_slice).collect();
            made(|out| put_negotiation(out, version, &options))
        }),
        (any::<u32>(), vec(any::<u8>(), 4..=256))
            .prop_map(|(process, key)| made(|out| KeyData { process, key: &key }.encode(out))),
        (string(), string()).prop_map(|(name, value)| made(|out| Parameter { name: &name, value: &value }.encode(out))),
        (any::<u32>(), string(), string()).prop_map(|(process, channel, payload)| {
            made(|out| Notification { process, channel: &channel, payload: &payload }.encode(out))
        }),
        report,
        (0..3_usize).prop_map(|at| made(|out| [Status::Idle, Status::Block, Status::Failed][at].encode(out))),
        proptest::sample::select(empty).prop_map(|tag| put(tag, |_| {})),
        vec(any::<u32>(), 0..5).prop_map(|types| put(b't', |out| put_oids(out, types.into_iter()))),
        columns,
        values().prop_map(|list| made(|out| put_row(out, cells(&list)))),
        string().prop_map(|tag| made(|out| Tag(&tag).encode(out))),
        proptest::option::of(vec(any::<u8>(), 0..9))
            .prop_map(|value| made(|out| put_function_result(out, value.as_deref()))),
        copy,
        vec(any::<u8>(), 0..40).prop_map(|data| made(|out| copy::put_copy_data(out, &data))),
    ]
}

/// A packet of the startup phase.
pub(super) fn startup() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(made(|out| Startup::Tls.encode(out))),
        Just(made(|out| Startup::Gss.encode(out))),
        (any::<u32>(), vec(any::<u8>(), 4..=256)).prop_map(|(process, key)| made(|out| Startup::Cancel(Cancel {
            process,
            key: &key
        })
        .encode(out))),
        start(),
    ]
}

/// A startup message.
pub(super) fn start() -> impl Strategy<Value = Vec<u8>> {
    (0..4_u16, vec(("[a-z_.]{1,9}", string()), 0..4)).prop_map(|(minor, pairs)| {
        let mut kept = Vec::new();
        let user = [(&b"user"[..], &b"ada"[..])];
        let pairs =
            pairs.iter().filter(|(name, _)| name != "user").map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let start = Start::new(minor, user.into_iter().chain(pairs), &mut kept).unwrap();
        made(|out| Startup::Start(start).encode(out))
    })
}

proptest! {
    #[test]
    fn what_a_client_sends_is_read_and_written_back(bytes in prop_oneof![frontend(), secret()]) {
        let message = Frontend::decode(bytes[0], &bytes[5..]).unwrap();
        prop_assert_eq!(message.tag(), bytes[0]);
        prop_assert_eq!(made(|out| message.encode(out)), bytes);
    }

    #[test]
    fn what_a_server_sends_is_read_and_written_back(bytes in backend()) {
        let message = Backend::decode(bytes[0], &bytes[5..]).unwrap();
        prop_assert_eq!(message.tag(), bytes[0]);
        prop_assert_eq!(made(|out| message.encode(out)), bytes);
    }

    #[test]
    fn packets_are_read_and_written_back(bytes in startup()) {
        let packet = Startup::decode(&bytes[4..]).unwrap();
        prop_assert_eq!(made(|out| packet.encode(out)), bytes);
    }

    #[test]
    fn a_shorter_or_longer_body_is_another_message(bytes in prop_oneof![frontend(), backend()], cut in any::<prop::sample::Index>()) {
        let at = 5 + cut.index(bytes.len() - 4);
        // Less, or one byte more, is refused or is read as exactly that.
        for body in [&bytes[5..at], &[&bytes[5..], b"x"].concat()] {
            if let Ok(message) = Frontend::decode(bytes[0], body) {
                prop_assert_eq!(&made(|out| message.encode(out))[5..], body);
            }
            if let Ok(message) = Backend::decode(bytes[0], body) {
                prop_assert_eq!(&made(|out| message.encode(out))[5..], body);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_written_back(tag in any::<u8>(), body in vec(any::<u8>(), 0..60)) {
        if let Ok(message) = Frontend::decode(tag, &body) {
            prop_assert_eq!(&made(|out| message.encode(out))[5..], &body);
        }
        if let Ok(message) = Backend::decode(tag, &body) {
            prop_assert_eq!(&made(|out| message.encode(out))[5..], &body);
        }
        if let Ok(packet) = Startup::decode(&body) {
            prop_assert_eq!(&made(|out| packet.encode(out))[4..], &body);
        }
    }
}
