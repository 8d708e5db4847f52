//! A relay between controller and host that cuts a connection at a chosen byte,
//! or loses all that comes from there on without a word.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Which way the bytes go that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToHost,
    FromHost,
}

/// Where to cut.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Which connection from now on; the first is 0.
    pub connection: usize,
    pub way: Way,
    /// Bytes that still pass.
    pub after: usize,
    /// Whether neither end is told: what comes later is lost, both ways.
    pub silent: bool,
}

#[derive(Default)]
struct State {
    target: AtomicUsize,
    connections: AtomicUsize,
    cut: Mutex<Option<Cut>>,
    done: AtomicUsize,
    /// Connections on which everything is lost.
    lost: Mutex<BTreeSet<usize>>,
    /// Bytes of each connection: to the host, from the host.
    bytes: Mutex<Vec<[usize; 2]>>,
}

/// Listens on loopback for as long as the test program runs.
pub struct Relay {
    pub port: u16,
    state: Arc<State>,
}

impl Relay {
    pub fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        relay.turn_to(port);
        let state = Arc::clone(&relay.state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let number = state.connections.fetch_add(1, Ordering::SeqCst);
                let target = u16::try_from(state.target.load(Ordering::SeqCst)).unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                state.bytes.lock().unwrap().push([0, 0]);
                for way in [Way::ToHost, Way::FromHost] {
                    let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || match way {
                        Way::ToHost => pass(&state, number, way, ends.0, ends.1),
                        Way::FromHost => pass(&state, number, way, ends.1, ends.0),
                    });
                }
            }
        });
        relay
    }

    /// The host has another port now.
    pub fn turn_to(&self, port: u16) {
        self.state.target.store(usize::from(port), Ordering::SeqCst);
    }

    /// Counts connections anew, and cuts one of them.
    pub fn cut(&self, cut: Option<Cut>) {
        *self.state.cut.lock().unwrap() = cut;
        self.state.done.store(0, Ordering::SeqCst);
        self.state.connections.store(0, Ordering::SeqCst);
        self.state.bytes.lock().unwrap().clear();
        self.state.lost.lock().unwrap().clear();
    }

    /// Whether the cut was made.
    pub fn has_cut(&self) -> bool {
        self.state.done.load(Ordering::SeqCst) > 0
    }

    /// Bytes of the connections since the last call of [`Relay::cut`].
    pub fn bytes(&self) -> Vec<[usize; 2]> {
        self.state.bytes.lock().unwrap().clone()
    }
}

fn pass(state: &State, number: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 1 << 14];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let limit = {
            let mut cut = state.cut.lock().unwrap();
            let here = cut.filter(|cut| cut.connection == number && cut.way == way && passed + count > cut.after);
            if here.is_some() {
                *cut = None;
                state.done.fetch_add(1, Ordering::SeqCst);
            }
            here.map(|cut| (cut.after.saturating_sub(passed), cut.silent))
        };
        if state.lost.lock().unwrap().contains(&number) {
            continue;
        }
        let count = limit.map_or(count, |(left, _)| left);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        passed += count;
        if let Some(bytes) = state.bytes.lock().unwrap().get_mut(number) {
            bytes[usize::from(way == Way::FromHost)] = passed;
        }
        match limit {
            Some((_, true)) => _ = state.lost.lock().unwrap().insert(number),
            Some((_, false)) => break,
            None => {}
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
