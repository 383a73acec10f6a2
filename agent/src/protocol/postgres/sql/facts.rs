//! What a statement does, in the words of policies and masks: every enforcement point reads this and nothing else.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// A name as the server folds it.
pub type Name = Arc<str>;

/// What a statement is, as `policies/schema.cedarschema` has it in `kinds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Gives stored data.
    Read,
    /// Changes stored data, or what else stays on the server; or keeps others from changing it.
    Write,
    /// Removes data or objects.
    Destructive,
    /// Makes or changes objects, and maintains them.
    Ddl,
    /// Changes who may do what.
    Dcl,
    /// Changes the session: settings, transactions, cursors, locks, notifications; or other sessions.
    Session,
    /// Reads or writes files of the server.
    File,
    /// Runs or loads programs on the server, or has it connect elsewhere.
    Program,
}

impl Kind {
    /// The word policies use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
            Self::Ddl => "ddl",
            Self::Dcl => "dcl",
            Self::Session => "session",
            Self::File => "file",
            Self::Program => "program",
        }
    }
}

/// Why facts may be incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// A table or view that the catalog does not list, or that one of several may be meant by.
    Relation,
    /// A column nobody has, or more than one.
    Column,
    /// A function or operator that somebody wrote, or nobody knows.
    Function,
    /// Text that is run, or read from elsewhere, by a function.
    DynamicSql,
    /// Code in a language.
    Language,
    /// A prepared statement or cursor, whose text the caller has.
    Plan,
    /// Rules that rewrite what is asked.
    Rule,
    /// Syntax that this version does not read.
    Node,
    /// More than is looked at.
    Effort,
}

impl Unknown {
    /// The word policies use in `unknown_parts`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Relation => "relation",
            Self::Column => "column",
            Self::Function => "function",
            Self::DynamicSql => "dynamic-sql",
            Self::Language => "language",
            Self::Plan => "plan",
            Self::Rule => "rule",
            Self::Node => "node",
            Self::Effort => "effort",
        }
    }
}

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Empty where it is not known.
    pub schema: Name,
    /// Its name.
    pub table: Name,
}

/// A column of a table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column {
    /// Empty where it is not known.
    pub schema: Name,
    /// The table's or view's name.
    pub table: Name,
    /// Its name.
    pub column: Name,
}

/// What a value is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// These stored columns; of none, it is a constant or comes from nothing stored.
    Of(Arc<BTreeSet<Column>>),
    /// It cannot be told: it may be made from anything.
    Undecided,
}

impl Lineage {
    /// Of a constant.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Of(Arc::default())
    }
}

/// What comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// No rows.
    #[default]
    Nothing,
    /// Rows of these columns, in order.
    Columns(Vec<Lineage>),
    /// Perhaps rows, of any columns.
    Undecided,
}

/// Data that is written from other data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where it goes; `None` where that has no name: a setting, a notification, a large object.
    pub into: Option<Column>,
    /// What it is made from.
    pub from: Lineage,
    /// Whether it is a table's own column, and nothing was done to it on the way.
    pub unchanged: bool,
}

/// A constant in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes in the message, quotes included.
    pub at: Range<usize>,
    /// The columns it is compared with, stored into or combined with.
    pub near: Lineage,
}

/// What a statement does to prepared statements and cursors. Caller maps it to the session's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `PREPARE`
    Prepare {
        /// As the server folds it.
        name: String,
        /// Bytes of the message that follow `AS`.
        sql: Range<usize>,
        /// The types as they are written.
        types: Vec<String>,
    },
    /// `DEALLOCATE name`
    Deallocate(String),
    /// `DEALLOCATE ALL`
    DeallocateAll,
    /// `DECLARE`
    Declare {
        /// As the server folds it.
        name: String,
        /// Bytes of the message that follow `FOR`.
        sql: Range<usize>,
        /// `WITH HOLD`
        hold: bool,
    },
    /// `CLOSE name`
    Close(String),
    /// `CLOSE ALL`
    CloseAll,
    /// `DISCARD ALL`
    DiscardAll,
    /// Code that may have done any of these.
    Opaque,
}

/// What a statement runs by name: the caller knows its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// `EXECUTE name (…)`
    Execute {
        /// As the server folds it.
        name: String,
        /// Bytes of the constants in each of its arguments. They are among the literals, too, with anything near.
        arguments: Vec<Vec<Range<usize>>>,
    },
    /// `FETCH` or `MOVE`
    Fetch {
        /// The cursor.
        name: String,
        /// `MOVE`: no rows come back.
        only_moves: bool,
    },
    /// `UPDATE … WHERE CURRENT OF name`
    Current(String),
}

