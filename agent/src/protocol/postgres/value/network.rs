//! Addresses: `inet`, `cidr`, `macaddr`, `macaddr8` (`network.c`, `mac.c`).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::wire::Reader;
use super::{Bad, Result};

/// The server's own numbers of the families.
const INET: u8 = 2;
const INET6: u8 = 3;

pub(super) fn read_inet(reader: &mut Reader<'_>, cidr: bool) -> Result<String, Bad> {
    let (family, bits) = (reader.u8()?, reader.u8()?);
    let (_is_cidr, length) = (reader.u8()?, reader.u8()?);
    let (address, most) = match (family, length) {
        (INET, 4) => (Ipv4Addr::from(reader.array::<4>()?).to_string(), 32),
        (INET6, 16) => (v6(Ipv6Addr::from(reader.array::<16>()?)), 128),
        _ => return Err(Bad),
    };
    match bits {
        bits if bits > most => Err(Bad),
        bits if bits < most || cidr => Ok(format!("{address}/{bits}")),
        _ => Ok(address),
    }
}

/// The server writes addresses that only end in a v4 address so; Rust does only for mapped ones.
fn v6(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = address.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}

pub(super) fn write_inet(text: &str, cidr: bool) -> Option<Vec<u8>> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let (family, most, bytes) = if let Ok(v4) = address.parse::<Ipv4Addr>() {
        (INET, 32, v4.octets().to_vec())
    } else {
        (INET6, 128, address.parse::<Ipv6Addr>().ok()?.octets().to_vec())
    };
    let bits: u8 = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|bits| *bits <= most)?;
    // A network has nothing to the right of its mask.
    let beyond = |(place, byte): (usize, &u8)| {
        let kept = usize::from(bits).saturating_sub(place * 8).min(8);
        *byte & u8::try_from(0xFF_u16 >> kept).unwrap_or(0) != 0
    };
    if cidr && bytes.iter().enumerate().any(beyond) {
        return None;
    }
    let length = u8::try_from(bytes.len()).ok()?;
    Some([&[family, bits, u8::from(cidr), length][..], &bytes].concat())
}

pub(super) fn mac<const N: usize>(bytes: [u8; N]) -> String {
    bytes.map(|byte| super::scalar::hex(&[byte])).join(":")
}

pub(super) fn parse_mac<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|part| match super::scalar::unhex(part)?.as_slice() {
            [byte] => Some(*byte),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}
