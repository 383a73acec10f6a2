//! Statements that need only be known by name: what each is called and what kind it is.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateStatsStmt, Node, ObjectType, RangeVar, ReindexObjectType};

use super::super::super::facts::{Kind, Output, Unknown};
use super::super::super::names::Unlisted;
use super::super::super::trace::Trace;
use super::super::scope::Scope;
use super::super::{Target, Walker};

/// What verbs call a kind of object.
pub(super) struct Verbs {
    pub(super) create: &'static str,
    pub(super) alter: &'static str,
    pub(super) drop: &'static str,
}

macro_rules! verbs {
    ($($variant:ident => $name:literal,)*) => {
        /// The verbs of a kind of object.
        pub(super) fn object(kind: i32) -> Verbs {
            match ObjectType::try_from(kind) {
                $(Ok(ObjectType::$variant) => Verbs {
                    create: concat!("create ", $name),
                    alter: concat!("alter ", $name),
                    drop: concat!("drop ", $name),
                },)*
                Err(_) => Verbs { create: "create", alter: "alter", drop: "drop" },
            }
        }
    };
}

verbs! {
    Undefined => "object",
    ObjectAccessMethod => "access method",
    ObjectAggregate => "aggregate",
    ObjectAmop => "operator family",
    ObjectAmproc => "operator family",
    ObjectAttribute => "type",
    ObjectCast => "cast",
    ObjectColumn => "table",
    ObjectCollation => "collation",
    ObjectConversion => "conversion",
    ObjectDatabase => "database",
    ObjectDefault => "table",
    ObjectDefacl => "default privileges",
    ObjectDomain => "domain",
    ObjectDomconstraint => "domain",
    ObjectEventTrigger => "event trigger",
    ObjectExtension => "extension",
    ObjectFdw => "foreign data wrapper",
    ObjectForeignServer => "server",
    ObjectForeignTable => "foreign table",
    ObjectFunction => "function",
    ObjectIndex => "index",
    ObjectLanguage => "language",
    ObjectLargeobject => "large object",
    ObjectMatview => "materialized view",
    ObjectOpclass => "operator class",
    ObjectOperator => "operator",
    ObjectOpfamily => "operator family",
    ObjectParameterAcl => "parameter",
    ObjectPolicy => "policy",
    ObjectProcedure => "procedure",
    ObjectPublication => "publication",
    ObjectPublicationNamespace => "publication",
    ObjectPublicationRel => "publication",
    ObjectRole => "role",
    ObjectRoutine => "routine",
    ObjectRule => "rule",
    ObjectSchema => "schema",
    ObjectSequence => "sequence",
    ObjectSubscription => "subscription",
    ObjectStatisticExt => "statistics",
    ObjectTabconstraint => "table",
    ObjectTable => "table",
    ObjectTablespace => "tablespace",
    ObjectTransform => "transform",
    ObjectTrigger => "trigger",
    ObjectTsconfiguration => "text search configuration",
    ObjectTsdictionary => "text search dictionary",
    ObjectTsparser => "text search parser",
    ObjectTstemplate => "text search template",
    ObjectType => "type",
    ObjectUserMapping => "user mapping",
    ObjectView => "view",
}

/// What a statement does to what names mean.
enum Effect {
    /// Nothing.
    None,
    /// The catalog tells less than before about anything.
    Any,
    /// That too: data may come from elsewhere, which may be this very database.
    Elsewhere,
}

/// What a statement is called, what it is, and what it does to names.
type Listed = (&'static str, &'static [Kind], Effect);

const DDL: &[Kind] = &[Kind::Ddl];
const DROP: &[Kind] = &[Kind::Ddl, Kind::Destructive];
const DCL: &[Kind] = &[Kind::Dcl];
const UNGRANT: &[Kind] = &[Kind::Dcl, Kind::Destructive];
const PROGRAM: &[Kind] = &[Kind::Ddl, Kind::Program];
const LASTING: &[Kind] = &[Kind::Session, Kind::Write];

