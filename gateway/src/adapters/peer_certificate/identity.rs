//! Whom a certificate names: RFC 5922 §7.1, §7.2.

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, Error};
use sip_core::message::Uri;
use webpki::EndEntityCert;

/// The names one of which a trunk's certificate has to bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Configured for its certificate.
    Listed(Vec<ServerName<'static>>),
    /// Those of its hosts: the one that was dialled, or if it dialled, any.
    OfHosts(Vec<ServerName<'static>>),
}

impl Names {
    pub(super) fn when_dialled<'a>(&'a self, dialled: &'a ServerName<'_>) -> &'a [ServerName<'a>] {
        match self {
            Self::Listed(names) => names,
            Self::OfHosts(_) => std::slice::from_ref(dialled),
        }
    }

    pub(super) fn when_accepted(&self) -> &[ServerName<'static>] {
        match self {
            Self::Listed(names) | Self::OfHosts(names) => names,
        }
    }
}

/// Does it bear one of the names?
///
/// RFC 5922 §7.1: the domains of `sip:` URIs are its names; where there are none, those for DNS (and addresses) are. The
/// common name never counts.
pub(super) fn check(certificate: &CertificateDer<'_>, names: &[ServerName<'_>]) -> Result<(), Error> {
    let parsed = EndEntityCert::try_from(certificate).map_err(super::refused)?;
    let domains: Vec<&str> = parsed.valid_uri_names().filter_map(sip_domain).collect();
    let is_borne = |name: &ServerName<'_>| match domains.as_slice() {
        [] => parsed.verify_is_valid_for_subject_name(name).is_ok(),
        domains => domains.iter().any(|domain| domain.eq_ignore_ascii_case(&name.to_str())),
    };
    if names.iter().any(is_borne) {
        return Ok(());
    }
    let presented = match domains.as_slice() {
        [] => parsed.valid_dns_names().map(|name| format!("DNS:{name}")).collect(),
        domains => domains.iter().map(|domain| format!("URI:sip:{domain}")).collect(),
    };
    Err(Error::InvalidCertificate(match names.first() {
        Some(expected) => {
            CertificateError::NotValidForNameContext { expected: expected.to_owned(), presented }
        }
        None => CertificateError::NotValidForName,
    }))
}

/// RFC 5922 §7.1: of a URI of the scheme `sip` that names no user.
fn sip_domain(uri: &str) -> Option<&str> {
    let parsed = Uri::parse(uri).ok()?;
    let is_domain =
        uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:")) && parsed.user.is_none();
    is_domain.then_some(parsed.host)
}
