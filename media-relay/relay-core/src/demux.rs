//! What kind of datagram arrived on a socket that carries several protocols: RFC 7983 §7, RFC 5761 §4.

/// The protocol of a datagram, by its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 8489.
    Stun,
    /// RFC 6347 record.
    Dtls,
    /// (S)RTP.
    Rtp,
    /// (S)RTCP.
    Rtcp,
    /// Nothing that is carried here.
    Unknown,
}

/// Sorts a datagram by its first byte, and RTP from RTCP by its second.
pub fn kind(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, ..] => Kind::Stun,
        [20..=63, ..] => Kind::Dtls,
        // RFC 5761 §4: packet types 192–223 are RTCP, so payload types 64–95 are never used beside it.
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, ..] => Kind::Rtp,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 7983 §7, figure 3
    fn every_first_byte_has_its_protocol() {
        for first in 0..=255_u8 {
            let expected = match first {
                0..=3 => Kind::Stun,
                20..=63 => Kind::Dtls,
                128..=191 => Kind::Rtp,
                _ => Kind::Unknown,
            };
            assert_eq!(kind(&[first, 0]), expected, "{first}");
        }
        assert_eq!(kind(&[]), Kind::Unknown);
    }

    #[test] // RFC 5761 §4
    fn rtcp_is_told_from_rtp_by_the_packet_type() {
        assert_eq!(kind(&[0x80, 200]), Kind::Rtcp);
        assert_eq!(kind(&[0x81, 223]), Kind::Rtcp);
        assert_eq!(kind(&[0x80, 0x80 | 111]), Kind::Rtp);
        assert_eq!(kind(&[0x80, 0x80 | 13]), Kind::Rtp);
        assert_eq!(kind(&[0x80]), Kind::Rtp);
    }
}
