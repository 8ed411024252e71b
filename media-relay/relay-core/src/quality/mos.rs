//! What a listener would say: the E-model of ITU-T G.107, reduced to what RTP and RTCP tell.
//!
//! `R = 93.2 − Id − Ie,eff`. Noise, echo and loudness have the model's default values, which are in 93.2. Losses count as
//! random (BurstR = 1), for their pattern is not measured. Wideband codecs are rated on the narrowband scale.

/// What harms a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Path {
    /// 0–1.
    pub(super) loss: f64,
    pub(super) jitter_ms: f64,
    /// 0 is assumed while it is not known.
    pub(super) round_trip_ms: Option<f64>,
}

/// How a codec sounds and what losses do to it: ITU-T G.113, Appendix I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Impairment {
    /// Ie: without losses.
    own: f64,
    /// Bpl, percent.
    robustness: f64,
}

impl Impairment {
    /// By the encoding name.
    pub(super) fn of(codec: &str) -> Self {
        let is = |name: &str| codec.eq_ignore_ascii_case(name);
        let (own, robustness) = if is("PCMU") || is("PCMA") {
            // G.711 with the loss concealment of its Appendix I, as receivers have some.
            (0.0, 25.1)
        } else if is("opus") || is("G722") {
            // G.113 has no values of Opus, and those of G.722 are for a wideband scale. Assumed is: no worse than G.711.
            (0.0, 25.1)
        } else if is("G729") {
            (11.0, 19.0)
        } else {
            // G.711 without loss concealment.
            (0.0, 4.3)
        };
        Self { own, robustness }
    }
}

/// The mean opinion score of a conversation over this path, 1–4.5.
pub(super) fn mos(path: Path, codec: Impairment) -> f64 {
    mos_of(rating(path, codec))
}

/// The transmission rating factor R, 0–93.2.
fn rating(path: Path, codec: Impairment) -> f64 {
    let percent = path.loss.clamp(0.0, 1.0) * 100.0;
    // G.107 §7.5 with BurstR = 1.
    let equipment = codec.own + (95.0 - codec.own) * percent / (percent + codec.robustness);
    (BEST - delay_impairment(delay_ms(path)) - equipment).clamp(0.0, BEST)
}

/// From mouth to ear: half of the way there and back, a packet, and a jitter buffer that holds twice the jitter.
fn delay_ms(path: Path) -> f64 {
    path.round_trip_ms.unwrap_or(0.0).max(0.0) / 2.0
        + PACKET_MS
        + (2.0 * path.jitter_ms).clamp(0.0, LARGEST_BUFFER_MS)
}

/// Id, by the approximation of R. Cole and J. Rosenbluth ("Voice over IP performance monitoring", 2001).
fn delay_impairment(delay_ms: f64) -> f64 {
    0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0)
}

/// G.107, Annex B.
fn mos_of(r: f64) -> f64 {
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// G.107 §7.7, with all defaults.
const BEST: f64 = 93.2;
const PACKET_MS: f64 = 20.0;
/// Beyond it packets come too late rather than wait.
const LARGEST_BUFFER_MS: f64 = 400.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// To the last digit of the published values.
    fn is_about(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 0.01
    }

    const CLEAN: Path = Path { loss: 0.0, jitter_ms: 0.0, round_trip_ms: None };

    #[test] // G.107, Annex B, table B.1
    fn ratings_become_scores_as_published() {
        for (r, mos) in [(93.2, 4.41), (90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!(is_about(mos_of(r), mos), "{r}: {}", mos_of(r));
        }
        assert_eq!((mos_of(0.0), mos_of(3.0), mos_of(100.0)), (1.0, 1.0, 4.5));
    }

    #[test] // G.107 §7.5
    fn losses_cost_what_the_codec_lets_them() {
        let at =
            |loss, codec| BEST - rating(Path { loss, ..CLEAN }, Impairment::of(codec)) - 0.024 * PACKET_MS;
        assert!(is_about(at(0.0, "pcmu"), 0.0));
        assert!(is_about(at(0.01, "PCMA"), 95.0 / 26.1));
        assert!(is_about(at(0.1, "opus"), 950.0 / 35.1));
        assert!(is_about(at(0.0, "G729"), 11.0));
        assert!(is_about(at(0.05, "G729"), 11.0 + 84.0 * 5.0 / 24.0));
        assert!(at(0.05, "L16") > at(0.05, "PCMU"));
    }

    #[test]
    fn delay_costs_little_up_to_177_ms_and_much_beyond() {
        let mos = |round_trip, jitter_ms| {
            mos(Path { round_trip_ms: Some(round_trip), jitter_ms, ..CLEAN }, Impairment::of("PCMU"))
        };
        assert!(is_about(mos(0.0, 0.0), 4.40));
        assert!(mos(200.0, 10.0) > 4.3);
        assert!((3.0..3.7).contains(&mos(600.0, 30.0)), "{}", mos(600.0, 30.0));
    }

    #[test]
    fn whatever_a_peer_claims_the_score_stays_on_its_scale() {
        for loss in [-1.0, 0.5, 1.0, 7.0] {
            for jitter_ms in [0.0, 1e12] {
                for round_trip_ms in [None, Some(-5.0), Some(60_000.0)] {
                    let mos = mos(Path { loss, jitter_ms, round_trip_ms }, Impairment::of(""));
                    assert!((1.0..=4.5).contains(&mos), "{loss} {jitter_ms} {round_trip_ms:?}: {mos}");
                }
            }
        }
    }
}
