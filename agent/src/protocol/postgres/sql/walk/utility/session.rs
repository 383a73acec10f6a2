//! Transactions, settings, prepared statements, cursors, and what else a session keeps.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    DeclareCursorStmt, DiscardMode, ExecuteStmt, Node, PrepareStmt, TransactionStmt, TransactionStmtKind, TypeName,
    VariableSetKind, VariableSetStmt,
};

use super::super::super::builtin;
use super::super::super::facts::{Change, Deed, Kind, Lineage, Output, Transaction, Unknown, Use};
use super::super::super::names::quoted;
use super::super::super::trace::{Trace, Val};
use super::super::tree::{constant_text, word};
use super::super::{Body, Target, Walker};

/// `CURSOR_OPT_HOLD` of the server's `parsenodes.h`.
const WITH_HOLD: i32 = 0x20;

/// Settings whose value is a list of names.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "unix_socket_directories",
];

/// The strongest lock that those take who change rows: stronger ones keep them out.
const ROW_EXCLUSIVE: i32 = 3;

impl Walker<'_> {
    /// Whether it is one of these.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
    pub(in super::super) fn session(&mut self, statement: &NodeEnum) -> bool {
        self.facts.verb = match statement {
            NodeEnum::TransactionStmt(transaction) => self.transaction(transaction),
            NodeEnum::VariableSetStmt(set) => self.set(set),
            NodeEnum::VariableShowStmt(show) => {
                self.shown(&show.name);
                "show"
            }
            NodeEnum::PrepareStmt(prepare) => self.prepared(prepare),
            NodeEnum::ExecuteStmt(execute) => {
                self.executed(execute);
                self.facts.output = Output::Undecided;
                "execute"
            }
            NodeEnum::DeallocateStmt(deallocate) => {
                self.facts.deeds.push(match deallocate.isall {
                    true => Deed::DeallocateAll,
                    false => Deed::Deallocate(deallocate.name.clone()),
                });
                "deallocate"
            }
            NodeEnum::DeclareCursorStmt(declare) => self.declared(declare),
            NodeEnum::ClosePortalStmt(close) => {
                self.facts.deeds.push(match close.portalname.as_str() {
                    "" => Deed::CloseAll,
                    name => Deed::Close(name.to_owned()),
                });
                "close"
            }
            NodeEnum::FetchStmt(fetch) => {
                self.doubt(Unknown::Plan);
                self.facts.kinds.insert(Kind::Read);
                self.facts.uses.push(Use::Fetch { name: fetch.portalname.clone(), only_moves: fetch.ismove });
                self.facts.output = if fetch.ismove { Output::Nothing } else { Output::Undecided };
                if fetch.ismove { "move" } else { "fetch" }
            }
            NodeEnum::DiscardStmt(discard) => {
                if matches!(DiscardMode::try_from(discard.target), Ok(DiscardMode::DiscardAll)) {
                    self.facts.deeds.push(Deed::DiscardAll);
                    self.facts.settings.push(Change::DiscardAll);
                }
                "discard"
            }
            NodeEnum::ListenStmt(_) => "listen",
            NodeEnum::UnlistenStmt(_) => "unlisten",
            NodeEnum::NotifyStmt(_) => "notify",
            NodeEnum::LockStmt(lock) => {
                if lock.mode > ROW_EXCLUSIVE {
                    self.facts.kinds.insert(Kind::Write);
                }
                "lock"
            }
            NodeEnum::ConstraintsSetStmt(_) => "set constraints",
            _ => return false,
        };
        self.facts.kinds.insert(Kind::Session);
        true
    }

    fn transaction(&mut self, statement: &TransactionStmt) -> &'static str {
        let chain = statement.chain;
        let name = || statement.savepoint_name.clone();
        let (verb, transaction) = match TransactionStmtKind::try_from(statement.kind) {
            Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart) => {
                ("begin", Transaction::Begin)
            }
            Ok(TransactionStmtKind::TransStmtCommit) => ("commit", Transaction::Commit { chain }),
            Ok(TransactionStmtKind::TransStmtRollback) => ("rollback", Transaction::Rollback { chain }),
            Ok(TransactionStmtKind::TransStmtSavepoint) => ("savepoint", Transaction::Savepoint(name())),
            Ok(TransactionStmtKind::TransStmtRelease) => ("release", Transaction::Release(name())),
            Ok(TransactionStmtKind::TransStmtRollbackTo) => ("rollback to", Transaction::RollbackTo(name())),
            Ok(TransactionStmtKind::TransStmtPrepare) => ("prepare transaction", Transaction::Prepare),
            Ok(TransactionStmtKind::TransStmtCommitPrepared) => ("commit prepared", Transaction::CommitPrepared),
            Ok(TransactionStmtKind::TransStmtRollbackPrepared) => ("rollback prepared", Transaction::RollbackPrepared),
            Ok(TransactionStmtKind::Undefined) | Err(_) => {
                self.doubt(Unknown::Node);
                return "transaction";
            }
        };
        if let Transaction::Prepare | Transaction::CommitPrepared | Transaction::RollbackPrepared = transaction {
            // What is prepared outlives the session, and belongs to no session then.
            self.facts.kinds.insert(Kind::Write);
        }
        self.facts.transaction = Some(transaction);
        verb
    }

    fn set(&mut self, set: &VariableSetStmt) -> &'static str {
        let name = set.name.to_lowercase();
        let local = set.is_local;
        match VariableSetKind::try_from(set.kind) {
            Ok(VariableSetKind::VarSetValue) => {
                let values: Option<Vec<String>> = set.args.iter().map(constant_text).collect();
                let is_list = LISTS.contains(&name.as_str());
                let value = values.map(|values| {
                    let quote = |value: String| if is_list { quoted(&value) } else { value };
                    values.into_iter().map(quote).collect::<Vec<_>>().join(", ")
                });
                self.setting(name, value, local);
            }
            Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset) => {
                self.facts.settings.push(match name.as_str() {
                    "role" => Change::Role { name: None, local },
                    "session_authorization" => Change::SessionAuthorization { name: None, local },
                    _ => Change::Reset { name, local },
                });
            }
            Ok(VariableSetKind::VarResetAll) => self.facts.settings.push(Change::ResetAll),
            // SET TRANSACTION and its like.
            Ok(VariableSetKind::VarSetMulti) => {}
            Ok(VariableSetKind::VarSetCurrent) => self.setting(name, None, local),
            Ok(VariableSetKind::Undefined) | Err(_) => {
                self.doubt(Unknown::Node);
                self.facts.settings.push(Change::Opaque);
            }
        }
        match VariableSetKind::try_from(set.kind) {
            Ok(VariableSetKind::VarReset | VariableSetKind::VarResetAll) => "reset",
            Ok(_) | Err(_) => "set",
        }
    }

    /// A setting gets a value, `None` if it is not known which.
    pub(in super::super) fn setting(&mut self, name: String, value: Option<String>, local: bool) {
        let role = |value: Option<String>| value.filter(|value| value != "none" && value != "default");
        self.facts.settings.push(match (name.as_str(), value) {
            ("role" | "session_authorization", None) => Change::Opaque,
            ("role", value) => Change::Role { name: role(value), local },
            ("session_authorization", value) => Change::SessionAuthorization { name: role(value), local },
            (_, value) => Change::Set { name, value, local },
        });
    }

    fn shown(&mut self, name: &str) {
        let value = if builtin::is_anybodys(name) { Lineage::Undecided } else { Lineage::nothing() };
        self.facts.output = match name {
            "all" => Output::Columns(vec![value; 3]),
            _ => Output::Columns(vec![value]),
        };
    }

    fn prepared(&mut self, prepare: &PrepareStmt) -> &'static str {
        if let Some(query) = prepare.query.as_deref() {
            self.top(query);
        }
        let types = prepare.argtypes.iter().map(|node| match &node.node {
            Some(NodeEnum::TypeName(name)) => type_text(name),
            Some(_) | None => String::new(),
        });
        let types = types.collect();
        match self.body {
            Body::Found { ref after_as, .. } if !after_as.is_empty() => {
                self.facts.deeds.push(Deed::Prepare { name: prepare.name.clone(), sql: after_as.clone(), types });
            }
            Body::Found { .. } | Body::Unknown => self.lost_body(),
        }
        "prepare"
    }

    fn declared(&mut self, declare: &DeclareCursorStmt) -> &'static str {
        if let Some(query) = declare.query.as_deref() {
            self.top(query);
        }
        let hold = declare.options & WITH_HOLD != 0;
        match self.body {
            Body::Found { ref after_for, .. } if !after_for.is_empty() => {
                self.facts.deeds.push(Deed::Declare { name: declare.portalname.clone(), sql: after_for.clone(), hold });
            }
            Body::Found { .. } | Body::Unknown => self.lost_body(),
        }
        "declare"
    }

    fn lost_body(&mut self) {
        self.doubt(Unknown::Plan);
        self.facts.deeds.push(Deed::Opaque);
    }

    /// A prepared statement is run: what it is, the caller knows.
    pub(in super::super) fn executed(&mut self, execute: &ExecuteStmt) {
        self.doubt(Unknown::Plan);
        let mut given = Trace::default();
        let arguments = execute.params.iter().map(|node| self.argument(node, &mut given)).collect();
        // Of what becomes of its parameters that statement's own text says nothing: they may go anywhere.
        self.facts.stores.push((Target::Nameless, given));
        self.facts.uses.push(Use::Execute { name: execute.name.clone(), arguments });
    }

    /// Where an argument's constants are. What is near them, the statement that is run says.
    fn argument(&mut self, node: &Node, given: &mut Trace) -> Vec<Range<usize>> {
        let others = std::mem::take(&mut self.literals);
        let value = self.expression(node, None);
        let work = given.add(&value.trace);
        self.spend(work);
        let lost = Val { trace: Trace::Undecided, loose: value.loose };
        self.settle(&lost);
        let mine = std::mem::replace(&mut self.literals, others);
        let found = mine.keys().map(|at| *at..*at).collect();
        self.literals.extend(mine);
        found
    }
}

/// A type as it is written, `public.kind[]`.
fn type_text(name: &TypeName) -> String {
    let mut text = name.names.iter().filter_map(word).collect::<Vec<_>>().join(".");
    name.array_bounds.iter().for_each(|_| text.push_str("[]"));
    text
}
