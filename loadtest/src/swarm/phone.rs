//! A phone: an agent on its WebSocket.

use crate::recorder::{Failure, Operation, Outcome, Recorder};
use crate::transport::ws::Socket;
use crate::ua::{Agent, Output, Seized};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// What the swarm tells a phone to do.
#[derive(Debug)]
pub(super) enum Order {
    Register,
    Dial(String, Option<Seized>),
    HangUp,
}

/// The swarm's end of a phone.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) user: String,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) busy: Arc<AtomicBool>,
    connected: Arc<AtomicBool>,
}

impl Line {
    /// Whether its connection still stands.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}

/// Runs a phone on its open connection until the connection or the swarm ends.
pub(super) fn spawn(user: String, agent: Agent<()>, socket: Socket, recorder: Arc<Recorder>) -> Line {
    let (orders, inbox) = mpsc::channel(ORDERS);
    let connected = Arc::new(AtomicBool::new(true));
    let phone = Phone { agent, socket, inbox, recorder, connected: Arc::clone(&connected) };
    tokio::spawn(phone.run());
    Line { user, orders, busy: Arc::default(), connected }
}

struct Phone {
    agent: Agent<()>,
    socket: Socket,
    inbox: mpsc::Receiver<Order>,
    recorder: Arc<Recorder>,
    connected: Arc<AtomicBool>,
}

/// Why a phone stops.
enum End {
    /// The swarm let go of it.
    Dismissed,
    /// The server or the network ended the connection.
    Lost,
}

impl Phone {
    async fn run(mut self) {
        let end = self.serve().await;
        self.connected.store(false, Ordering::Release);
        if let End::Lost = end {
            self.agent.connection_lost();
            self.recorder.add(Outcome::Failed(Operation::Connect, Failure::ConnectionLost));
        }
        while let Some(output) = self.agent.poll_output() {
            if let Output::Report(outcome) = output {
                self.recorder.add(outcome);
            }
        }
        // The closing handshake is a courtesy; a server that is gone cannot return it.
        let _ = self.socket.close(None).await;
    }

    async fn serve(&mut self) -> End {
        loop {
            let due = self.agent.poll_timeout();
            let alarm = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.agent.handle_input(text.as_bytes(), (), Instant::now()),
                    Some(Ok(Message::Binary(bytes))) => self.agent.handle_input(&bytes, (), Instant::now()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Lost,
                },
                order = self.inbox.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return End::Dismissed,
                },
                () = alarm => self.agent.handle_timeout(Instant::now()),
            }
            if self.flush().await.is_err() {
                return End::Lost;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Register => self.agent.register((), now),
            Order::Dial(uri, line) => self.agent.dial(&uri, (), line, now),
            Order::HangUp => self.agent.hang_up_all(now),
        }
    }

    async fn flush(&mut self) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send((), message) => self.socket.send(Message::text(message)).await?,
                Output::Report(outcome) => self.recorder.add(outcome),
            }
        }
        Ok(())
    }
}

/// Orders waiting for one phone; when they are full, the swarm counts the next as failed.
const ORDERS: usize = 4;