impl Walker<'_> {
    /// Whether it is one of these.
    pub(in super::super) fn listed(&mut self, statement: &NodeEnum) -> bool {
        let found = privileges(statement).or_else(|| objects(statement)).or_else(|| upkeep(statement));
        let Some((verb, kinds, effect)) = found else { return false };
        self.facts.verb = verb;
        self.facts.kinds.extend(kinds);
        self.facts.output = Output::Nothing;
        if let Effect::Any | Effect::Elsewhere = effect {
            self.facts.changes_catalog = true;
            self.facts.unlists = Unlisted::Any;
        }
        if let Effect::Elsewhere = effect {
            self.facts.stores.push((Target::Nameless, Trace::Undecided));
        }
        if let Some(range) = relation(statement) {
            self.written(range);
        }
        if let NodeEnum::CreateDomainStmt(domain) = statement
            && domain.constraints.iter().any(has_code)
        {
            // It is run for whoever makes a value of it, later.
            self.doubt(Unknown::Language);
        }
        self.computes_later(statement);
        true
    }

    /// What such a statement has computed by later ones.
    #[expect(clippy::wildcard_enum_match_arm, reason = "others have no expressions that are computed with rows")]
    fn computes_later(&mut self, statement: &NodeEnum) {
        match statement {
            NodeEnum::CreatePolicyStmt(create) => {
                self.policy(create.table.as_ref(), [create.qual.as_deref(), create.with_check.as_deref()]);
            }
            NodeEnum::AlterPolicyStmt(alter) => {
                self.policy(alter.table.as_ref(), [alter.qual.as_deref(), alter.with_check.as_deref()]);
            }
            NodeEnum::CreateTrigStmt(create) => self.trigger(create),
            NodeEnum::CreateDomainStmt(create) => self.domain(&create.constraints),
            NodeEnum::AlterDomainStmt(alter) => self.altered_domain(alter),
            NodeEnum::CreateStatsStmt(create) => self.statistics(create),
            _ => {}
        }
    }

    /// What ANALYZE will compute of rows.
    fn statistics(&mut self, create: &CreateStatsStmt) {
        let mut items = Vec::new();
        for node in &create.relations {
            match &node.node {
                Some(NodeEnum::RangeVar(range)) => items.push(self.stored(range)),
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
        let scope = Scope { items: &items, goes_on: false, outer: None };
        for node in &create.exprs {
            match &node.node {
                Some(NodeEnum::StatsElem(element)) if element.name.is_empty() => {
                    self.optional(element.expr.as_deref(), Some(&scope));
                }
                Some(NodeEnum::StatsElem(element)) => {
                    let value = self.plain_column(&element.name, Some(&scope));
                    self.looked_at(&value.trace);
                }
                Some(_) | None => self.doubt(Unknown::Node),
            }
        }
    }
}

/// Whether a constraint evaluates something: a default or a condition.
fn has_code(node: &Node) -> bool {
    let Some(NodeEnum::Constraint(constraint)) = &node.node else { return true };
    constraint.raw_expr.is_some() || !constraint.cooked_expr.is_empty()
}

/// Who may do what.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
fn privileges(statement: &NodeEnum) -> Option<Listed> {
    Some(match statement {
        NodeEnum::GrantStmt(grant) => {
            // Schemas the role may not use are not on its path.
            let schemas = grant.objtype == ObjectType::ObjectSchema as i32;
            let effect = if schemas { Effect::Any } else { Effect::None };
            (if grant.is_grant { "grant" } else { "revoke" }, DCL, effect)
        }
        NodeEnum::GrantRoleStmt(grant) => (if grant.is_grant { "grant" } else { "revoke" }, DCL, Effect::Any),
        NodeEnum::AlterDefaultPrivilegesStmt(_) => ("alter default privileges", DCL, Effect::None),
        NodeEnum::CreateRoleStmt(_) => ("create role", DCL, Effect::None),
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => ("alter role", DCL, Effect::None),
        NodeEnum::DropRoleStmt(_) => ("drop role", UNGRANT, Effect::None),
        NodeEnum::CreateUserMappingStmt(_) => ("create user mapping", DCL, Effect::Elsewhere),
        NodeEnum::AlterUserMappingStmt(_) => ("alter user mapping", DCL, Effect::Elsewhere),
        NodeEnum::DropUserMappingStmt(_) => ("drop user mapping", UNGRANT, Effect::None),
        NodeEnum::CreatePolicyStmt(_) => ("create policy", DCL, Effect::None),
        NodeEnum::AlterPolicyStmt(_) => ("alter policy", DCL, Effect::None),
        NodeEnum::ReassignOwnedStmt(_) => ("reassign owned", DCL, Effect::None),
        NodeEnum::DropOwnedStmt(_) => ("drop owned", &[Kind::Ddl, Kind::Dcl, Kind::Destructive], Effect::Any),
        NodeEnum::AlterOwnerStmt(alter) => (object(alter.object_type).alter, DCL, Effect::Any),
        NodeEnum::SecLabelStmt(_) => ("security label", DCL, Effect::None),
        _ => return None,
    })
}

/// Objects other than relations.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is looked for elsewhere")]
fn objects(statement: &NodeEnum) -> Option<Listed> {
    Some(match statement {
        NodeEnum::DefineStmt(define) => (object(define.kind).create, DDL, Effect::Any),
        NodeEnum::CreateDomainStmt(_) => ("create domain", DDL, Effect::Any),
        NodeEnum::AlterDomainStmt(_) => ("alter domain", DDL, Effect::Any),
        NodeEnum::CreateEnumStmt(_) | NodeEnum::CreateRangeStmt(_) => ("create type", DDL, Effect::Any),
        NodeEnum::AlterEnumStmt(_) | NodeEnum::AlterTypeStmt(_) => ("alter type", DDL, Effect::Any),
        NodeEnum::AlterFunctionStmt(alter) => (object(alter.objtype).alter, DDL, Effect::Any),
        NodeEnum::AlterOperatorStmt(_) => ("alter operator", DDL, Effect::Any),
        NodeEnum::CreateOpClassStmt(_) => ("create operator class", DDL, Effect::Any),
        NodeEnum::CreateOpFamilyStmt(_) => ("create operator family", DDL, Effect::Any),
        NodeEnum::AlterOpFamilyStmt(_) => ("alter operator family", DDL, Effect::Any),
        NodeEnum::CreateCastStmt(_) => ("create cast", DDL, Effect::Any),
        NodeEnum::CreateConversionStmt(_) => ("create conversion", DDL, Effect::Any),
        NodeEnum::CreateTransformStmt(_) => ("create transform", DDL, Effect::Any),
        NodeEnum::CreateTrigStmt(_) => ("create trigger", DDL, Effect::Any),
        NodeEnum::CreateEventTrigStmt(_) => ("create event trigger", DDL, Effect::Any),
        NodeEnum::AlterEventTrigStmt(_) => ("alter event trigger", DDL, Effect::Any),
        NodeEnum::AlterCollationStmt(_) => ("alter collation", DDL, Effect::None),
        NodeEnum::AlterObjectDependsStmt(alter) => (object(alter.object_type).alter, DDL, Effect::None),
        NodeEnum::AlterTsdictionaryStmt(_) => ("alter text search dictionary", DDL, Effect::None),
        NodeEnum::AlterTsconfigurationStmt(_) => ("alter text search configuration", DDL, Effect::None),
        NodeEnum::CreateStatsStmt(_) => ("create statistics", DDL, Effect::None),
        NodeEnum::AlterStatsStmt(_) => ("alter statistics", DDL, Effect::None),
        NodeEnum::AlterSeqStmt(_) => ("alter sequence", DDL, Effect::None),
        NodeEnum::CommentStmt(_) => ("comment", DDL, Effect::None),
        NodeEnum::CreateExtensionStmt(_) => ("create extension", PROGRAM, Effect::Any),
        NodeEnum::AlterExtensionStmt(_) | NodeEnum::AlterExtensionContentsStmt(_) => {
            ("alter extension", PROGRAM, Effect::Any)
        }
        NodeEnum::CreatePlangStmt(_) => ("create language", PROGRAM, Effect::Any),
        NodeEnum::CreateAmStmt(_) => ("create access method", PROGRAM, Effect::Any),
        NodeEnum::CreateFdwStmt(_) => ("create foreign data wrapper", PROGRAM, Effect::Elsewhere),
        NodeEnum::AlterFdwStmt(_) => ("alter foreign data wrapper", PROGRAM, Effect::Elsewhere),
        NodeEnum::CreateForeignServerStmt(_) => ("create server", PROGRAM, Effect::Elsewhere),
        NodeEnum::AlterForeignServerStmt(_) => ("alter server", PROGRAM, Effect::Elsewhere),
        NodeEnum::ImportForeignSchemaStmt(_) => ("import foreign schema", PROGRAM, Effect::Elsewhere),
        NodeEnum::CreatePublicationStmt(_) => ("create publication", DDL, Effect::None),
        NodeEnum::AlterPublicationStmt(_) => ("alter publication", DDL, Effect::None),
        NodeEnum::CreateSubscriptionStmt(_) => ("create subscription", PROGRAM, Effect::Elsewhere),
        NodeEnum::AlterSubscriptionStmt(_) => ("alter subscription", PROGRAM, Effect::Elsewhere),
        NodeEnum::DropSubscriptionStmt(_) => ("drop subscription", DROP, Effect::None),
        _ => return None,
    })
}

/// Databases, storage and the server itself.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not one of these is not known")]
fn upkeep(statement: &NodeEnum) -> Option<Listed> {
    Some(match statement {
        NodeEnum::CreatedbStmt(_) => ("create database", DDL, Effect::None),
        NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_)
        | NodeEnum::AlterDatabaseRefreshCollStmt(_) => ("alter database", DDL, Effect::None),
        NodeEnum::DropdbStmt(_) => ("drop database", DROP, Effect::None),
        NodeEnum::CreateTableSpaceStmt(_) => ("create tablespace", &[Kind::Ddl, Kind::File], Effect::None),
        NodeEnum::DropTableSpaceStmt(_) => ("drop tablespace", DROP, Effect::None),
        NodeEnum::AlterTableSpaceOptionsStmt(_) => ("alter tablespace", DDL, Effect::None),
        NodeEnum::AlterTableMoveAllStmt(alter) => (object(alter.objtype).alter, DDL, Effect::None),
        // Settings of the server name files and commands it runs.
        NodeEnum::AlterSystemStmt(_) => ("alter system", &[Kind::Session, Kind::File, Kind::Program], Effect::None),
        NodeEnum::LoadStmt(_) => ("load", &[Kind::Session, Kind::Program], Effect::Any),
        NodeEnum::ClusterStmt(_) => ("cluster", DDL, Effect::None),
        NodeEnum::CheckPointStmt(_) => ("checkpoint", LASTING, Effect::None),
        NodeEnum::ReindexStmt(reindex) => {
            let verb = match ReindexObjectType::try_from(reindex.kind) {
                Ok(ReindexObjectType::ReindexObjectIndex) => "reindex index",
                Ok(ReindexObjectType::ReindexObjectTable) => "reindex table",
                Ok(ReindexObjectType::ReindexObjectSchema) => "reindex schema",
                Ok(ReindexObjectType::ReindexObjectSystem) => "reindex system",
                Ok(ReindexObjectType::ReindexObjectDatabase) => "reindex database",
                Ok(ReindexObjectType::Undefined) | Err(_) => "reindex",
            };
            (verb, DDL, Effect::None)
        }
        _ => return None,
    })
}

/// The relation such a statement is about, where it changes what may be done to its rows.
#[expect(clippy::wildcard_enum_match_arm, reason = "others are about no relation's rows")]
fn relation(statement: &NodeEnum) -> Option<&RangeVar> {
    match statement {
        NodeEnum::CreatePolicyStmt(policy) => policy.table.as_ref(),
        NodeEnum::AlterPolicyStmt(policy) => policy.table.as_ref(),
        NodeEnum::CreateTrigStmt(trigger) => trigger.relation.as_ref(),
        NodeEnum::AlterOwnerStmt(alter) => alter.relation.as_ref(),
        NodeEnum::ClusterStmt(cluster) => cluster.relation.as_ref(),
        _ => None,
    }
}
