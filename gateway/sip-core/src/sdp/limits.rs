//! How much of a description is read. All are checked before anything is allocated for what they bound.

/// Bytes of the whole text.
pub(super) const TEXT: usize = 65_536;
/// m-lines, and members of a BUNDLE group.
pub(super) const MEDIA: usize = 32;
/// Formats of an audio m-line.
pub(super) const FORMATS: u8 = 64;
/// Fingerprints in one place.
pub(super) const FINGERPRINTS: usize = 8;
/// Characters of a ufrag or password, RFC 8839 §5.4.
pub(super) const ICE: usize = 256;
/// Characters of a token: media, protocol, mid, encoding name.
pub(super) const TOKEN: usize = 64;
/// Digits of a number in `o=`.
pub(super) const NUMBER: usize = 64;
/// Characters of the parameters of one format.
pub(super) const FMTP: usize = 256;
/// Characters of `a=msid`.
pub(super) const MSID: usize = 130;
/// Milliseconds of sound in a packet; others are no wish that could be told to the other side.
pub(super) const PTIME: std::ops::RangeInclusive<u16> = 5..=200;
