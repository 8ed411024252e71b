//! A dialog: what two user agents remember of each other between messages (RFC 3261 §12).

use serde::{Deserialize, Serialize};

use crate::message::{Builder, Contacts, Message, Method, Name, Uri, route_uri};

/// One dialog seen from our end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; as a caller we learn it from the first response that has one.
    pub remote_tag: Option<String>,
    /// Ourselves in From and To, without the tag: `"name" <uri>`.
    local: String,
    /// The peer in From and To, without the tag.
    remote: String,
    /// CSeq number of our last request.
    local_cseq: u32,
    /// CSeq number of the peer's last request.
    remote_cseq: Option<u32>,
    /// Where requests go in the end: the peer's Contact.
    remote_target: String,
    /// Proxies on the way, nearest first.
    route_set: Vec<String>,
}

/// What the CSeq number of a request says (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Higher than all before.
    New,
    /// The same as the last: a repetition.
    Repeated,
    /// Out of order: to be refused with 500.
    Old,
}

impl Dialog {
    /// The called side's dialog (RFC 3261 §12.1.1). The request has a Contact that can be used, see [`target_of`].
    pub fn called(invite: &Message, local_tag: String) -> Self {
        Self {
            call_id: invite.call_id().to_owned(),
            local_tag,
            remote_tag: invite.from_tag().map(str::to_owned),
            local: bracketed(invite.to().uri),
            remote: bracketed(invite.from().uri),
            local_cseq: 0,
            remote_cseq: Some(invite.cseq().0),
            remote_target: target_of(invite).unwrap_or_default(),
            route_set: invite.values(Name::RecordRoute).map(str::to_owned).collect(),
        }
    }

    /// The calling side's dialog before any response: `local` is a whole name-addr, `remote` and `target` are URIs.
    pub fn calling(call_id: String, local_tag: String, local: String, remote: &str, target: String) -> Self {
        Self {
            call_id,
            local_tag,
            remote_tag: None,
            local,
            remote: bracketed(remote),
            local_cseq: 0,
            remote_cseq: None,
            remote_target: target,
            route_set: Vec::new(),
        }
    }

    /// The same call goes to another Request-URI, before any response made it a dialog.
    pub fn retarget(&mut self, target: String) {
        self.remote_target = target;
    }

    /// The dialog that a response to our INVITE made or confirmed (RFC 3261 §12.1.2, §13.2.2.4). Of a 2xx the route set
    /// counts again, since proxies may have changed it since the 18x.
    pub fn answered(&mut self, response: &Message) {
        self.remote_tag = response.to_tag().map(str::to_owned);
        if let Some(target) = target_of(response) {
            self.remote_target = target;
        }
        self.route_set = response.values(Name::RecordRoute).map(str::to_owned).collect();
        self.route_set.reverse();
    }

    /// RFC 3261 §12.2: a re-INVITE or UPDATE, and its 2xx, may move the peer's Contact.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = target_of(message) {
            self.remote_target = target;
        }
    }

    /// Judges the CSeq number of the peer's request; a new one becomes the last.
    pub fn judge_cseq(&mut self, cseq: u32) -> Order {
        match self.remote_cseq {
            Some(last) if cseq < last => Order::Old,
            Some(last) if cseq == last => Order::Repeated,
            Some(_) | None => {
                self.remote_cseq = Some(cseq);
                Order::New
            }
        }
    }

    /// The CSeq number for our next request.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// The CSeq number of our last request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Where requests go in the end.
    pub fn remote_target(&self) -> &str {
        &self.remote_target
    }

    /// The URI whose host is the next hop: the first route's, else the remote target.
    pub fn next_hop(&self) -> &str {
        self.route_set.first().map_or(&self.remote_target, |route| route_uri(route))
    }

    /// A request within the dialog (RFC 3261 §12.2.1.1): Request-URI, Via, Route, Max-Forwards, From, To, Call-ID, CSeq.
    pub fn request(&self, method: &Method, cseq: u32, via: &str, hops: u8) -> Builder {
        let (uri, routes) = self.route();
        let mut builder = Builder::request(method, uri).header(Name::Via, via);
        for route in routes {
            builder = builder.header(Name::Route, route);
        }
        builder
            .header(Name::MaxForwards, hops)
            .header(Name::From, format_args!("{};tag={}", self.local, self.local_tag))
            .header(Name::To, Tagged(&self.remote, self.remote_tag.as_deref()))
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, format_args!("{cseq} {method}"))
    }

    /// Request-URI and Route values. A first route without `lr` is a strict router: it becomes the Request-URI, and the
    /// target goes to the end (RFC 3261 §12.2.1.1).
    fn route(&self) -> (&str, Vec<String>) {
        match self.route_set.split_first() {
            Some((first, rest)) if !is_loose(first) => {
                let mut routes = rest.to_vec();
                routes.push(bracketed(&self.remote_target));
                (route_uri(first), routes)
            }
            Some(_) | None => (&self.remote_target, self.route_set.clone()),
        }
    }
}

