//! The stored edge of a log, and proofs about it: any bytes are refused or are the edge they lead back to, which then
//! grows; and a proof of any hashes shows nothing that is not so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sallyport::record::proof::{Frontier, Hash, MAX_SIZE, leaf, verify_consistency, verify_inclusion};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut edge) = Frontier::from_bytes(bytes) {
        assert_eq!(edge.to_bytes(), bytes);
        let before = edge.head();
        for n in 0..300_u64 {
            let completed = edge.append(leaf(&n.to_be_bytes()));
            assert_eq!(completed.map(|(tile, _)| tile), (edge.size() % 256 == 0).then(|| edge.size() / 256 - 1));
        }
        assert_eq!(edge.size(), before.size + 300);
        assert_eq!(Frontier::from_bytes(&edge.to_bytes()).ok(), (edge.size() <= MAX_SIZE).then(|| edge.clone()));
        let (proof, _) = bytes.as_chunks();
        let proof: Vec<Hash> = proof.iter().copied().map(Hash).collect();
        let last = edge.size() - 1;
        assert!(verify_inclusion(&edge.head(), last, leaf(bytes), &proof).is_err());
        assert!(verify_consistency(&before, &edge.head(), &proof).is_err() || before.size == 0);
    }
});
