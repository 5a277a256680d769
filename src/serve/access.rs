//! Who may read: on a loopback address whoever is on this machine, elsewhere whoever has the token.

use std::env;
use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Uri};

use super::routes::parameters;
use crate::error::InputError;

/// The environment variable with the token. On the command line, other users of the machine would see it.
pub const TOKEN_VARIABLE: &str = "SIMSIAM_TOKEN";
/// A shorter token could be guessed.
const FEWEST_CHARACTERS: usize = 16;

/// What a request must bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The name of this machine, so that a page on the web whose own name was made to point here cannot read
    /// (DNS rebinding).
    Loopback,
    /// The token, as `?token=` or as `Authorization: Bearer`.
    Token(String),
}

impl Access {
    /// By the address and [`TOKEN_VARIABLE`].
    pub(super) fn from_environment(ip: IpAddr) -> Result<Self, InputError> {
        Self::new(ip, env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()))
    }

    fn new(ip: IpAddr, token: Option<String>) -> Result<Self, InputError> {
        let is_plain =
            |token: &str| token.chars().all(|char| char.is_ascii_alphanumeric() || "-_.~".contains(char));
        match token {
            Some(token) if token.len() < FEWEST_CHARACTERS => Err(InputError::new(format!(
                "{TOKEN_VARIABLE}: must have at least {FEWEST_CHARACTERS} characters, not {}",
                token.len()
            ))),
            Some(token) if !is_plain(&token) => Err(InputError::new(format!(
                "{TOKEN_VARIABLE}: must consist of letters, digits, `-`, `_`, `.` and `~`"
            ))),
            Some(token) => Ok(Self::Token(token)),
            None if ip.is_loopback() => Ok(Self::Loopback),
            None => Err(InputError::new(format!(
                "cannot serve on {ip} without a token, since other machines can reach it: set {TOKEN_VARIABLE} to at least \
                 {FEWEST_CHARACTERS} characters, or serve on 127.0.0.1 and forward the port by SSH"
            ))),
        }
    }

    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Loopback => None,
            Self::Token(token) => Some(token),
        }
    }

    /// Whether a request may be answered.
    pub(super) fn allows(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::Loopback => text(HOST).is_some_and(names_loopback),
            Self::Token(token) => {
                let given =
                    parameters(uri).find(|(key, _)| key == "token").map(|(_, value)| value.into_owned());
                let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                given.as_deref().or(bearer).is_some_and(|given| is_same(given, token))
            }
        }
    }
}

fn names_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Compares in a time that does not tell how much of the token was right.
fn is_same(given: &str, token: &str) -> bool {
    let differences = given.bytes().zip(token.bytes()).fold(0, |found, (one, other)| found | (one ^ other));
    given.len() == token.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn allows(access: &Access, uri: &str, header: (&'static str, &str)) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header.0, header.1.parse().unwrap());
        access.allows(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn an_address_that_others_reach_needs_a_token() {
        let anywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let error = Access::new(anywhere, None).unwrap_err().to_string();
        assert!(error.starts_with("cannot serve on 0.0.0.0 without a token"), "{error}");
        let error = Access::new(anywhere, Some("short".into())).unwrap_err().to_string();
        assert_eq!(error, "SIMSIAM_TOKEN: must have at least 16 characters, not 5");
        let error = Access::new(anywhere, Some(format!("{TOKEN}&<"))).unwrap_err().to_string();
        assert!(error.starts_with("SIMSIAM_TOKEN: must consist of letters"), "{error}");
        assert_eq!(Access::new(anywhere, Some(TOKEN.into())).unwrap().token(), Some(TOKEN));
        assert_eq!(Access::new(Ipv6Addr::LOCALHOST.into(), None).unwrap(), Access::Loopback);
    }

    #[test]
    fn only_the_whole_token_opens() {
        let access = Access::Token(TOKEN.into());
        assert!(allows(&access, "/?run=a&token=0123456789abcdef", ("host", "example.org")));
        assert!(allows(&access, "/", ("authorization", "Bearer 0123456789abcdef")));
        for uri in [
            "/",
            "/?token=",
            "/?token=0123456789abcde",
            "/?token=0123456789abcdefg",
            "/?token=x&token=0123456789abcdef",
        ] {
            assert!(!allows(&access, uri, ("host", "localhost")), "{uri}");
        }
    }

    #[test]
    fn on_loopback_another_hosts_name_is_refused() {
        for host in ["localhost", "LOCALHOST:6006", "127.0.0.1:6006", "[::1]:6006", "[::1]"] {
            assert!(allows(&Access::Loopback, "/", ("host", host)), "{host}");
        }
        for host in ["example.org", "localhost.example.org:6006", "10.0.0.1:6006", ""] {
            assert!(!allows(&Access::Loopback, "/", ("host", host)), "{host}");
        }
        assert!(!allows(&Access::Loopback, "/", ("accept", "*/*")));
    }
}
