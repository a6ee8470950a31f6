//! Who asks: address, scheme and host, as they were before any proxy that we trust.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};

use crate::Config;

/// The other end of the connection, noted by the accept loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

/// The one who asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Its address; a trusted proxy's word is taken for it.
    pub(crate) address: IpAddr,
    /// Whether the browser speaks HTTPS, to us or to a trusted proxy.
    pub(crate) https: bool,
    /// The host and port it asked for.
    pub(crate) host: String,
}

impl Client {
    /// Whether a browser treats our page as a secure context, without which it has no WebCrypto to give.
    pub(crate) fn is_secure(&self) -> bool {
        self.https || is_loopback(&self.host)
    }

    /// What rate limits count: an IPv4 address, or the /64 that one IPv6 household has.
    pub(crate) fn network(&self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

/// Who asks.
pub(crate) fn identify(config: &Config, request: &Request) -> Client {
    let peer = *request.extensions().get::<Peer>().expect("the accept loop notes the peer of every request");
    let trusted = |address: IpAddr| {
        let address = address.to_canonical();
        config.trusted_proxies.iter().any(|network| network.contains(&address))
    };
    let headers = request.headers();
    let mut client =
        Client { address: peer.address.ip(), https: peer.tls, host: host(request).unwrap_or_default() };
    if trusted(client.address) {
        if let Some(proto) = last(headers, "x-forwarded-proto") {
            client.https = proto.eq_ignore_ascii_case("https");
        }
        // From the right: each proxy adds the one it saw, and only what ours added can be believed.
        for hop in headers.get_all("x-forwarded-for").iter().rev() {
            let hops = hop.to_str().unwrap_or_default().rsplit(',');
            for address in hops.map_while(|hop| hop.trim().parse().ok()) {
                client.address = address;
                if !trusted(address) {
                    break;
                }
            }
            if !trusted(client.address) {
                break;
            }
        }
    }
    client
}

/// HTTP/1 has the host in a header, HTTP/2 in the request's own address.
fn host(request: &Request) -> Option<String> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or(request.uri().authority().map(|authority| authority.as_str())).map(str::to_owned)
}

fn last<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// Whether browsers treat this host as this machine itself, and so as secure without TLS.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for yes in ["localhost", "LOCALHOST:8420", "127.0.0.1:1", "127.9.9.9", "[::1]:8420", "a.localhost"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["example.org", "localhost.example.org", "192.168.1.2:8420", "[fe80::1]:80", "", "notlocalhost"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn a_household_counts_once() {
        let client = |address: &str| Client {
            address: address.parse().expect("an address"),
            https: false,
            host: String::new(),
        };
        assert_eq!(client("2001:db8::1").network(), client("2001:db8::2").network());
        assert_ne!(client("2001:db8::1").network(), client("2001:db8:0:1::1").network());
        assert_eq!(client("::ffff:192.0.2.1").network(), client("192.0.2.1").network());
        assert_ne!(client("192.0.2.1").network(), client("192.0.2.2").network());
    }
}
