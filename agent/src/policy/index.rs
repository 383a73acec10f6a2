//! Which policies can matter to a question: found by action, resource and principal before Cedar sees any.
//!
//! Every policy is in exactly one bucket. A question is put to the buckets its principal and resource lead to, and the
//! answers are joined as Cedar joins those of single policies: a forbid anywhere denies, else a permit anywhere allows.

use std::collections::HashMap;

use cedar_policy::{Policy, PolicySet, PolicySetError};

use super::{
    Action,
    approval::Hints,
    facts::Scene,
    question::Workload,
    shape::{About, INDEXED, Shape},
};

/// Policies about the same principals and resources.
#[derive(Default)]
pub(super) struct Bucket {
    pub(super) policies: PolicySet,
    pub(super) hints: Hints,
}

/// Buckets by resource, then by principal, for each action.
#[derive(Default)]
pub(super) struct Index {
    by_action: [HashMap<About, HashMap<About, Bucket>>; 3],
}

impl Index {
    /// Enters a policy under each of its actions.
    pub(super) fn add(&mut self, policy: &Policy, shape: &Shape) -> Result<(), Box<PolicySetError>> {
        for (buckets, _) in self.by_action.iter_mut().zip(shape.actions).filter(|(_, named)| *named) {
            let by_principal = buckets.entry(shape.resource.clone()).or_default();
            let bucket = by_principal.entry(shape.principal.clone()).or_default();
            bucket.policies.add(policy.clone())?;
            bucket.hints.merge(&shape.hints);
        }
        Ok(())
    }

    /// The buckets a question leads to.
    pub(super) fn find(&self, action: Action, scene: &Scene, who: &Workload) -> Vec<&Bucket> {
        let Some(buckets) = self.by_action.get(action as usize) else { return Vec::new() };
        let principals = principals(scene, who);
        let object = &scene.object;
        let within = object.within.iter().chain([&object.uid]).map(|uid| About::Entity(uid.clone()));
        let mut found = Vec::new();
        for resource in within.chain([About::Any, About::Kind(object.kind)]) {
            let Some(by_principal) = buckets.get(&resource) else { continue };
            if by_principal.len() < principals.len() {
                let named = by_principal.iter().filter(|(about, _)| principals.contains(about));
                found.extend(named.map(|(_, bucket)| bucket));
            } else {
                found.extend(principals.iter().filter_map(|about| by_principal.get(about)));
            }
        }
        found
    }
}

fn principals(scene: &Scene, who: &Workload) -> Vec<About> {
    let within = scene.asker.within.iter().chain([&scene.asker.uid]).map(|uid| About::Entity(uid.clone()));
    let values =
        [Some(&who.spiffe), who.unit.as_ref(), who.user.as_ref(), who.container.as_ref(), who.executable.as_ref()];
    let named = INDEXED.into_iter().zip(values);
    let named = named.filter_map(|(name, value)| Some(About::Attribute(name, value?.clone())));
    within.chain(named).chain([About::Any]).collect()
}
