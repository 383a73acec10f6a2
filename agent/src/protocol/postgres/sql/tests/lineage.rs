//! What each column that comes back is made from.

use super::fixture::{check, output};

#[test]
fn plain_queries() {
    check(
        &[
            ("SELECT ssn FROM users", "users.ssn"),
            ("SELECT u.ssn AS x, 1 FROM users u", "users.ssn -"),
            ("SELECT * FROM users", "users.id users.name users.email users.ssn users.note"),
            ("SELECT u.* FROM users u, orders o", "users.id users.name users.email users.ssn users.note"),
            ("SELECT public.users.ssn FROM public.users", "users.ssn"),
            ("SELECT ssn || name FROM users", "users.name+users.ssn"),
            ("SELECT ssn::text FROM users", "users.ssn"),
            ("SELECT upper(ssn) FROM users", "users.ssn"),
            ("SELECT CASE WHEN ssn = '1' THEN 'y' ELSE name END FROM users", "users.name+users.ssn"),
            ("SELECT CASE ssn WHEN '1' THEN 'y' END FROM users", "users.ssn"),
            ("SELECT max(ssn), count(*) FROM users", "users.ssn -"),
            ("SELECT count(*) FILTER (WHERE ssn = '1') FROM users", "users.ssn"),
            ("SELECT coalesce(note, ssn) FROM users", "users.note+users.ssn"),
            ("SELECT ARRAY[ssn, name] FROM users", "users.name+users.ssn"),
            ("SELECT nick, ssn FROM other.users", "other.users.nick other.users.ssn"),
            ("TABLE orders", "orders.id orders.user_id orders.total orders.card"),
            ("VALUES (1, 'a')", "- -"),
            ("SELECT ssn IS NULL FROM users", "users.ssn"),
            ("SELECT body FROM notes", "ada.notes.body"),
            ("SELECT ctid, xmin, tableoid FROM users", "- - -"),
            ("SELECT nobody FROM users", "?"),
            ("SELECT ssn FROM nowhere", "?"),
            ("SELECT * FROM nowhere", "any"),
            ("SELECT id FROM users, orders", "?"),
        ],
        |facts| output(&facts.output),
    );
}
