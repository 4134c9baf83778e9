use std::net::IpAddr;

/// Addresses of this machine that can be host candidates (RFC 8445 section 5.1.1.1).
///
/// Loopback is left out unless `with_loopback`, or it is all there is. Link-local IPv6 is left out: it needs a zone
/// that candidates cannot carry.
#[must_use]
pub fn local_addresses(with_loopback: bool) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "network interfaces could not be listed; only loopback is used");
        Vec::new()
    });
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
    };
    let all: Vec<IpAddr> = interfaces.iter().map(|interface| interface.ip()).filter(usable).collect();
    let (loopback, mut addresses): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(IpAddr::is_loopback);
    if with_loopback || addresses.is_empty() {
        let preferred = loopback.iter().find(|ip| ip.is_ipv4()).or(loopback.first());
        addresses.insert(0, preferred.copied().unwrap_or(IpAddr::from([127, 0, 0, 1])));
    }
    addresses
}
