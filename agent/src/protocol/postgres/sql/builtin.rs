//! Functions that do more than their name's arguments say: known by name, wherever they are installed.

use super::facts::Kind;

/// What a function does to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Its result comes from its arguments, or from nothing stored.
    Plain,
    /// It puts its arguments where no column is.
    Sink,
    /// Its result comes from data its arguments only name.
    Reads,
    /// It runs what its arguments say.
    Runs,
}

/// A function that policies should know of.
#[derive(Clone, Copy, Debug)]
pub struct Danger {
    /// Lower case.
    pub name: &'static str,
    /// What calling it is.
    pub kinds: &'static [Kind],
    pub(super) nature: Nature,
}

const fn danger(name: &'static str, kinds: &'static [Kind], nature: Nature) -> Danger {
    Danger { name, kinds, nature }
}

const READ: &[Kind] = &[Kind::Read];
const WRITE: &[Kind] = &[Kind::Write];
const SESSION: &[Kind] = &[Kind::Session];
/// What stays when the session is over, or is done to the server as a whole.
const LASTING: &[Kind] = &[Kind::Session, Kind::Write];
const STOP: &[Kind] = &[Kind::Session, Kind::Destructive];
const FILE: &[Kind] = &[Kind::File];
const PROGRAM: &[Kind] = &[Kind::Program];
const RUN: &[Kind] = &[Kind::Read, Kind::Write, Kind::Program];

