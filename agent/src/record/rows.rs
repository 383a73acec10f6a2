//! Inserts of sessions, their ends, and events: the statements of the hot path.

use std::net::SocketAddr;

use rusqlite::{Connection, params};

use super::event::{EventRecord, hook_name};
use super::intents::Intent;
use super::process::ProcessRows;
use super::{SessionEnd, SessionId};

/// Adds a session that begins. One that is there already, by an earlier reading of the same intent, stays as it is.
pub(super) fn begin(conn: &Connection, writer: i64, intent: &Intent) -> rusqlite::Result<()> {
    let (client, destination) = (address(intent.client), address(intent.destination));
    conn.prepare_cached(
        "INSERT INTO session (id, writer, process, scope, protocol, client_addr, client_port, dest_addr, dest_port,
            netns, decision, started_ns, started_boot_ns)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        intent.id.as_bytes(),
        writer,
        intent.process,
        intent.scope,
        intent.protocol.as_str(),
        client.0,
        client.1,
        destination.0,
        destination.1,
        intent.netns.cast_signed(),
        intent.decision.as_str(),
        intent.started.wall_ns,
        intent.started.boot_ns.cast_signed(),
    ])?;
    Ok(())
}

/// Adds the end of a session. The first end stands: a second one changes nothing.
pub(super) fn end(conn: &Connection, id: SessionId, end: &SessionEnd) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO session_end (id, outcome, detail, bytes_out, bytes_in, ended_ns, ended_boot_ns)
         VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        id.as_bytes(),
        end.outcome.as_str(),
        end.detail,
        end.bytes_out.cast_signed(),
        end.bytes_in.cast_signed(),
        end.ended.wall_ns,
        end.ended.boot_ns.cast_signed(),
    ])?;
    Ok(())
}

/// Adds an event.
pub(super) fn event(
    conn: &Connection,
    writer: i64,
    processes: &mut ProcessRows,
    event: &EventRecord,
) -> rusqlite::Result<()> {
    let process = event.identity.as_ref().map(|identity| processes.row(conn, identity)).transpose()?;
    let task = event.task.as_ref();
    let destination = event.destination.map(address);
    conn.prepare_cached(
        "INSERT INTO event (writer, kind, hook, decision, scope, process, pid, uid, cgroup_id, protocol, dest_addr,
            dest_port, count, first_ns, first_boot_ns, last_ns, last_boot_ns, detail)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
    )?
    .execute(params![
        writer,
        event.kind.as_str(),
        event.hook.map(hook_name),
        event.decision.map(super::Decision::as_str),
        event.scope,
        process,
        task.map(|t| t.tgid),
        task.map(|t| t.uid),
        task.map(|t| t.cgroup.cast_signed()),
        event.protocol,
        destination.as_ref().map(|d| &d.0),
        destination.as_ref().map(|d| d.1),
        event.count.cast_signed(),
        event.first.wall_ns,
        event.first.boot_ns.cast_signed(),
        event.last.wall_ns,
        event.last.boot_ns.cast_signed(),
        event.detail,
    ])?;
    Ok(())
}

/// Address text without the v4-mapped prefix, and port.
fn address(address: SocketAddr) -> (String, u16) {
    (address.ip().to_canonical().to_string(), address.port())
}
