//! From results to HTTP answers: the one place that knows the statuses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_api::RelayError;
use relay_api::control::Refusal;
use serde::Serialize;

/// Whatever was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The relay would not.
    Relay(RelayError),
    /// It was not asked.
    Refused(Refusal),
}

/// What a request comes to.
pub(super) type Answer<T> = Result<Json<T>, Problem>;

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        Self::Relay(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Relay(error) => answer(status_of_error(&error), &error),
            Self::Refused(refusal) => answer(status_of_refusal(&refusal), &refusal),
        }
    }
}

fn answer(status: StatusCode, what: &impl Serialize) -> Response {
    let mut response = (status, Json(what)).into_response();
    let headers = response.headers_mut();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, RETRY_AFTER),
        StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, BEARER),
        _ => None,
    };
    response
}

fn status_of_error(error: &RelayError) -> StatusCode {
    match error {
        RelayError::Full { .. } | RelayError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RelayError::Stale { .. } => StatusCode::CONFLICT,
        RelayError::Unknown => StatusCode::NOT_FOUND,
        RelayError::Invalid { .. } | RelayError::NoInterface { .. } | RelayError::NoAddress { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}

fn status_of_refusal(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::NoSuchResource => StatusCode::NOT_FOUND,
        Refusal::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Seconds: ports rest for five, and a gateway has other relays.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
