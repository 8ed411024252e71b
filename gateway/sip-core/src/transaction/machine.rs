//! The four machines behind one face.

use super::client_invite::ClientInvite;
use super::client_non_invite::ClientNonInvite;
use super::server_invite::ServerInvite;
use super::server_non_invite::ServerNonInvite;
use super::timing::Timers;
use super::{Attempt, Gone};
use crate::message::{Message, Status};
use crate::time::Instant;

/// A transaction; with one of ours, what the transaction user left there.
pub(super) enum Machine<U> {
    InviteClient(ClientInvite, U),
    NonInviteClient(ClientNonInvite, U),
    InviteServer(ServerInvite),
    NonInviteServer(ServerNonInvite),
}

/// What a timer makes a transaction do.
#[derive(Debug)]
pub(super) enum Fired {
    /// Send this.
    Send(Message, Attempt),
    /// Tell the transaction user that no final response came: the client transaction is over.
    TimedOut,
    /// Tell the transaction user that the server transaction is over.
    Gone(Gone),
    /// Nothing that shows.
    Nothing,
}

impl<U> Machine<U> {
    /// The time of [`Machine::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now: Instant) -> Fired {
        match self {
            Self::InviteClient(machine, _) => machine.handle_timeout(now),
            Self::NonInviteClient(machine, _) => machine.handle_timeout(now),
            Self::InviteServer(machine) => machine.handle_timeout(now),
            Self::NonInviteServer(machine) => machine.handle_timeout(now),
        }
    }

    /// When there is next something to do; never again once the transaction is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::InviteClient(machine, _) => machine.poll_timeout(),
            Self::NonInviteClient(machine, _) => machine.poll_timeout(),
            Self::InviteServer(machine) => machine.poll_timeout(),
            Self::NonInviteServer(machine) => machine.poll_timeout(),
        }
    }

    /// The request of a server transaction came again: the response to repeat, if any.
    pub fn handle_retransmission(&self) -> Option<Message> {
        match self {
            Self::InviteServer(machine) => machine.handle_retransmission(),
            Self::NonInviteServer(machine) => machine.handle_retransmission(),
            Self::InviteClient(..) | Self::NonInviteClient(..) => None,
        }
    }

    /// The transaction user answers: what of it is to be sent.
    pub fn respond(
        &mut self,
        response: Message,
        status: Status,
        timers: &Timers,
        now: Instant,
    ) -> Option<Message> {
        match self {
            Self::InviteServer(machine) => machine.respond(response, status, timers, now),
            Self::NonInviteServer(machine) => machine.respond(response, status, timers, now),
            Self::InviteClient(..) | Self::NonInviteClient(..) => None,
        }
    }

    /// What a client transaction sent last could not be sent. Says whether the transaction user is to know.
    pub fn handle_send_failure(&mut self) -> bool {
        match self {
            Self::InviteClient(machine, _) => machine.handle_send_failure(),
            Self::NonInviteClient(machine, _) => machine.handle_transport_error(),
            Self::InviteServer(_) | Self::NonInviteServer(_) => false,
        }
    }

    /// The peer of a client transaction cannot be reached any more. Says whether the transaction user is to know.
    pub fn handle_peer_lost(&mut self) -> bool {
        match self {
            Self::InviteClient(machine, _) => machine.handle_peer_lost(),
            Self::NonInviteClient(machine, _) => machine.handle_transport_error(),
            Self::InviteServer(_) | Self::NonInviteServer(_) => false,
        }
    }

    /// A client transaction is to repeat its request no more.
    pub fn stop_resending(&mut self) {
        match self {
            Self::InviteClient(machine, _) => machine.stop_resending(),
            Self::NonInviteClient(machine, _) => machine.stop_resending(),
            Self::InviteServer(_) | Self::NonInviteServer(_) => {}
        }
    }

    /// What the transaction user left with a client transaction.
    pub fn user(&self) -> Option<&U> {
        match self {
            Self::InviteClient(_, user) | Self::NonInviteClient(_, user) => Some(user),
            Self::InviteServer(_) | Self::NonInviteServer(_) => None,
        }
    }
}