/// Functions that read or write files, run programs or SQL, look at other sessions' data, end other sessions, change
/// settings, or put data where no column is; sorted by name. Those of extensions are there for their kinds.
pub const DANGEROUS: &[Danger] = &[
    danger("brin_desummarize_range", WRITE, Nature::Plain),
    danger("brin_summarize_new_values", WRITE, Nature::Plain),
    danger("brin_summarize_range", WRITE, Nature::Plain),
    danger("connectby", RUN, Nature::Runs),
    danger("crosstab", RUN, Nature::Runs),
    danger("crosstab2", RUN, Nature::Runs),
    danger("crosstab3", RUN, Nature::Runs),
    danger("crosstab4", RUN, Nature::Runs),
    danger("currtid2", READ, Nature::Reads),
    danger("cursor_to_xml", READ, Nature::Reads),
    danger("cursor_to_xmlschema", READ, Nature::Reads),
    danger("database_to_xml", READ, Nature::Reads),
    danger("database_to_xml_and_xmlschema", READ, Nature::Reads),
    danger("database_to_xmlschema", READ, Nature::Reads),
    danger("dblink", RUN, Nature::Runs),
    danger("dblink_connect", PROGRAM, Nature::Runs),
    danger("dblink_connect_u", PROGRAM, Nature::Runs),
    danger("dblink_exec", RUN, Nature::Runs),
    danger("dblink_fetch", RUN, Nature::Runs),
    danger("dblink_get_result", RUN, Nature::Runs),
    danger("dblink_open", RUN, Nature::Runs),
    danger("dblink_send_query", RUN, Nature::Runs),
    danger("gin_clean_pending_list", WRITE, Nature::Plain),
    danger("lo_creat", WRITE, Nature::Sink),
    danger("lo_create", WRITE, Nature::Sink),
    danger("lo_export", FILE, Nature::Reads),
    danger("lo_from_bytea", WRITE, Nature::Sink),
    danger("lo_get", READ, Nature::Reads),
    danger("lo_import", &[Kind::File, Kind::Write], Nature::Plain),
    danger("lo_open", READ, Nature::Plain),
    danger("lo_put", WRITE, Nature::Sink),
    danger("lo_truncate", &[Kind::Write, Kind::Destructive], Nature::Plain),
    danger("lo_truncate64", &[Kind::Write, Kind::Destructive], Nature::Plain),
    danger("lo_unlink", &[Kind::Write, Kind::Destructive], Nature::Plain),
    danger("loread", READ, Nature::Reads),
    danger("lowrite", WRITE, Nature::Sink),
    danger("nextval", WRITE, Nature::Plain),
    danger("pg_advisory_lock", SESSION, Nature::Sink),
    danger("pg_advisory_lock_shared", SESSION, Nature::Sink),
    danger("pg_advisory_unlock", SESSION, Nature::Plain),
    danger("pg_advisory_unlock_all", SESSION, Nature::Plain),
    danger("pg_advisory_unlock_shared", SESSION, Nature::Plain),
    danger("pg_advisory_xact_lock", SESSION, Nature::Sink),
    danger("pg_advisory_xact_lock_shared", SESSION, Nature::Sink),
    danger("pg_backup_start", FILE, Nature::Plain),
    danger("pg_backup_stop", FILE, Nature::Plain),
    danger("pg_cancel_backend", STOP, Nature::Plain),
    danger("pg_clear_attribute_stats", WRITE, Nature::Plain),
    danger("pg_clear_relation_stats", WRITE, Nature::Plain),
    danger("pg_copy_logical_replication_slot", LASTING, Nature::Sink),
    danger("pg_copy_physical_replication_slot", LASTING, Nature::Sink),
    danger("pg_create_logical_replication_slot", LASTING, Nature::Sink),
    danger("pg_create_physical_replication_slot", LASTING, Nature::Sink),
    danger("pg_create_restore_point", FILE, Nature::Plain),
    danger("pg_current_logfile", FILE, Nature::Plain),
    danger("pg_cursor", READ, Nature::Reads),
    danger("pg_drop_replication_slot", STOP, Nature::Plain),
    danger("pg_execute_server_program", PROGRAM, Nature::Runs),
    danger("pg_export_snapshot", SESSION, Nature::Plain),
    danger("pg_file_rename", FILE, Nature::Plain),
    danger("pg_file_sync", FILE, Nature::Plain),
    danger("pg_file_unlink", &[Kind::File, Kind::Destructive], Nature::Plain),
    danger("pg_file_write", FILE, Nature::Sink),
    danger("pg_get_backend_memory_contexts", READ, Nature::Plain),
    danger("pg_hba_file_rules", FILE, Nature::Reads),
    danger("pg_ident_file_mappings", FILE, Nature::Reads),
    danger("pg_import_system_collations", &[Kind::Ddl], Nature::Plain),
    danger("pg_log_backend_memory_contexts", SESSION, Nature::Plain),
    danger("pg_logdir_ls", FILE, Nature::Reads),
    danger("pg_logical_emit_message", WRITE, Nature::Sink),
    danger("pg_logical_slot_get_binary_changes", &[Kind::Read, Kind::Destructive], Nature::Reads),
    danger("pg_logical_slot_get_changes", &[Kind::Read, Kind::Destructive], Nature::Reads),
    danger("pg_logical_slot_peek_binary_changes", READ, Nature::Reads),
    danger("pg_logical_slot_peek_changes", READ, Nature::Reads),
    danger("pg_ls_archive_statusdir", FILE, Nature::Reads),
    danger("pg_ls_dir", FILE, Nature::Reads),
    danger("pg_ls_logdir", FILE, Nature::Reads),
    danger("pg_ls_logicalmapdir", FILE, Nature::Reads),
    danger("pg_ls_logicalsnapdir", FILE, Nature::Reads),
    danger("pg_ls_replslotdir", FILE, Nature::Reads),
    danger("pg_ls_summariesdir", FILE, Nature::Reads),
    danger("pg_ls_tmpdir", FILE, Nature::Reads),
    danger("pg_ls_waldir", FILE, Nature::Reads),
    danger("pg_mcv_list_items", READ, Nature::Reads),
    danger("pg_notify", SESSION, Nature::Sink),
    danger("pg_prepared_statement", READ, Nature::Reads),
    danger("pg_promote", STOP, Nature::Plain),
    danger("pg_read_binary_file", FILE, Nature::Reads),
    danger("pg_read_file", FILE, Nature::Reads),
    danger("pg_read_file_old", FILE, Nature::Reads),
    danger("pg_reload_conf", STOP, Nature::Plain),
    danger("pg_replication_origin_advance", LASTING, Nature::Plain),
    danger("pg_replication_origin_create", LASTING, Nature::Sink),
    danger("pg_replication_origin_drop", STOP, Nature::Plain),
    danger("pg_replication_origin_session_reset", SESSION, Nature::Plain),
    danger("pg_replication_origin_session_setup", SESSION, Nature::Plain),
    danger("pg_replication_origin_xact_reset", SESSION, Nature::Plain),
    danger("pg_replication_origin_xact_setup", LASTING, Nature::Plain),
    danger("pg_replication_slot_advance", STOP, Nature::Plain),
    danger("pg_restore_attribute_stats", WRITE, Nature::Sink),
    danger("pg_restore_relation_stats", WRITE, Nature::Sink),
    danger("pg_rotate_logfile", LASTING, Nature::Plain),
    danger("pg_rotate_logfile_old", LASTING, Nature::Plain),
    danger("pg_show_all_file_settings", FILE, Nature::Reads),
    danger("pg_sleep", SESSION, Nature::Plain),
    danger("pg_sleep_for", SESSION, Nature::Plain),
    danger("pg_sleep_until", SESSION, Nature::Plain),
    danger("pg_start_backup", FILE, Nature::Plain),
    danger("pg_stat_clear_snapshot", SESSION, Nature::Plain),
    danger("pg_stat_file", FILE, Nature::Reads),
    danger("pg_stat_force_next_flush", SESSION, Nature::Plain),
    danger("pg_stat_get_activity", READ, Nature::Reads),
    danger("pg_stat_get_backend_activity", READ, Nature::Reads),
    danger("pg_stat_reset", STOP, Nature::Plain),
    danger("pg_stat_reset_backend_stats", STOP, Nature::Plain),
    danger("pg_stat_reset_replication_slot", STOP, Nature::Plain),
    danger("pg_stat_reset_shared", STOP, Nature::Plain),
    danger("pg_stat_reset_single_function_counters", STOP, Nature::Plain),
    danger("pg_stat_reset_single_table_counters", STOP, Nature::Plain),
    danger("pg_stat_reset_slru", STOP, Nature::Plain),
    danger("pg_stat_reset_subscription_stats", STOP, Nature::Plain),
    danger("pg_stat_statements", READ, Nature::Reads),
    danger("pg_stop_backup", FILE, Nature::Plain),
    danger("pg_switch_wal", LASTING, Nature::Plain),
    danger("pg_sync_replication_slots", LASTING, Nature::Plain),
    danger("pg_terminate_backend", STOP, Nature::Plain),
    danger("pg_try_advisory_lock", SESSION, Nature::Sink),
    danger("pg_try_advisory_lock_shared", SESSION, Nature::Sink),
    danger("pg_try_advisory_xact_lock", SESSION, Nature::Sink),
    danger("pg_try_advisory_xact_lock_shared", SESSION, Nature::Sink),
    danger("pg_wal_replay_pause", STOP, Nature::Plain),
    danger("pg_wal_replay_resume", STOP, Nature::Plain),
    danger("query_to_xml", RUN, Nature::Runs),
    danger("query_to_xml_and_xmlschema", RUN, Nature::Runs),
    danger("query_to_xmlschema", RUN, Nature::Runs),
    danger("schema_to_xml", READ, Nature::Reads),
    danger("schema_to_xml_and_xmlschema", READ, Nature::Reads),
    danger("schema_to_xmlschema", READ, Nature::Reads),
    danger("set_config", SESSION, Nature::Sink),
    danger("setseed", SESSION, Nature::Sink),
    danger("setval", WRITE, Nature::Sink),
    danger("table_to_xml", READ, Nature::Reads),
    danger("table_to_xml_and_xmlschema", READ, Nature::Reads),
    danger("table_to_xmlschema", READ, Nature::Reads),
    danger("ts_rewrite", RUN, Nature::Runs),
    danger("ts_stat", RUN, Nature::Runs),
    danger("xpath_table", RUN, Nature::Runs),
];

