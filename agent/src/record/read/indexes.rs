//! The indexes that keep lists fast. A segment without them is read all the same, only slower.

/// Made with the tables of a segment.
pub const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS process_workload ON process (workload);
CREATE INDEX IF NOT EXISTS process_user ON process (user);
CREATE INDEX IF NOT EXISTS process_login_user ON process (login_user);
CREATE INDEX IF NOT EXISTS process_uid ON process (uid);
CREATE INDEX IF NOT EXISTS process_login_uid ON process (login_uid);
CREATE INDEX IF NOT EXISTS process_user_unit ON process (user_unit) WHERE user_unit IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_destination ON session (dest_addr, dest_port);
CREATE INDEX IF NOT EXISTS session_target ON session (target) WHERE target IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_person ON session (person) WHERE person IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_decision ON session (decision) WHERE decision <> 'allow';
CREATE INDEX IF NOT EXISTS session_continues ON session (continues) WHERE continues IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_end_outcome ON session_end (outcome) WHERE outcome <> 'completed';
CREATE INDEX IF NOT EXISTS request_decision ON request (decision, session) WHERE decision <> 0;
CREATE INDEX IF NOT EXISTS request_refused ON request (session, decision) WHERE decision <> 0;
CREATE INDEX IF NOT EXISTS request_approval ON request (approval) WHERE approval IS NOT NULL;
CREATE INDEX IF NOT EXISTS response_masked ON response (session, n) WHERE masked IS NOT NULL;
CREATE INDEX IF NOT EXISTS event_process ON event (process) WHERE process IS NOT NULL;
CREATE INDEX IF NOT EXISTS event_clock_stepped ON event (kind) WHERE kind = 'clock-stepped';
";