/// The URI of the only Contact of a request or response that makes a dialog; `None` if it is not usable.
pub fn target_of(message: &Message) -> Option<String> {
    match message.contacts().ok()? {
        Contacts::List(contacts) => {
            let uri = contacts.first()?.uri;
            Uri::parse(uri).is_ok_and(|parsed| parsed.is_sip()).then(|| uri.to_owned())
        }
        Contacts::Star => None,
    }
}

fn bracketed(uri: &str) -> String {
    format!("<{uri}>")
}

fn is_loose(route: &str) -> bool {
    Uri::parse(route_uri(route)).is_ok_and(|uri| uri.has_param("lr"))
}

/// A name-addr with its tag, if it has one yet.
struct Tagged<'a>(&'a str, Option<&'a str>);

impl std::fmt::Display for Tagged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)?;
        match self.1 {
            Some(tag) => write!(f, ";tag={tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use bytes::Bytes;

    use super::*;
    use crate::message::Limits;

    fn response(record_routes: &[&str], contact: &str) -> Message {
        let routes: String = record_routes.iter().map(|route| format!("Record-Route: {route}\r\n")).collect();
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{routes}From: <sip:a@b>;tag=us\r\n\
             To: <sip:x@y>;tag=them\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: {contact}\r\n\r\n"
        );
        Message::parse(Bytes::from(text), &Limits::default()).unwrap()
    }

    fn dialog(record_routes: &[&str], contact: &str) -> Dialog {
        let (local, target) = ("<sip:a@b>".to_owned(), "sip:x@y".to_owned());
        let mut dialog = Dialog::calling("1".to_owned(), "us".to_owned(), local, "sip:x@y", target);
        dialog.answered(&response(record_routes, contact));
        dialog
    }

    fn bye(dialog: &mut Dialog) -> Message {
        let cseq = dialog.next_cseq();
        dialog.request(&Method::Bye, cseq, "SIP/2.0/UDP h;branch=z9hG4bK2", 70).build().unwrap()
    }

    #[test] // RFC 3261 §12.2.1.1: the callee's route set is the Record-Route in reverse
    fn loose_routers_stand_in_route() {
        let mut dialog = dialog(&["<sip:p2;lr>", "<sip:p1:5070;lr>"], "<sip:x@target>");
        let bye = bye(&mut dialog);
        assert_eq!(bye.uri(), Some("sip:x@target"));
        assert_eq!(bye.route().collect::<Vec<_>>(), ["<sip:p1:5070;lr>", "<sip:p2;lr>"]);
        assert_eq!(dialog.next_hop(), "sip:p1:5070;lr");
        assert_eq!((bye.from_tag(), bye.to_tag()), (Some("us"), Some("them")));
    }

    #[test] // RFC 3261 §12.2.1.1, §16.4
    fn a_strict_router_is_the_request_uri() {
        let mut dialog = dialog(&["<sip:p2;lr>", "<sip:strict>"], "<sip:x@target>");
        let bye = bye(&mut dialog);
        assert_eq!(bye.uri(), Some("sip:strict"));
        assert_eq!(bye.route().collect::<Vec<_>>(), ["<sip:p2;lr>", "<sip:x@target>"]);
    }

    #[test]
    fn a_contact_that_cannot_be_used_changes_nothing() {
        for contact in ["*", "<tel:+1>", "<http://x>"] {
            assert_eq!(dialog(&[], contact).remote_target(), "sip:x@y", "{contact}");
        }
    }

    #[test] // RFC 3261 §12.2.2
    fn cseq_numbers_only_rise() {
        let mut dialog = dialog(&[], "<sip:x@target>");
        let judged: Vec<_> = [5, 5, 4, 6].into_iter().map(|cseq| dialog.judge_cseq(cseq)).collect();
        assert_eq!(judged, [Order::New, Order::Repeated, Order::Old, Order::New]);
        assert_eq!((dialog.next_cseq(), dialog.next_cseq(), dialog.local_cseq()), (1, 2, 2));
    }
}
