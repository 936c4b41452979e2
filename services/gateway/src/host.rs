//! Who is asked: where there are no keys, only a request that names this machine is taken.
//!
//! Without keys the gateway trusts whoever reaches a loopback address, and a browser on this machine does. A page of
//! somebody else's may let its own name lead to 127.0.0.1 (DNS rebinding) and then read and publish as if it came from
//! here; the `Host` header still says that name.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};

use crate::problem::{Fault, Problem, ProblemKind};

/// Names that lead to this machine, whatever a resolver says (RFC 6761, 6.3).
const LOCALHOST: &str = "localhost";
const OF_LOCALHOST: &str = ".localhost";

/// Refuses a request that names another machine, in its header or in its target, which may be a whole URL. One that names
/// none comes from no browser.
///
/// # Errors
/// 421.
pub(crate) fn check(headers: &HeaderMap, target: Option<&Authority>) -> Result<(), Problem> {
    if headers.get_all(header::HOST).iter().all(says_here) && target.is_none_or(is_here) {
        return Ok(());
    }
    let detail = "without API keys only this machine is heard, by a loopback name or address; `reeve keys add` makes a key";
    let fault = Fault::new("host", "not_this_machine", detail).limit("localhost, 127.0.0.0/8 or [::1]");
    Err(Problem::of(ProblemKind::Misdirected, fault))
}

fn says_here(host: &HeaderValue) -> bool {
    host.to_str().ok().and_then(|text| text.parse().ok()).is_some_and(|authority| is_here(&authority))
}

fn is_here(authority: &Authority) -> bool {
    let name = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == LOCALHOST || name.ends_with(OF_LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_named_by_loopback_names_and_addresses_alone() {
        let here = [
            "localhost",
            "LocalHost:4780",
            "localhost.",
            "reeve.localhost:80",
            "127.0.0.1:4780",
            "127.8.8.8",
            "[::1]:4780",
            "[::ffff:127.0.0.1]",
        ];
        for host in here {
            assert!(check(&asking(&[host]), None).is_ok(), "{host}");
        }
        let elsewhere = [
            "",
            "evil.example",
            "evil.example:4780",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "0.0.0.0:4780",
            "10.0.0.1",
            "[::]",
            "[fe80::1]",
        ];
        for host in elsewhere {
            assert!(check(&asking(&[host]), None).is_err(), "{host}");
        }
        assert!(check(&asking(&["127.0.0.1", "evil.example"]), None).is_err(), "one of two");
        assert!(check(&asking(&["localhost"]), Some(&Authority::from_static("evil.example"))).is_err(), "the target is asked, too");
        assert!(check(&asking(&[]), None).is_ok(), "no browser leaves it out");
    }

    fn asking(hosts: &[&str]) -> HeaderMap {
        hosts.iter().map(|host| (header::HOST, host.parse().expect("a header"))).collect()
    }
}
