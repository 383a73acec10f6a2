//! Bytes that are easy to make and hard to mistake, for transfers that must arrive whole.

use sha2::{Digest, Sha256};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

/// Sends `count` bytes of the pattern of `seed` while receiving to the end, and says how many came and their digest.
pub fn exchange(stream: &TcpStream, count: u64, seed: u64) -> io::Result<String> {
    let mut out = stream.try_clone()?;
    let sender = thread::spawn(move || {
        blocks(count, seed, |block| out.write_all(block))?;
        out.shutdown(Shutdown::Write)
    });
    let mut digest = Sha256::new();
    let mut received = 0_u64;
    let mut buffer = vec![0; 65_536];
    loop {
        match (&mut &*stream).read(&mut buffer)? {
            0 => break,
            read => {
                digest.update(&buffer[..read]);
                received += read as u64;
            }
        }
    }
    sender.join().map_err(|_| io::Error::other("the sender died"))??;
    Ok(summary(received, digest))
}

/// What [`exchange`] says at the other end when everything arrives.
pub fn expected(count: u64, seed: u64) -> String {
    let mut digest = Sha256::new();
    blocks(count, seed, |block| {
        digest.update(block);
        Ok(())
    })
    .unwrap();
    summary(count, digest)
}

fn summary(count: u64, digest: Sha256) -> String {
    format!("{count} {}", hex(&digest.finalize()))
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn blocks(count: u64, seed: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut state = seed;
    let mut left = usize::try_from(count).map_err(io::Error::other)?;
    while left > 0 {
        let mut block = Vec::with_capacity(65_536);
        for _ in 0..8192 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend(state.to_le_bytes());
        }
        let part = &block[..left.min(block.len())];
        take(part)?;
        left -= part.len();
    }
    Ok(())
}
