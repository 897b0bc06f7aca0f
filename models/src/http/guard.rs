//! Keeps redirects of a public host out of the network of whoever runs this.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Looks names up, and refuses private addresses once a public host was spoken to. It stands where
/// names become addresses, so what is checked is what is connected to, and a name whose address
/// changes between two look-ups gains nothing.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Whether any address is fine, because the first host is a private one itself.
    open: bool,
    /// Whether the first host has been spoken to.
    strict: bool,
    proxied: bool,
    seen_private: Arc<AtomicBool>,
}

impl Guard {
    /// A guard for the first host, which the caller chose: anything goes.
    pub fn learning(proxied: bool) -> Self {
        Self { open: false, strict: false, proxied, seen_private: Arc::default() }
    }

    /// The guard for the hosts that one at `uri` sends to.
    pub fn learned(self, uri: &Uri) -> Self {
        if self.strict || self.open {
            return self;
        }
        // Behind a proxy the addresses seen are the proxy's; then only the name tells.
        let private = if self.proxied {
            literal(uri).is_some_and(is_private)
        } else {
            self.seen_private.load(Ordering::Relaxed)
        };
        Self { open: private, strict: !private, ..self }
    }

    /// Checks what an address says without a look-up.
    pub fn allows(&self, uri: &Uri) -> Result<(), String> {
        match literal(uri) {
            Some(ip) if self.strict && is_private(ip) => {
                Err(format!("a redirect leads to a private address ({ip})"))
            }
            _ => Ok(()),
        }
    }
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let private = |ip: IpAddr| is_private(ip);
        if found.iter().any(|a| private(a.ip())) {
            self.seen_private.store(true, Ordering::Relaxed);
        }
        if !self.strict || self.proxied {
            return Ok(found);
        }
        let mut public = self.empty();
        for address in found.iter().filter(|a| !private(a.ip())) {
            public.push(*address);
        }
        if public.is_empty() {
            return Err(Error::Io(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "a redirect leads to a private address",
            )));
        }
        Ok(public)
    }
}

fn literal(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    host.parse().ok()
}

/// Whether an address is not one of the public internet.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    // Tests have no public host: this one of the loopback's addresses plays it.
    #[cfg(test)]
    if ip == Ipv4Addr::new(127, 0, 0, 2) {
        return false;
    }
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // Unspecified and loopback, and IPv4 in its three disguises: mapped, compatible, NAT64.
        (0, 0, 0, 0, 0, 0) => (g == 0 && h <= 1) || v4(g, h),
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        // 6to4 carries an IPv4 address as well.
        (0x2002, high, low, ..) => v4(high, low),
        _ => {
            a & 0xfe00 == 0xfc00 // unique local
                || a & 0xffc0 == 0xfe80 // link local
                || a & 0xff00 == 0xff00 // multicast
                || (a == 0x64 && b == 0xff9b) // NAT64 of one's own network
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_in_every_disguise() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1", "::ffff:1.1.1.1"] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
