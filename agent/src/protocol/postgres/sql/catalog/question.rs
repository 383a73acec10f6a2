//! What a server is asked about its catalog, in words that no search path, operator or function of a user can change.
//!
//! Whoever asks sets `search_path` to the empty string first, so that names in the texts of views carry their schemas, and
//! asks all of it in one `REPEATABLE READ` transaction. It works on versions 12 to 18.

/// Relations of any session: not those of others' temporary schemas, nor what belongs to storage.
macro_rules! relations {
    () => {
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
          WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,f,p,c,S}'::pg_catalog.\"char\"[])
          AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.!~) '^pg_(temp|toast)'"
    };
}

/// One query of the catalog. Each gives one result, read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Value of `search_path` after `RESET`.
    Session,
    /// Names of schemas.
    Schemas,
    /// oid, schema, name, kind, whether there are rules besides a view's own.
    Relations,
    /// oid of the relation, name, oid of the type, how it is generated if it is; in the order of the columns.
    Columns,
    /// oid of the view, its query.
    Views,
    /// oid of the child, oid of the parent.
    Inheritance,
    /// schema, name, volatility, language, oid of the result's type, modes and names of arguments as JSON.
    Functions,
    /// oid, oid of the composite's relation or 0, oid of the domain's base type or 0, oid of arrays of it or 0.
    Types,
    /// schema and name of operators whose function is not compiled.
    Operators,
    /// names of the types that values are cast to by a function that is not compiled.
    Casts,
}

impl Question {
    /// All of them, in the order they are asked.
    pub const ALL: [Self; 10] = [
        Self::Session,
        Self::Schemas,
        Self::Relations,
        Self::Columns,
        Self::Views,
        Self::Inheritance,
        Self::Functions,
        Self::Types,
        Self::Operators,
        Self::Casts,
    ];

    /// The query.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Session => {
                "SELECT s.reset_val FROM pg_catalog.pg_settings s
                 WHERE s.name OPERATOR(pg_catalog.=) 'search_path'::pg_catalog.text"
            }
            Self::Schemas => "SELECT n.nspname FROM pg_catalog.pg_namespace n",
            Self::Relations => concat!(
                "SELECT c.oid, n.nspname, c.relname, c.relkind, EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                    WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid
                    AND r.rulename::pg_catalog.text OPERATOR(pg_catalog.<>) '_RETURN')",
                relations!()
            ),
            Self::Columns => concat!(
                "SELECT a.attrelid, a.attname, a.atttypid, a.attgenerated FROM pg_catalog.pg_attribute a
                 WHERE a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
                 AND a.attrelid OPERATOR(pg_catalog.=) ANY (SELECT c.oid",
                relations!(),
                ") ORDER BY a.attrelid, a.attnum"
            ),
            Self::Views => concat!(
                "SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid)",
                relations!(),
                " AND c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog.\"char\"[])
                  AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.<>)
                      ALL ('{pg_catalog,information_schema}'::pg_catalog.text[])"
            ),
            Self::Inheritance => {
                "SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i ORDER BY i.inhrelid, i.inhseqno"
            }
            Self::Functions => {
                "SELECT n.nspname, p.proname, p.provolatile, l.lanname, p.prorettype,
                    pg_catalog.array_to_json(p.proargmodes::pg_catalog.text[]), pg_catalog.array_to_json(p.proargnames)
                 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
                 JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang"
            }
            Self::Types => {
                "SELECT t.oid, t.typrelid, t.typbasetype, t.typarray FROM pg_catalog.pg_type t
                 WHERE t.typtype OPERATOR(pg_catalog.=) ANY ('{c,d}'::pg_catalog.\"char\"[])"
            }
            Self::Operators => {
                "SELECT n.nspname, o.oprname
                 FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
                 JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode::pg_catalog.oid
                 JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
                 WHERE l.lanname::pg_catalog.text OPERATOR(pg_catalog.<>) ALL ('{internal,c}'::pg_catalog.text[])
                 AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.<>) 'pg_catalog'"
            }
            Self::Casts => {
                "SELECT t.typname FROM pg_catalog.pg_cast k
                 JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) k.castfunc
                 JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
                 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
                 JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) k.casttarget
                 WHERE l.lanname::pg_catalog.text OPERATOR(pg_catalog.<>) ALL ('{internal,c}'::pg_catalog.text[])
                 AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.<>) 'pg_catalog'"
            }
        }
    }
}
