//! The words policies are written in: the schema, as a whole and as each protocol narrows it.

use std::sync::LazyLock;

use cedar_policy::{
    CedarSchemaError, EntityId, EntityTypeName, EntityUid, ParseErrors, Schema, SchemaError, SchemaFragment, Validator,
};

use super::Protocol;

/// The schema, as shipped.
pub const SCHEMA: &str = include_str!("../../../policies/schema.cedarschema");

/// Kinds of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A process.
    Workload,
    /// Somebody.
    Person,
    /// People.
    Group,
    /// This host.
    Host,
    /// Where a flow goes.
    Target,
    /// A database of a target.
    Database,
    /// A schema of a database.
    Schema,
    /// A table of a schema.
    Table,
    /// A column of a table or a field of an answer.
    Column,
    /// A method, host and path.
    HttpRoute,
    /// An object of a Kubernetes API.
    KubernetesObject,
    /// A command asked of an SSH server.
    SshCommand,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Workload,
        Self::Person,
        Self::Group,
        Self::Host,
        Self::Target,
        Self::Database,
        Self::Schema,
        Self::Table,
        Self::Column,
        Self::HttpRoute,
        Self::KubernetesObject,
        Self::SshCommand,
    ];

    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "Workload",
            Self::Person => "Person",
            Self::Group => "Group",
            Self::Host => "Host",
            Self::Target => "Target",
            Self::Database => "Database",
            Self::Schema => "Schema",
            Self::Table => "Table",
            Self::Column => "Column",
            Self::HttpRoute => "HttpRoute",
            Self::KubernetesObject => "KubernetesObject",
            Self::SshCommand => "SshCommand",
        }
    }
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// May a flow be opened?
    Connect,
    /// May a request be run?
    Execute,
    /// May a field be seen in clear?
    Reveal,
}

impl Action {
    /// Every action, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Execute, Self::Reveal];

    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Execute => "execute",
            Self::Reveal => "reveal",
        }
    }
}

/// Why the shipped schema cannot be used: a defect of the build.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// The schema does not parse.
    #[error("the built-in policy schema does not parse")]
    Schema(#[from] Box<CedarSchemaError>),
    /// The schema, or a narrowed one, makes no sense.
    #[error("the built-in policy schema is inconsistent")]
    Inconsistent(#[from] Box<SchemaError>),
    /// A name is none.
    #[error("a built-in name is no Cedar name")]
    Name(#[from] Box<ParseErrors>),
    /// The schema has not the shape the narrowing expects.
    #[error("the built-in policy schema lacks `{0}`")]
    Lacks(&'static str),
}

/// Names and validators, made once.
pub struct Vocabulary {
    kinds: Vec<EntityTypeName>,
    actions: Vec<EntityUid>,
    general: Validator,
    narrowed: Vec<(Protocol, Validator)>,
    facts: Vec<String>,
}

impl Vocabulary {
    /// The one vocabulary of the process.
    ///
    /// # Errors
    /// When the shipped schema is defective.
    pub fn shared() -> Result<&'static Self, &'static VocabularyError> {
        static SHARED: LazyLock<Result<Vocabulary, VocabularyError>> = LazyLock::new(Vocabulary::new);
        SHARED.as_ref()
    }

    fn new() -> Result<Self, VocabularyError> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).map_err(Box::new)?;
        let json = fragment.to_json_value().map_err(Box::new)?;
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(|error| VocabularyError::Name(Box::new(error)));
        let kinds = Kind::ALL.into_iter().map(|kind| name(kind.as_str())).collect::<Result<Vec<_>, _>>()?;
        let action = name("Action")?;
        let actions = Action::ALL.into_iter().map(|one| uid(&action, one.as_str())).collect();
        let narrowed = |protocol| Ok((protocol, validator(narrow(json.clone(), protocol)?)?));
        Ok(Self {
            kinds,
            actions,
            narrowed: Protocol::ALL.into_iter().map(narrowed).collect::<Result<_, VocabularyError>>()?,
            facts: names(&json),
            general: validator(json)?,
        })
    }

    /// The entity of a kind and an id.
    pub(super) fn uid(&self, kind: Kind, id: &str) -> Option<EntityUid> {
        self.kinds.get(kind as usize).map(|name| uid(name, id))
    }

    /// The entity of an action.
    pub(super) fn action(&self, action: Action) -> Option<&EntityUid> {
        self.actions.get(action as usize)
    }

    /// For policies about anything.
    pub(super) fn general(&self) -> &Validator {
        &self.general
    }

    /// For policies about one protocol.
    pub(super) fn narrowed(&self, protocol: Protocol) -> Option<&Validator> {
        self.narrowed.iter().find(|(one, _)| *one == protocol).map(|(_, validator)| validator)
    }

    /// Every name of the schema: what a misspelt one may have meant.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(String::as_str)
    }
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn validator(json: serde_json::Value) -> Result<Validator, VocabularyError> {
    Ok(Validator::new(Schema::from_json_value(json).map_err(Box::new)?))
}

/// The schema as it is where `protocol` is spoken: `execute` is about its kind of resource, what it always supplies is
/// required, and what it never supplies is not there.
fn narrow(mut json: serde_json::Value, protocol: Protocol) -> Result<serde_json::Value, VocabularyError> {
    // The first key of the pointer is the empty namespace.
    let applies = json.pointer_mut("//actions/execute/appliesTo").ok_or(VocabularyError::Lacks("execute"))?;
    if let Some(kinds) = applies.get_mut("resourceTypes") {
        *kinds = serde_json::json!([protocol.kind().as_str()]);
    }
    let attributes = applies.pointer_mut("/context/attributes").and_then(serde_json::Value::as_object_mut);
    let attributes = attributes.ok_or(VocabularyError::Lacks("the context of execute"))?;
    attributes.retain(|name, of| {
        let optional = of.get("required") == Some(&serde_json::Value::Bool(false));
        !optional || protocol.may_supply(name)
    });
    for name in protocol.always() {
        let fact = attributes.get_mut(*name).and_then(serde_json::Value::as_object_mut);
        fact.ok_or(VocabularyError::Lacks(name))?.insert("required".to_owned(), true.into());
    }
    Ok(json)
}

/// Entity types, actions, and the attributes of both.
fn names(json: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(json, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect(json: &serde_json::Value, found: &mut Vec<String>) {
    let Some(object) = json.as_object() else { return };
    for (key, value) in object {
        if matches!(key.as_str(), "entityTypes" | "actions" | "attributes") {
            found.extend(value.as_object().into_iter().flat_map(|named| named.keys().cloned()));
        }
        collect(value, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_and_every_narrowed_one_hold_together() {
        let vocabulary = Vocabulary::shared().unwrap();
        assert_eq!(vocabulary.narrowed.len(), Protocol::ALL.len());
        for name in ["Workload", "execute", "has_predicate", "hour", "people"] {
            assert!(vocabulary.names().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn the_schema_explains_each_of_its_declarations() {
        let mut commented = false;
        for line in SCHEMA.lines() {
            if line.starts_with("entity ") || line.starts_with("type ") || line.starts_with("action ") {
                assert!(commented, "without a comment: {line}");
            }
            commented = line.starts_with("//");
        }
    }
}
