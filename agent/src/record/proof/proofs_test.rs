//! Proofs as they are made and checked: the known ones, all of small logs, and random ones of larger logs.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::Rc;

use proptest::prelude::*;

use super::known::{CONSISTENCY, INCLUSION, LEAVES, ROOTS, hash, hashes};
use super::{
    Frontier, Hash, Hashes, Head, ProofError, Prover, ProverError, leaf, verify_consistency, verify_inclusion,
};

/// A log that is all in memory.
#[derive(Clone, Default)]
struct Memory {
    leaves: Vec<Hash>,
    tiles: Vec<Hash>,
    heads: Vec<Head>,
    reads: Rc<Cell<usize>>,
}

impl Memory {
    fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let (mut tree, mut memory) = (Frontier::new(), Self::default());
        memory.heads.push(tree.head());
        for leaf in leaves {
            memory.leaves.push(leaf);
            memory.tiles.extend(tree.append(leaf).map(|(_, root)| root));
            memory.heads.push(tree.head());
        }
        memory
    }

    fn counted(size: u64) -> Self {
        Self::of((0..size).map(|n| leaf(&n.to_be_bytes())))
    }

    fn at(&self, size: u64) -> Prover<Self> {
        Prover::new(self.clone(), size).unwrap()
    }

    fn head(&self, size: u64) -> Head {
        self.heads[usize::try_from(size).unwrap()]
    }

    fn leaf(&self, index: u64) -> Hash {
        self.leaves[usize::try_from(index).unwrap()]
    }
}

impl Hashes for Memory {
    type Error = Infallible;

    fn tile(&mut self, index: u64) -> Result<Option<Hash>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        // One in seven was not stored.
        Ok(self.tiles.get(usize::try_from(index).unwrap()).filter(|_| index % 7 != 3).copied())
    }

    fn leaves(&mut self, range: Range<u64>) -> Result<Vec<Hash>, Infallible> {
        assert!(range.end - range.start <= 256);
        self.reads.set(self.reads.get() + 1);
        Ok(self.leaves[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec())
    }
}

#[test]
fn known_proofs_are_made_and_hold() {
    let log = Memory::of(LEAVES.map(leaf));
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(log.at(size).head().unwrap(), Head { size, root: hash(root) });
    }
    for (index, size, proof) in INCLUSION {
        let proof = hashes(proof);
        assert_eq!(verify_inclusion(&log.head(size), index, log.leaf(index), &proof), Ok(()));
        assert_eq!(log.at(size).inclusion(index).unwrap(), proof);
    }
    for (old, new, proof) in CONSISTENCY {
        let proof = hashes(proof);
        assert_eq!(verify_consistency(&log.head(old), &log.head(new), &proof), Ok(()));
        assert_eq!(log.at(new).consistency(old).unwrap(), proof);
    }
}