/// A function of that name, if it is one of them.
pub(super) fn find(name: &str) -> Option<&'static Danger> {
    let at = DANGEROUS.binary_search_by(|danger| danger.name.cmp(name)).ok()?;
    DANGEROUS.get(at)
}

/// Whether a function is one that the server brings beside `information_schema`, whose views call them (`information_schema.sql`).
/// They are written in SQL, look at the catalog only, and nobody but an administrator can replace them.
pub(super) fn is_standard(schema: &str, function: &str) -> bool {
    schema == "information_schema"
        && matches!(
            function,
            "_pg_expandarray"
                | "_pg_keysequal"
                | "_pg_index_position"
                | "_pg_truetypid"
                | "_pg_truetypmod"
                | "_pg_char_max_length"
                | "_pg_char_octet_length"
                | "_pg_numeric_precision"
                | "_pg_numeric_precision_radix"
                | "_pg_numeric_scale"
                | "_pg_datetime_precision"
                | "_pg_interval_type"
        )
}

/// Settings that take any text and that every server has: what code put there comes back. Lower case.
const ANY_TEXT: [&str; 1] = ["application_name"];

/// Whether a setting may hold what code put there: those with a dot in their names are anybody's.
pub(super) fn is_anybodys(setting: &str) -> bool {
    setting.contains('.') || ANY_TEXT.iter().any(|name| setting.eq_ignore_ascii_case(name))
}

/// Functions that give as many rows as their arguments say: those of the server that are called beside columns.
pub(super) fn gives_rows(function: &str) -> bool {
    matches!(
        function,
        "generate_series"
            | "generate_subscripts"
            | "unnest"
            | "string_to_table"
            | "regexp_matches"
            | "regexp_split_to_table"
            | "json_array_elements"
            | "json_array_elements_text"
            | "json_each"
            | "json_each_text"
            | "json_object_keys"
            | "json_populate_recordset"
            | "json_to_recordset"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text"
            | "jsonb_each"
            | "jsonb_each_text"
            | "jsonb_object_keys"
            | "jsonb_path_query"
            | "jsonb_path_query_tz"
            | "jsonb_populate_recordset"
            | "jsonb_to_recordset"
    )
}

/// The server's own relations that show its files.
pub(super) fn shows_files(table: &str) -> bool {
    matches!(table, "pg_hba_file_rules" | "pg_ident_file_mappings" | "pg_file_settings")
}

/// Columns of the server's own relations that show what users stored or asked.
pub(super) fn shows_data(table: &str, column: &str) -> bool {
    match table {
        "pg_stats"
        | "pg_stats_ext"
        | "pg_stats_ext_exprs"
        | "pg_statistic"
        | "pg_statistic_ext_data"
        | "pg_largeobject" => true,
        "pg_attribute" => column == "attmissingval",
        "pg_stat_activity" => column == "query",
        "pg_prepared_statements" | "pg_cursors" => column == "statement",
        "pg_subscription" => column == "subconninfo",
        "pg_user_mapping" | "pg_user_mappings" => column == "umoptions",
        "pg_authid" => column == "rolpassword",
        "pg_shadow" => column == "passwd",
        _ => false,
    }
}
