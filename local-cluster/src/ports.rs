//! TCP ports on 127.0.0.1: chosen once, remembered, chosen again only when somebody else has taken one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, TcpListener},
};

use crate::ClusterError;

/// Below the range that Linux hands out to outgoing connections (from 32768), and so never taken by accident,
/// not even by a client that dials a port while its server restarts.
const FIRST: u16 = 20_000;
/// The last port of the range.
const LAST: u16 = 31_999;

/// True when a server may listen on `port` of 127.0.0.1.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Gives every purpose a free port: the remembered one, else a new one.
pub(crate) fn assign(
    ports: &mut BTreeMap<String, u16>,
    purposes: &[&str],
) -> Result<(), ClusterError> {
    for purpose in purposes {
        let kept = ports.get(*purpose).is_some_and(|port| is_free(*port));
        if !kept {
            let taken: BTreeSet<u16> = ports.values().copied().collect();
            ports.insert((*purpose).to_owned(), choose(&taken)?);
        }
    }
    Ok(())
}

/// A random free port, so that clusters started at the same moment do not choose the same one.
fn choose(taken: &BTreeSet<u16>) -> Result<u16, ClusterError> {
    let count = u32::from(LAST - FIRST) + 1;
    let start = getrandom::u32().map_err(ClusterError::Random)? % count;
    (0..count)
        .filter_map(|step| u16::try_from(u32::from(FIRST) + (start + step) % count).ok())
        .find(|port| !taken.contains(port) && is_free(*port))
        .ok_or(ClusterError::NoFreePort {
            first: FIRST,
            last: LAST,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_remembered_ports_when_assigned_again_then_they_are_kept_unless_taken() {
        let mut ports = BTreeMap::new();
        assign(&mut ports, &["kafka", "postgres"]).unwrap();
        let first = ports.clone();
        assign(&mut ports, &["kafka", "postgres"]).unwrap();
        assert_eq!(ports, first);

        let _squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, first["kafka"])).unwrap();
        assign(&mut ports, &["kafka", "postgres"]).unwrap();
        assert_ne!(ports["kafka"], first["kafka"]);
        assert_eq!(ports["postgres"], first["postgres"]);
    }
}
