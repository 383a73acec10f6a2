-- The surface auditors build on. Columns are only ever added, at the end.
DROP VIEW IF EXISTS payloads;
DROP VIEW IF EXISTS decisions;
DROP VIEW IF EXISTS statements;
DROP VIEW IF EXISTS approvals;
DROP VIEW IF EXISTS events;
DROP VIEW IF EXISTS sessions;
-- One row a connection. Times ending in `_ns` are nanoseconds since 1970, those ending in `_boot_ns` nanoseconds since
-- the host started.
CREATE VIEW sessions AS SELECT
    lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4) || '-'
        || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', s.started_ns / 1e9, 'unixepoch') AS started,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_ns / 1e9, 'unixepoch') AS ended,
    s.scope, p.workload, s.decision, coalesce(e.outcome, 'open') AS outcome, e.detail,
    s.protocol, s.client_addr, s.client_port, s.dest_addr, s.dest_port, s.netns, e.bytes_out, e.bytes_in,
    p.pid, p.started_boot_ns AS process_started_boot_ns, p.exe, p.exe_on_host, p.exe_sha256, p.argv,
    p.uid, p.gid, p.user, p.login_uid, p.login_session, p.login_user,
    p.unit, p.user_unit, p.slice, p.container, p.cgroup, p.cgroup_id, p.parents, p.attestation,
    s.started_ns, s.started_boot_ns, e.ended_ns, e.ended_boot_ns,
    s.person, s.target, s.tls, s.policies, s.tags, s.continues, s.seq
  FROM session s JOIN process p ON p.seq = s.process LEFT JOIN session_end e ON e.session = s.seq;
-- What was refused outside of requests, and what the daemon and its operators did. `count` alike were made into one.
CREATE VIEW events AS SELECT
    v.seq AS id, strftime('%Y-%m-%dT%H:%M:%fZ', v.first_ns / 1e9, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%fZ', v.last_ns / 1e9, 'unixepoch') AS last,
    v.kind, v.hook, v.decision, v.scope, v.count, p.workload,
    coalesce(p.pid, v.pid) AS pid, coalesce(p.uid, v.uid) AS uid, coalesce(p.cgroup_id, v.cgroup_id) AS cgroup_id,
    p.exe, p.exe_sha256, p.argv, p.user, p.login_uid, p.login_session, p.login_user, p.unit, p.container, p.cgroup,
    p.attestation, v.protocol, v.dest_addr, v.dest_port, v.detail,
    v.first_ns, v.first_boot_ns, v.last_ns, v.last_boot_ns, v.session, v.data
  FROM event v LEFT JOIN process p ON p.seq = v.process;
-- One row a request, with its decision and what came back, which is in the same row or in one of its own. `session` is the `seq` of a row of `sessions`.
CREATE VIEW statements AS SELECT
    lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4) || '-'
        || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21)) AS session_id,
    r.n AS sequence, strftime('%Y-%m-%dT%H:%M:%fZ', r.time_ns / 1e9, 'unixepoch') AS time, r.time_ns, s.protocol,
    k.text AS kind, t.text AS statement,
    CASE r.decision WHEN 0 THEN 'allow' WHEN 1 THEN 'deny' WHEN 2 THEN 'would-deny' WHEN 3 THEN 'held' END AS decision,
    coalesce(r.rows, a.rows) AS rows, x.text AS error,
    coalesce(r.took_ns, a.boot_ns - (r.time_ns - s.started_ns + r.drift_ns)) / 1e6 AS duration_ms, o.text AS policies, f.text AS facts, d.text AS detail,
    r.bytes AS bytes_out, coalesce(r.bytes_in, a.bytes) AS bytes_in, coalesce(r.masked, a.masked, 0) AS masked,
    m.text AS masks, CASE coalesce(r.status, a.status) WHEN 0 THEN 'done' WHEN 1 THEN 'error' WHEN 2 THEN 'cut' END AS status,
    lower(hex(r.approval)) AS approval_id, s.started_boot_ns + (r.time_ns - s.started_ns + r.drift_ns) AS boot_ns,
    p.workload, s.person, s.scope, s.target, s.dest_addr, s.dest_port, r.session, r.seq, r.parameters
  FROM request r JOIN session s ON s.seq = r.session JOIN process p ON p.seq = s.process
    LEFT JOIN response a ON r.status IS NULL AND a.session = r.session AND a.n = r.n
    LEFT JOIN words k ON k.seq = r.kind LEFT JOIN words t ON t.seq = r.statement
    LEFT JOIN words o ON o.seq = r.policies LEFT JOIN words f ON f.seq = r.facts LEFT JOIN words d ON d.seq = r.detail
    LEFT JOIN words x ON x.seq = coalesce(r.error, a.error) LEFT JOIN words m ON m.seq = coalesce(r.masks, a.masks);
-- Everything that was decided: connections, requests, and what hooks of the kernel half refused.
CREATE VIEW decisions AS
  SELECT started AS time, started_ns AS time_ns, 'session' AS source, id AS source_id, 'connect' AS action,
    CASE WHEN outcome IN ('denied', 'refused') THEN 'deny' ELSE decision END AS decision,
    scope, workload, dest_addr, dest_port, 1 AS count, detail AS reason, policies, person, target
  FROM sessions WHERE continues IS NULL
  UNION ALL
  SELECT time, time_ns, 'statement', session_id || '/' || sequence, 'execute', decision,
    scope, workload, dest_addr, dest_port, 1, detail, policies, person, target
  FROM statements
  UNION ALL
  SELECT first, first_ns, 'event', CAST(id AS TEXT), coalesce(hook, kind), decision,
    scope, workload, dest_addr, dest_port, count, detail, NULL, NULL, NULL
  FROM events WHERE decision IS NOT NULL;
-- One row an approval, as it stands.
CREATE VIEW approvals AS SELECT
    lower(hex(a.id)) AS id,
    (SELECT lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4) || '-'
        || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21)) FROM session s WHERE s.seq = a.session) AS session_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.time_ns / 1e9, 'unixepoch') AS requested, a.time_ns AS requested_ns,
    (SELECT p.workload FROM session s JOIN process p ON p.seq = s.process WHERE s.seq = a.session) AS requester,
    l.by AS approver,
    CASE WHEN l.seq <> a.seq THEN strftime('%Y-%m-%dT%H:%M:%fZ', l.time_ns / 1e9, 'unixepoch') END AS decided,
    CASE WHEN l.seq <> a.seq THEN l.time_ns END AS decided_ns, l.state AS decision, l.reason AS reason,
    a.n AS sequence, lower(hex(a.digest)) AS digest, a.data AS request, l.data AS grant_data
  FROM approval a JOIN approval l ON l.seq = (SELECT max(z.seq) FROM approval z WHERE z.id = a.id)
  WHERE a.seq = (SELECT min(z.seq) FROM approval z WHERE z.id = a.id);
-- What passed, piece by piece; the bytes are in `chunk`, as `coding` says.
CREATE VIEW payloads AS SELECT
    lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4) || '-'
        || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21)) AS session_id,
    y.n AS sequence, CASE y.direction WHEN 0 THEN 'out' ELSE 'in' END AS direction, y.boot_ns AS after_ns, y.position,
    y.length, y.full_length, lower(hex(y.full_digest)) AS full_sha256, c.size, c.coding, c.data, y.session, y.seq
  FROM payload y JOIN session s ON s.seq = y.session LEFT JOIN chunk c ON c.seq = y.chunk;
