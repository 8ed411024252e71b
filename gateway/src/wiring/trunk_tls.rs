//! TLS towards trunks, in both directions.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use daemon::certificate::Certificate;
use daemon::tls;
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;

use crate::adapters::TrunkTls;
use crate::adapters::peer_certificate::{Names, PeerCertificate, Trust, Whose};
use crate::config::{Settings, Trunk, TrunkTransport};

/// What one trunk is judged by and shown.
pub(super) struct TrunkAccess {
    peer: Arc<PeerCertificate>,
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl TrunkAccess {
    /// From now on new handshakes see what the other one has.
    pub(super) fn replace(&self, new: &Self) {
        self.peer.replace(&new.peer);
        if let (Some(shown), Some(new)) = (&self.certificate, &new.certificate) {
            shown.replace(new);
        }
    }
}

/// Of the trunks whose certificates are ever judged, by their names.
pub(super) fn read(settings: &Settings) -> anyhow::Result<HashMap<String, TrunkAccess>> {
    let judged = |trunk: &&Trunk| trunk.transport == TrunkTransport::Tls || trunk.requires_certificate;
    let trunks = settings.trunks.iter().filter(judged);
    trunks.map(|trunk| Ok((trunk.name.clone(), access(settings, trunk)?))).collect()
}

fn access(settings: &Settings, trunk: &Trunk) -> anyhow::Result<TrunkAccess> {
    let (file, whose) = match (&trunk.ca_file, &settings.tls.trunk_ca_file) {
        (Some(own), _) => (own, Whose::OneTrunk),
        (None, Some(of_all)) => (of_all, Whose::EveryTrunk),
        (None, None) => return Err(anyhow!("trunk {:?} has no ca_file", trunk.name)),
    };
    let trust = Trust::read(file, whose).with_context(|| format!("ca_file of trunk {:?}", trunk.name))?;
    let of_tls = settings.tls.certificate_file.as_deref().zip(settings.tls.key_file.as_deref());
    let certificate = trunk.certificate_files().or(of_tls).map(|(chain, key)| Certificate::load(chain, key));
    Ok(TrunkAccess {
        peer: Arc::new(PeerCertificate::new(trust, names(trunk)?)),
        certificate: certificate
            .transpose()
            .with_context(|| format!("certificate_file of trunk {:?}", trunk.name))?,
    })
}

fn names(trunk: &Trunk) -> anyhow::Result<Names> {
    let names: Vec<ServerName<'static>> =
        trunk.names().map(ServerName::try_from).collect::<Result<_, _>>()?;
    Ok(if trunk.certificate_names.is_empty() { Names::OfHosts(names) } else { Names::Listed(names) })
}

/// For connections that we dial, by the trunk's name.
pub(super) fn clients(
    trunks: &HashMap<String, TrunkAccess>,
) -> anyhow::Result<HashMap<Arc<str>, Arc<ClientConfig>>> {
    let client = |(name, trunk): (&String, &TrunkAccess)| {
        let shown = trunk.certificate.clone().map(|certificate| certificate as Arc<dyn ResolvesClientCert>);
        Ok((name.as_str().into(), tls::client_judging(trunk.peer.clone(), shown)?))
    };
    trunks.iter().map(client).collect()
}

/// For the listener.
pub(super) fn server(
    settings: &Settings,
    trunks: &HashMap<String, TrunkAccess>,
    certificate: &Arc<Certificate>,
) -> anyhow::Result<TrunkTls> {
    let others = tls::server(certificate.clone(), None, &[])?;
    let towards = |trunk: &Trunk| {
        let config = match trunks.get(&trunk.name).filter(|_| trunk.requires_certificate) {
            Some(access) => tls::server_demanding(certificate.clone(), access.peer.clone())?,
            None => others.clone(),
        };
        Ok((trunk.cidrs.clone(), config))
    };
    // All of them: where networks overlap, the first trunk is who comes.
    let by_network = settings.trunks.iter().map(towards).collect::<anyhow::Result<_>>()?;
    Ok(TrunkTls { by_network, others })
}
