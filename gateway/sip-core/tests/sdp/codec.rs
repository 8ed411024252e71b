//! Which formats are offered and chosen.

use sip_core::sdp::{CodecName, Format, join, offered, select};

use CodecName::{G722, Opus, Pcma, Pcmu, TelephoneEvent};

#[test]
fn our_offer_follows_the_configuration_and_ends_with_dtmf_per_clock_rate() {
    assert_eq!(list(&offered(&[Pcmu, TelephoneEvent, Pcma])), "PCMU@0 PCMA@8 telephone-event/8000@101");
    assert_eq!(
        list(&offered(&[Opus, Pcmu, Pcma, G722, TelephoneEvent])),
        "opus@111 PCMU@0 PCMA@8 G722@9 telephone-event/8000@101 telephone-event/48000@110"
    );
    assert_eq!(list(&offered(&[TelephoneEvent])), "");
}

#[test] // RFC 3264 §6.1: the answerer should keep the offerer's order
fn the_offerers_order_and_payload_types_are_kept() {
    let offer = [format("opus", 48_000, 2, 109), format("pcma", 8_000, 1, 8), format("PCMU", 8_000, 1, 0)];
    assert_eq!(list(&select(&offer, &[Pcmu, Pcma, Opus])), "opus@109 pcma@8 PCMU@0");
    assert_eq!(list(&select(&offer, &[Pcmu])), "PCMU@0");
}

#[test] // RFC 4733 §2.1: an event's clock rate is that of the sound it interrupts
fn dtmf_stays_only_at_clock_rates_of_a_chosen_codec() {
    let offer = [
        format("opus", 48_000, 2, 111),
        format("PCMU", 8_000, 1, 0),
        format("telephone-event", 48_000, 1, 110),
        format("telephone-event", 8_000, 1, 126),
    ];
    assert_eq!(list(&select(&offer, &[Pcmu, TelephoneEvent])), "PCMU@0 telephone-event/8000@126");
    assert_eq!(list(&select(&offer, &[Opus, TelephoneEvent])), "opus@111 telephone-event/48000@110");
    assert_eq!(list(&select(&offer, &[Pcmu])), "PCMU@0");
    assert_eq!(list(&select(&offer[2..], &[Pcmu, TelephoneEvent])), "", "DTMF alone is no call");
}

#[test]
fn one_codec_is_chosen_once_and_impostors_never() {
    let offer = [
        format("PCMU", 16_000, 1, 96),
        format("opus", 48_000, 1, 97),
        format("PCMU", 8_000, 1, 0),
        format("PCMU", 8_000, 1, 98),
    ];
    assert_eq!(list(&select(&offer, &CodecName::ALL)), "PCMU@0");
}

#[test] // RFC 3264 §5.1: each side names the payload types it receives
fn the_relay_receives_ours_and_sends_theirs() {
    let codecs = join(&offered(&[Opus, Pcmu]), &[format("OPUS", 48_000, 2, 96), format("G722", 8_000, 1, 9)]);
    assert_eq!(codecs.len(), 1);
    assert_eq!((codecs[0].receive, codecs[0].send), (111, 96));
}

#[test]
fn names_are_read_without_case_and_written_as_registered() {
    assert_eq!("OPUS".parse::<CodecName>().unwrap().to_string(), "opus");
    assert_eq!(serde_json::from_str::<CodecName>("\"pcma\"").unwrap(), Pcma);
    assert_eq!(serde_json::to_string(&G722).unwrap(), "\"G722\"");
    assert!("speex".parse::<CodecName>().is_err());
}

fn format(name: &str, clock_rate: u32, channels: u8, payload_type: u8) -> Format {
    Format { name: name.to_owned(), clock_rate, channels, payload_type, fmtp: None }
}

fn list(formats: &[Format]) -> String {
    let words = formats.iter().map(|format| match format.is_telephone_event() {
        true => format!("{}/{}@{}", format.name, format.clock_rate, format.payload_type),
        false => format!("{}@{}", format.name, format.payload_type),
    });
    words.collect::<Vec<_>>().join(" ")
}