#[test]
fn every_proof_of_a_small_log_holds_and_for_nothing_else() {
    const SIZE: u64 = 35;
    let log = Memory::counted(SIZE);
    for new in 0..=SIZE {
        let mut prover = log.at(new);
        assert_eq!(prover.head().unwrap(), log.head(new));
        for index in 0..new {
            let proof = prover.inclusion(index).unwrap();
            for other in 0..SIZE {
                let shown = verify_inclusion(&log.head(new), other, log.leaf(index), &proof);
                assert_eq!(shown.is_ok(), other == index, "{index} as {other} in {new}");
            }
        }
        for old in 0..=new {
            let proof = prover.consistency(old).unwrap();
            for other in 1..=new {
                // Where nothing is needed, any log is itself.
                let shown = verify_consistency(&log.head(other), &log.head(new), &proof);
                assert_eq!(
                    shown.is_ok(),
                    other == old || other == new && proof.is_empty(),
                    "{old} as {other} to {new}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_is_said() {
    let log = Memory::counted(5);
    let (five, three) = (log.head(5), log.head(3));
    assert_eq!(verify_inclusion(&five, 5, log.leaf(0), &[]), Err(ProofError::Outside { index: 5, size: 5 }));
    assert_eq!(verify_consistency(&five, &three, &[]), Err(ProofError::Shrunk { old: 5, new: 3 }));
    assert_eq!(verify_inclusion(&five, 4, log.leaf(4), &[]), Err(ProofError::Length { found: 0, expected: 1 }));
    assert_eq!(verify_consistency(&three, &five, &[]), Err(ProofError::Length { found: 0, expected: 4 }));
    let long = vec![five.root; 5];
    assert_eq!(verify_consistency(&three, &five, &long), Err(ProofError::Length { found: 5, expected: 4 }));
    assert_eq!(verify_consistency(&five, &five, &long), Err(ProofError::Length { found: 5, expected: 0 }));
    let forged = Head { root: three.root, ..five };
    assert!(matches!(verify_consistency(&forged, &five, &[]), Err(ProofError::Root { size: 5, .. })));
    let something = Head { size: 0, root: three.root };
    assert!(matches!(verify_consistency(&something, &five, &[]), Err(ProofError::Root { size: 0, .. })));
    assert!(matches!(verify_consistency(&something, &something, &[]), Err(ProofError::Root { size: 0, .. })));
    assert!(matches!(log.at(5).inclusion(5), Err(ProverError::Outside { asked: 5, size: 5 })));
    assert!(matches!(log.at(5).consistency(6), Err(ProverError::Outside { asked: 6, size: 5 })));
    assert!(Prover::new(log, u64::MAX).is_err());
}

#[test]
fn sizes_that_no_log_has_do_not_confuse() {
    let root = leaf(b"");
    for size in [1_u64 << 63, (1 << 63) + 1, u64::MAX] {
        let head = Head { size, root };
        for index in [0, 1, size / 2, size - 1] {
            assert!(verify_inclusion(&head, index, root, &[root; 64]).is_err());
            assert!(verify_inclusion(&head, index, root, &[]).is_err());
        }
        for old in [1, 2, 3, size / 2, size - 1] {
            assert!(verify_consistency(&Head { size: old, root }, &head, &[root; 65]).is_err());
            assert!(verify_consistency(&Head { size: old, root }, &head, &[]).is_err());
        }
    }
}

#[test]
fn what_was_computed_is_not_read_again() {
    let log = Memory::counted(256 * 64 + 100);
    let mut prover = log.at(256 * 64 + 100);
    for index in (0..256 * 64).step_by(1000) {
        let proof = prover.inclusion(index).unwrap();
        assert_eq!(verify_inclusion(&log.head(256 * 64 + 100), index, log.leaf(index), &proof), Ok(()));
        if index == 0 {
            assert!(log.reads.get() > 60);
        }
    }
    assert!(log.reads.get() < 200, "{}", log.reads.get());
}

/// A log, a place in it, and how one hash of a proof is to be changed: which, which byte, and by what.
fn places() -> impl Strategy<Value = (u64, u64, (usize, usize, u8))> {
    let sizes = prop_oneof![1_u64..70, 1_u64..3000];
    sizes.prop_flat_map(|size| (Just(size), 0..size, (any::<usize>(), 0..32_usize, 1..=u8::MAX)))
}

/// Every way to change a proof a little.
fn changed(proof: &[Hash], (which, byte, by): (usize, usize, u8)) -> Vec<Vec<Hash>> {
    let mut longer = proof.to_vec();
    longer.push(leaf(b"more"));
    let mut ways = vec![longer];
    if !proof.is_empty() {
        let mut other = proof.to_vec();
        other[which % proof.len()].0[byte] ^= by;
        let mut without = proof.to_vec();
        without.remove(which % proof.len());
        ways.extend([other, without]);
    }
    if proof.len() > 1 {
        let mut swapped = proof.to_vec();
        let last = swapped.len() - 1;
        swapped.swap(which % last, which % last + 1);
        ways.push(swapped);
    }
    ways
}

proptest! {
    #[test]
    fn a_leaf_is_shown_to_be_there_and_nothing_else_is((size, index, change) in places()) {
        let log = Memory::counted(size);
        let (head, hash) = (log.head(size), log.leaf(index));
        let proof = log.at(size).inclusion(index).unwrap();
        prop_assert_eq!(verify_inclusion(&head, index, hash, &proof), Ok(()));
        for changed in changed(&proof, change) {
            prop_assert!(verify_inclusion(&head, index, hash, &changed).is_err());
        }
        let (mut other, mut forged) = (hash, head);
        other.0[change.1] ^= change.2;
        forged.root.0[change.1] ^= change.2;
        prop_assert!(verify_inclusion(&head, index, other, &proof).is_err());
        prop_assert!(verify_inclusion(&forged, index, hash, &proof).is_err());
        prop_assert!(verify_inclusion(&head, (index + 1) % size, hash, &proof).is_err() || size == 1);
    }

    #[test]
    fn growth_is_shown_and_nothing_else_is((new, old, change) in places()) {
        let log = Memory::counted(new);
        let (from, to) = (log.head(old), log.head(new));
        let proof = log.at(new).consistency(old).unwrap();
        prop_assert_eq!(verify_consistency(&from, &to, &proof), Ok(()));
        for changed in changed(&proof, change) {
            prop_assert!(verify_consistency(&from, &to, &changed).is_err());
        }
        let (mut rewritten, mut forged) = (from, to);
        rewritten.root.0[change.1] ^= change.2;
        forged.root.0[change.1] ^= change.2;
        prop_assert!(verify_consistency(&rewritten, &to, &proof).is_err());
        // Everything grows out of nothing.
        prop_assert!(verify_consistency(&from, &forged, &proof).is_err() || old == 0);
    }
}