/// What a statement does to the session's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `SET`
    Set {
        /// Lower case.
        name: String,
        /// As the server joins several; `None` where it is not known.
        value: Option<String>,
        /// `SET LOCAL`: until the transaction ends.
        local: bool,
    },
    /// `RESET name`, `SET name TO DEFAULT`
    Reset {
        /// Lower case.
        name: String,
        /// `SET LOCAL … TO DEFAULT`
        local: bool,
    },
    /// `RESET ALL`
    ResetAll,
    /// `DISCARD ALL`: also role and session authorization.
    DiscardAll,
    /// `SET ROLE`; `None` for the session's own.
    Role {
        /// Who it becomes.
        name: Option<String>,
        /// `SET LOCAL`
        local: bool,
    },
    /// `SET SESSION AUTHORIZATION`; `None` for whoever logged in.
    SessionAuthorization {
        /// Who it becomes.
        name: Option<String>,
        /// `SET LOCAL`
        local: bool,
    },
    /// Code that may have changed any of them.
    Opaque,
}

/// What a statement does to the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// `BEGIN`, `START TRANSACTION`
    Begin,
    /// `COMMIT`, `END`; with `AND CHAIN` another begins.
    Commit {
        /// Another begins.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`
    Rollback {
        /// Another begins.
        chain: bool,
    },
    /// `SAVEPOINT`
    Savepoint(String),
    /// `RELEASE`
    Release(String),
    /// `ROLLBACK TO`
    RollbackTo(String),
    /// `PREPARE TRANSACTION`
    Prepare,
    /// `COMMIT PREPARED`
    CommitPrepared,
    /// `ROLLBACK PREPARED`
    RollbackPrepared,
}

/// An option's argument, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// There is none.
    Absent,
    /// A word, a string or a number.
    Text(String),
    /// `*`
    Star,
    /// Names in parentheses.
    List,
    /// Something no option takes.
    Other,
}

/// `COPY … TO STDOUT`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Columns of a table, and not what a query gives.
    pub table: bool,
    /// Its options, in order.
    pub options: Vec<(String, Argument)>,
}

/// What one statement of a message does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understood {
    /// Its bytes in the message.
    pub text: Range<usize>,
    /// What it is called: "select", "create table", "begin".
    pub verb: &'static str,
    /// What it is.
    pub kinds: BTreeSet<Kind>,
    /// Tables and views whose rows it looks at, those behind views, and relatives by inheritance.
    pub reads: BTreeSet<Relation>,
    /// Tables and views whose rows it changes.
    pub writes: BTreeSet<Relation>,
    /// Columns whose values it looks at.
    pub columns_read: BTreeSet<Column>,
    /// Columns it writes.
    pub columns_written: BTreeSet<Column>,
    /// Columns it filters, joins, orders, groups or distinguishes rows by.
    pub predicates: BTreeSet<Column>,
    /// Functions it calls: lower case, without schema, and with it where it is written so.
    pub functions: BTreeSet<String>,
    /// Whether every update, delete, truncate and merge that changes rows has a condition about them that is not the same for
    /// all; `None` if there is none. `IS NOT NULL` is one: on many columns it chooses, and where it does not, so might
    /// `id > 0` not.
    pub has_predicate: Option<bool>,
    /// Why facts may be incomplete; empty if they are not.
    pub unknown: BTreeSet<Unknown>,
    /// What comes back.
    pub output: Output,
    /// How what comes back is copied; `None` if it is not.
    pub copied: Option<Copied>,
    /// Data written from other data.
    pub stores: Vec<Store>,
    /// Constants in the text, in order.
    pub literals: Vec<Literal>,
    /// What is near each parameter; the first is `$1`.
    pub parameters: Vec<Lineage>,
    /// What it does to prepared statements and cursors.
    pub deeds: Vec<Deed>,
    /// What it runs by name.
    pub uses: Vec<Use>,
    /// What it does to settings.
    pub settings: Vec<Change>,
    /// What it does to the transaction.
    pub transaction: Option<Transaction>,
    /// Whether the catalog has to be read again after it.
    pub changes_catalog: bool,
    /// Relations that the catalog does not describe after it, until it is read again; temporary ones even then.
    pub unlists: super::names::Unlisted,
    /// Whether some of these are temporary: the catalog never lists them.
    pub temporary: bool,
}
