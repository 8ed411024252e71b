//! A request that is refused, and the headers that say why.

use crate::message::{Builder, Message, Name, Status};

/// The final response to a request that can't be served.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: Status,
    headers: Vec<(Name<'static>, String)>,
}

impl Refusal {
    pub(super) fn with(mut self, name: Name<'static>, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The response, its To still as the request's.
    pub(super) fn response(&self, request: &Message) -> Builder {
        let response = request.response(self.status);
        self.headers.iter().fold(response, |response, (name, value)| response.header(*name, value))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { status, headers: Vec::new() }
    }
}
