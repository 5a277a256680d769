//! Where the server listens.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address and a port: `HOST:PORT`, or a port alone on 127.0.0.1. Port 0 is any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Address {
    /// What the flags mean without a value: TensorBoard's port.
    pub const DEFAULT: &str = "127.0.0.1:6006";
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(port) = text.parse::<u16>() {
            return Ok(Self((Ipv4Addr::LOCALHOST, port).into()));
        }
        let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        found.map(Self).ok_or_else(|| "must be HOST:PORT or a port, e.g. 127.0.0.1:6006".into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_this_machine() {
        let parsed = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(parsed("7000").unwrap(), "127.0.0.1:7000");
        assert_eq!(parsed("0.0.0.0:80").unwrap(), "0.0.0.0:80");
        assert_eq!(parsed("[::1]:80").unwrap(), "[::1]:80");
        assert_eq!(parsed(Address::DEFAULT).unwrap(), Address::DEFAULT);
        for wrong in ["", "70000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x"] {
            assert!(parsed(wrong).unwrap_err().starts_with("must be HOST:PORT"), "{wrong}");
        }
    }
}
