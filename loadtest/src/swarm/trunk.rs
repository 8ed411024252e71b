//! The trunk behind the server: one UDP socket that answers calls, and calls in.

use crate::random::Tokens;
use crate::recorder::{Operation, Recorder};
use crate::sip::dialog::Identity;
use crate::sip::sdp::Flavour;
use crate::ua::{Agent, Measures, Output, Party, Reliability, Script, Seized};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// The swarm's end of the trunk.
#[derive(Debug)]
pub(super) struct Trunk {
    /// Where calls to phones are sent.
    pub(super) target: Option<SocketAddr>,
    pub(super) orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
pub(super) enum Order {
    Dial(String, SocketAddr, Option<Seized>),
    HangUp,
}

/// Serves the trunk on its socket until the swarm ends.
pub(super) fn spawn(
    socket: UdpSocket,
    address: SocketAddr,
    target: Option<SocketAddr>,
    script: Script,
    tokens: Tokens,
    recorder: Arc<Recorder>,
) -> Trunk {
    let party = Party {
        identity: Identity {
            transport: "UDP",
            sent_by: address.to_string(),
            contact: format!("<sip:trunk@{address}>"),
        },
        aor: format!("sip:{CALLER}@{address}"),
        flavour: Flavour::Trunk,
        reliability: Reliability::Unreliable,
        script,
        measures: Measures {
            ringing: Operation::InRinging,
            answered: Operation::InAnswered,
            hang_up: Operation::InHangUp,
            acknowledged: Operation::OutAcknowledged,
        },
        credentials: None,
    };
    let (orders, inbox) = mpsc::channel(ORDERS);
    let peer = Peer { agent: Agent::new(party, tokens, MAX_CALLS), socket, inbox, recorder };
    tokio::spawn(peer.serve());
    Trunk { target, orders }
}

struct Peer {
    agent: Agent<SocketAddr>,
    socket: UdpSocket,
    inbox: mpsc::Receiver<Order>,
    recorder: Arc<Recorder>,
}

impl Peer {
    async fn serve(mut self) {
        let mut buffer = vec![0; 65_536];
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier send shows up here and concerns nobody else's call.
                    if let Ok((length, from)) = received {
                        self.agent.handle_input(&buffer[..length], from, Instant::now());
                    }
                }
                order = self.inbox.recv() => match order {
                    Some(Order::Dial(uri, target, line)) => self.agent.dial(&uri, target, line, Instant::now()),
                    Some(Order::HangUp) => self.agent.hang_up_all(Instant::now()),
                    None => return,
                },
                _ = tick.tick() => self.agent.handle_timeout(Instant::now()),
            }
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                // A datagram that cannot be sent is a lost one: the agent repeats it.
                Output::Send(to, message) => drop(self.socket.send_to(message.as_bytes(), to).await),
                Output::Report(outcome) => self.recorder.add(outcome),
            }
        }
    }
}

/// The number the trunk calls from.
const CALLER: &str = "4930901820";
/// Thousands of calls are looked through at each tick, not at each datagram.
const TICK: Duration = Duration::from_millis(2);
/// More calls than phones can have; the next gets 486.
const MAX_CALLS: usize = 50_000;
/// Calls waiting to be sent; when they are full, the swarm counts the next as failed.
const ORDERS: usize = 256;
