//! Looks at the world: are the files there that a configuration names, do they fit, and can its ports be had?

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Reader;
use crate::certificate::{self, Certificate};
use crate::network::why_not_bound;
use crate::tls;

/// The certificate and key that `certificate_file` and `key_file` of `section` name: there, fitting, and good for a while. `now`
/// is the time since 1970.
pub fn certificate(reader: &mut Reader, section: &str, files: Option<(&Path, &Path)>, now: Duration) {
    let Some((chain, key)) = files else { return };
    let (certificate_key, key_key) = (format!("{section}.certificate_file"), format!("{section}.key_file"));
    let (of_chain, of_key) = certificate::faults(chain, key);
    let is_sound = of_chain.is_none() && of_key.is_none();
    for (at, fault) in [(&certificate_key, of_chain), (&key_key, of_key)] {
        if let Some(fault) = fault {
            reader.mistake(at, format!("{fault}; name a PEM file that this user may read"));
        }
    }
    if !is_sound {
        return;
    }
    match Certificate::load(chain, key) {
        Ok(certificate) => validity(reader, &certificate_key, &certificate, now),
        Err(error) => reader.mistake(key_key, format!("{error}: it is not the key of {}", chain.display())),
    }
}

/// PEM authorities.
pub fn authorities(reader: &mut Reader, key: &str, file: Option<&Path>) {
    if let Some(Err(error)) = file.map(tls::authorities) {
        reader.mistake(key, format!("{error}; name a PEM file that this user may read"));
    }
}

/// What a file's own reader says of it.
pub fn file<E: Display>(reader: &mut Reader, key: &str, read: Result<(), E>) {
    if let Err(error) = read {
        reader.mistake(key, error.to_string());
    }
}

/// An expired certificate stops nobody but those to whom it is shown, and may be renewed under way: the program runs.
fn validity(reader: &mut Reader, key: &str, certificate: &Certificate, now: Duration) {
    let Some(validity) = certificate.validity(now) else { return };
    match validity {
        certificate::Validity::NotYet => {
            reader.alarm(key, "the certificate is not valid yet: is the clock right?")
        }
        certificate::Validity::Until(end) => match end.checked_sub(now) {
            None => reader.alarm(
                key,
                format!("the certificate expired {} ago: renew it, then send SIGHUP", days(now - end)),
            ),
            Some(left) if left < SOON => {
                reader.warning(key, format!("the certificate expires in {}: renew it", days(left)));
            }
            Some(_) => {}
        },
    }
}

/// "3 days".
pub fn days(time: Duration) -> String {
    match time.as_secs() / A_DAY {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

/// Binds what `key` says, if that is good and on.
pub fn bound<T>(
    reader: &mut Reader,
    key: &str,
    address: Option<SocketAddr>,
    bind: impl FnOnce(SocketAddr) -> io::Result<T>,
) -> Option<T> {
    let address = address.filter(|_| reader.is_good(key))?;
    let refused = |error: io::Error| reader.mistake(key, why_not_bound(&error, address));
    bind(address).map_err(refused).ok()
}

/// A certificate that ends before this is warned of.
pub const SOON: Duration = Duration::from_secs(14 * A_DAY);
const A_DAY: u64 = 24 * 60 * 60;
