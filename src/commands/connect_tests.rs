//! Tests of `connect`.

use super::*;

#[test]
fn addresses_get_the_usual_port_and_lose_their_brackets_as_a_name() {
    for (text, address_, name) in [
        ("192.0.2.1", "192.0.2.1:2376", "192.0.2.1"),
        ("2001:db8::1", "[2001:db8::1]:2376", "2001:db8::1"),
        ("[2001:db8::1]:7", "[2001:db8::1]:7", "2001:db8::1"),
        ("web1.example", "web1.example:2376", "web1.example"),
        ("web1:99", "web1:99", "web1"),
    ] {
        assert_eq!(address(text, 2376).unwrap(), (address_.to_owned(), name.to_owned()));
    }
    for text in ["", "a b", "a:b", "a:99999", "https://x"] {
        assert!(address(text, 2376).is_err(), "{text}");
    }
}

#[test]
fn the_host_reaches_its_gateway_where_that_listens() {
    let listens = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<SocketAddr>>();
    for (all, port, to) in [
        (&["[::]:2376"][..], Some(2376), ("localhost", 2376)),
        (&["0.0.0.0:99"], None, ("127.0.0.1", 99)),
        (&["192.0.2.1:1", "[2001:db8::1]:2"], Some(2), ("2001:db8::1", 2)),
        // A port that is forwarded to the host under another number.
        (&["192.0.2.1:1", "[2001:db8::1]:2"], Some(3), ("192.0.2.1", 1)),
    ] {
        assert_eq!(listening(&listens(all), port), (to.0.to_owned(), to.1), "{all:?}");
    }
}
