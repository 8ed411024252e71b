//! What becomes of each payload type of one leg: joined to the other leg by name, clock rate and channels.

use relay_api::Codec;

use super::Content;

/// The fate of an incoming payload type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Route {
    /// Nobody negotiated it: dropped and counted.
    #[default]
    Unknown,
    /// Sound or events, with the other leg's payload type if it takes the format.
    Negotiated { content: Content, clock_rate: u32, send: Option<u8> },
}

/// Indexed by payload type.
pub(crate) struct Routes(Box<[Route; 128]>);

impl Routes {
    /// From `from`'s list to `to`'s.
    pub(crate) fn join(from: &[Codec], to: &[Codec]) -> Self {
        let mut routes = Box::new([Route::Unknown; 128]);
        for codec in from {
            let send = to.iter().find(|other| is_same(codec, other)).map(|other| other.send);
            if let Some(route) = routes.get_mut(usize::from(codec.receive)) {
                let content = if is_events(codec) { Content::Event } else { Content::Sound };
                *route = Route::Negotiated { content, clock_rate: codec.clock_rate, send };
            }
        }
        Self(routes)
    }

    pub(crate) fn of(&self, payload_type: u8) -> Route {
        self.0.get(usize::from(payload_type)).copied().unwrap_or_default()
    }
}

/// Is this `telephone-event`?
pub(crate) fn is_events(codec: &Codec) -> bool {
    codec.name.eq_ignore_ascii_case("telephone-event")
}

fn is_same(a: &Codec, b: &Codec) -> bool {
    a.clock_rate == b.clock_rate && a.channels == b.channels && a.name.eq_ignore_ascii_case(&b.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(content: Content, clock_rate: u32, send: Option<u8>) -> Route {
        Route::Negotiated { content, clock_rate, send }
    }

    fn codec(name: &str, clock_rate: u32, receive: u8, send: u8) -> Codec {
        Codec { name: name.to_owned(), clock_rate, channels: 1, receive, send }
    }

    #[test]
    fn formats_are_joined_by_name_and_clock() {
        let browser = [
            codec("opus", 48_000, 111, 111),
            codec("PCMU", 8_000, 0, 0),
            codec("telephone-event", 48_000, 110, 110),
            codec("telephone-event", 8_000, 126, 126),
        ];
        let trunk = [codec("pcmu", 8_000, 0, 0), codec("telephone-event", 8_000, 101, 97)];
        let routes = Routes::join(&browser, &trunk);
        assert_eq!(routes.of(0), route(Content::Sound, 8_000, Some(0)));
        assert_eq!(routes.of(111), route(Content::Sound, 48_000, None));
        assert_eq!(routes.of(126), route(Content::Event, 8_000, Some(97)));
        assert_eq!(routes.of(110), route(Content::Event, 48_000, None));
        assert_eq!(routes.of(13), Route::Unknown);
        assert_eq!(Routes::join(&trunk, &browser).of(101), route(Content::Event, 8_000, Some(126)));
    }
}
