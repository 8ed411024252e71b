//! `[[trunk]]`: SIP peers, and what each is told of us.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use daemon::config::{Duration, Field, FieldDoc, Reader, Section, Table};
use daemon::words;
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use sip_core::message::Uri;

use super::settings::{Listen, RelayKind, Settings, check_told};

/// A SIP trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// For the dial plan, the log and metrics.
    pub name: String,
    /// Host name or address, with an optional port: `pbx.example.com` (RFC 3263), `192.0.2.7:5060`, `[2001:db8::7]`.
    pub address: String,
    /// Further hosts, tried in their order when those before fail.
    pub backup_addresses: Vec<String>,
    /// How it is reached.
    pub transport: TrunkTransport,
    /// What it is told in Via and Contact, if not `listen.advertised`: at most one address of each family.
    pub advertised: Vec<IpAddr>,
    /// The relay's interface for its sound; without one the relay goes by its address.
    pub relay_interface: Option<String>,
    /// Codecs offered to it and accepted from it, best first.
    pub codecs: Vec<String>,
    /// Networks its requests come from.
    pub cidrs: Vec<IpNet>,
    /// Believe the first source of RTP instead of the signalled address alone.
    pub learn_address: bool,
    /// How long an INVITE may stay without any response before the next address is tried.
    pub first_reply: Duration,
    /// PEM file with the authorities that its certificate must come from, or with that certificate itself.
    pub ca_file: Option<PathBuf>,
    /// Names, one of which its certificate must bear, if not its hosts.
    pub certificate_names: Vec<String>,
    /// Must it show a certificate when it connects to us?
    pub requires_certificate: bool,
    /// PEM file with the certificate chain that we show when it asks for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
}

/// How a trunk is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}
words!(TrunkTransport: "udp" => Udp, "tcp" => Tcp, "tls" => Tls);

/// Every codec the relay can carry; a trunk's list is taken from these.
pub const CODECS: [&str; 4] = ["opus", "PCMU", "PCMA", "G722"];

impl TrunkTransport {
    /// By what a Contact of such a trunk may be followed: nothing leads from TLS to less.
    pub fn followed(self) -> &'static [Self] {
        match self {
            Self::Udp | Self::Tcp => &[Self::Udp, Self::Tcp],
            Self::Tls => &[Self::Tls],
        }
    }

    /// Our listener for it, and its key.
    pub fn listener(self, listen: &Listen) -> (&'static str, Option<SocketAddr>) {
        match self {
            Self::Udp => ("listen.sip_udp", listen.sip_udp),
            Self::Tcp => ("listen.sip_tcp", listen.sip_tcp),
            Self::Tls => ("listen.sip_tls", listen.sip_tls),
        }
    }
}

impl Trunk {
    /// Where the trunk is, best first.
    pub fn hosts(&self) -> impl Iterator<Item = &String> {
        self.hosts_by_key().map(|(_, host)| host)
    }

    /// Our address in Via and Contact, at most one for each family that the listener serves: a trunk is reached in one of
    /// these families only.
    pub fn told(&self, listen: &Listen) -> Vec<SocketAddr> {
        self.told_over(self.transport, listen)
    }

    /// The same over another transport that we have a listener for.
    pub fn told_over(&self, transport: TrunkTransport, listen: &Listen) -> Vec<SocketAddr> {
        let Some(listener) = transport.listener(listen).1 else { return Vec::new() };
        let own = [listener.ip()];
        let lists = [&self.advertised[..], &listen.advertised[..], &own[..]];
        let told = lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
        let served = told.iter().filter(|told| serves(listener, **told));
        served.map(|told| SocketAddr::new(*told, listener.port())).collect()
    }

    /// PEM chain and key, if they are named.
    pub fn certificate_files(&self) -> Option<(&Path, &Path)> {
        self.certificate_file.as_deref().zip(self.key_file.as_deref())
    }

    /// The names that its certificate has to bear one of, and how they were configured.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let hosts = self.hosts().filter_map(|host| Some(bare(&host_and_port(host)?.0).to_owned()));
        let of_hosts = hosts.filter(|_| self.certificate_names.is_empty());
        self.certificate_names.iter().cloned().chain(of_hosts)
    }

    /// What counts only after a restart: all but where the certificates' files are.
    pub(super) fn fixed(&self) -> Self {
        let has_one = |file: &Option<PathBuf>| file.is_some().then(PathBuf::new);
        Self {
            ca_file: has_one(&self.ca_file),
            certificate_file: has_one(&self.certificate_file),
            key_file: has_one(&self.key_file),
            ..self.clone()
        }
    }

    /// The files whose paths the configuration gives.
    pub(super) fn paths(&mut self) -> [&mut Option<PathBuf>; 3] {
        [&mut self.ca_file, &mut self.certificate_file, &mut self.key_file]
    }

    /// May its requests come from there?
    fn trusts(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|network| network.contains(&address))
    }

    /// As [`Trunk::hosts`], each with its key.
    fn hosts_by_key(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let backups = self.backup_addresses.iter().map(|host| ("backup_addresses", host));
        std::iter::once(("address", &self.address)).chain(backups)
    }
}

/// Takes one of a trunk's hosts apart: a name or an address, IPv6 in brackets, and its port if it has one.
pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let uri = format!("sip:{text}");
    let uri = Uri::parse(&uri).ok()?;
    let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
    (text == format!("{}{port}", uri.host) && is_host(uri.host)).then(|| (uri.host.to_owned(), uri.port))
}

/// Can it be looked up, unless it is an address? RFC 1035 §2.3.4: labels of 1 to 63 bytes, 253 in all; underscores are in the
/// names of real hosts. RFC 3261 §25.1: the last label is no number, so that a mistyped address is not taken for a name.
fn is_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()));
    host.starts_with('[') || host.parse::<IpAddr>().is_ok() || is_name && !is_number
}

/// Takes the repeated section.
pub(super) fn take(reader: &mut Reader, root: &mut Table) -> Vec<Trunk> {
    let tables = reader.sections(root, "trunk");
    let trunks = tables.into_iter().filter_map(|(section, mut table)| {
        let name = reader.require(&mut table, &section, "name");
        let address = reader.require(&mut table, &section, "address");
        let backup_addresses = reader.take(&mut table, &section, "backup_addresses", Vec::new());
        let transport = reader.take(&mut table, &section, "transport", TrunkTransport::Udp);
        let advertised = reader.take(&mut table, &section, "advertised", Vec::new());
        let relay_interface = reader.take(&mut table, &section, "relay_interface", None);
        let codecs = reader.take(&mut table, &section, "codecs", default_codecs());
        let cidrs: Vec<IpNet> = reader.take(&mut table, &section, "cidrs", Vec::new());
        let learn_address = reader.take(&mut table, &section, "learn_address", false);
        let first_reply = reader.take(&mut table, &section, "first_reply", FIRST_REPLY);
        let ca_file = reader.take(&mut table, &section, "ca_file", None);
        let certificate_names = reader.take(&mut table, &section, "certificate_names", Vec::new());
        let requires_certificate = reader.take(&mut table, &section, "requires_certificate", false);
        let certificate_file = reader.take(&mut table, &section, "certificate_file", None);
        let key_file = reader.take(&mut table, &section, "key_file", None);
        reader.refuse_unknown(&section, &table);
        Some(Trunk {
            name: name?,
            address: address?,
            backup_addresses,
            transport,
            advertised,
            relay_interface,
            codecs,
            cidrs: cidrs.into_iter().map(canonical).collect(),
            learn_address,
            first_reply,
            ca_file,
            certificate_names,
            requires_certificate,
            certificate_file,
            key_file,
        })
    });
    trunks.collect()
}

/// Networks of IPv4 addresses mapped into IPv6 are those of IPv4 (RFC 4291 §2.5.5.2): peers are known by these.
fn canonical(network: IpNet) -> IpNet {
    let four = match network {
        IpNet::V6(six) => six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(MAPPED_PREFIX)),
        IpNet::V4(_) => None,
    };
    four.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok()).unwrap_or(network)
}

/// What no single key can know.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    for (i, trunk) in settings.trunks.iter().enumerate() {
        let key = format!("trunk[{}]", trunk.name);
        if settings.trunks[..i].iter().any(|other| other.name == trunk.name) {
            reader.mistake(format!("{key}.name"), format!("{:?} names two trunks", trunk.name));
        }
        if trunk.cidrs.is_empty() {
            reader
                .mistake(format!("{key}.cidrs"), "expected at least one network that its requests come from");
        }
        if trunk.first_reply.0.is_zero() {
            reader.mistake(format!("{key}.first_reply"), "expected a time above zero");
        }
        if trunk.codecs.is_empty() {
            reader.mistake(format!("{key}.codecs"), "expected at least one codec");
        }
        for codec in trunk.codecs.iter().filter(|codec| !CODECS.contains(&codec.as_str())) {
            let known = CODECS.join(", ");
            reader.mistake(format!("{key}.codecs"), format!("{codec:?} is not one of {known}"));
        }
        for (of, host) in trunk.hosts_by_key().filter(|(_, host)| host_and_port(host).is_none()) {
            let what = format!(
                "{host:?}: expected a host name or an address, IPv6 in brackets, with an optional port"
            );
            reader.mistake(format!("{key}.{of}"), what);
        }
        for (of, ip) in trunk.hosts_by_key().filter_map(literal) {
            if !trunk.cidrs.is_empty() && !settings.trunks.iter().any(|other| other.trusts(ip)) {
                let what =
                    format!("{ip} is in no network of cidrs, so its BYE would be refused: add it there");
                reader.mistake(format!("{key}.{of}"), what);
            }
        }
        check_way(settings, trunk, &key, reader);
        check_tls(settings, trunk, &key, reader);
        check_interface(settings, trunk, &key, reader);
    }
    if let Some(name) = &settings.dialplan.trunk
        && !settings.trunks.iter().any(|trunk| trunk.name == *name)
    {
        reader.mistake("dialplan.trunk", format!("{name:?} is not the name of a [[trunk]]"));
    }
}

/// Can SIP go there and back?
fn check_way(settings: &Settings, trunk: &Trunk, key: &str, reader: &mut Reader) {
    if let Err(what) = check_told(&trunk.advertised) {
        reader.mistake(format!("{key}.advertised"), what);
    }
    let (listener, bind) = trunk.transport.listener(&settings.listen);
    let Some(bind) = bind else {
        return reader.mistake(format!("{key}.transport"), format!("needs {listener}, which is not set"));
    };
    for own in trunk.advertised.iter().filter(|own| !serves(bind, **own)) {
        let what = format!("{own} is of a family that {listener} ({bind}) does not serve");
        reader.mistake(format!("{key}.advertised"), what);
    }
    let told = trunk.told(&settings.listen);
    if told.is_empty() && trunk.advertised.is_empty() {
        let what = format!("none of the advertised addresses is of the family of {listener} ({bind})");
        reader.mistake(key, what);
    }
    if told.is_empty() {
        return;
    }
    for (of, ip) in trunk.hosts_by_key().filter_map(literal) {
        if !told.iter().any(|told| told.is_ipv4() == ip.is_ipv4()) {
            let what = format!(
                "{ip} is of a family that {listener} ({bind}) does not serve or has no advertised address in"
            );
            reader.mistake(format!("{key}.{of}"), what);
        }
    }
}

/// Can its certificate be judged, and ours be shown?
fn check_tls(settings: &Settings, trunk: &Trunk, key: &str, reader: &mut Reader) {
    let name = &trunk.name;
    if trunk.certificate_file.is_some() != trunk.key_file.is_some() {
        let what = format!("trunk {name:?}: certificate_file and key_file go together: set both or neither");
        reader.mistake(format!("{key}.certificate_file"), what);
    }
    for wrong in trunk.certificate_names.iter().filter(|name| ServerName::try_from(name.as_str()).is_err()) {
        let what = format!("trunk {name:?}: expected names or addresses, found {wrong:?}");
        reader.mistake(format!("{key}.certificate_names"), what);
    }
    let is_dialled = trunk.transport == TrunkTransport::Tls;
    let has_trust = trunk.ca_file.is_some() || settings.tls.trunk_ca_file.is_some();
    if (is_dialled || trunk.requires_certificate) && !has_trust {
        let what = format!(
            "trunk {name:?}: nothing says which certificate is its own: set this to a PEM file with the authority, or with \
             the certificate itself, or set tls.trunk_ca_file for all trunks"
        );
        reader.mistake(format!("{key}.ca_file"), what);
    }
    if trunk.requires_certificate && settings.listen.sip_tls.is_none() {
        let what = format!("trunk {name:?}: needs listen.sip_tls, which is not set");
        reader.mistake(format!("{key}.requires_certificate"), what);
    }
    let judging =
        [("ca_file", trunk.ca_file.is_some()), ("certificate_names", !trunk.certificate_names.is_empty())];
    for (of, _) in
        judging.into_iter().filter(|(_, is_set)| *is_set && !is_dialled && !trunk.requires_certificate)
    {
        let what =
            format!("trunk {name:?}: is of no use without transport = \"tls\" or requires_certificate");
        reader.mistake(format!("{key}.{of}"), what);
    }
    if trunk.certificate_file.is_some() && !is_dialled {
        let what = format!("trunk {name:?}: is of no use without transport = \"tls\"");
        reader.mistake(format!("{key}.certificate_file"), what);
    }
}

/// Can it be told to peers of this listener?
fn serves(listener: SocketAddr, told: IpAddr) -> bool {
    let is_both = listener.is_ipv6() && listener.ip().is_unspecified();
    is_both || told.is_ipv4() == listener.is_ipv4()
}

/// Has the relay inside a place for its sound? Relays of a pool have configurations of their own.
fn check_interface(settings: &Settings, trunk: &Trunk, key: &str, reader: &mut Reader) {
    if settings.relay.kind == RelayKind::Pool {
        return;
    }
    let (addressing, interface) = (&settings.relay_addressing, trunk.relay_interface.as_deref());
    if let Some(name) = interface.filter(|name| !addressing.has_interface(name)) {
        let what = format!("{name:?} is not the name of a [[relay.interface]]");
        return reader.mistake(format!("{key}.relay_interface"), what);
    }
    for (of, ip) in trunk.hosts_by_key().filter_map(literal) {
        if let Err(error) = addressing.address_for(interface, ip) {
            let what = format!("{error}: add one to relay.rtp_address or to a [[relay.interface]]");
            reader.mistake(format!("{key}.{of}"), what);
        }
    }
}

/// The address, if the host is no name.
fn literal<'a>((of, host): (&'a str, &String)) -> Option<(&'a str, IpAddr)> {
    let (host, _) = host_and_port(host)?;
    bare(&host).parse().ok().map(|ip: IpAddr| (of, ip.to_canonical()))
}

/// Without brackets or the final dot: as certificates have it.
fn bare(host: &str) -> &str {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.strip_suffix('.').unwrap_or(bare)
}

/// Its part of the reference.
pub(super) fn section() -> Section {
    let required = || "required".to_string();
    let field = |key, kind, default, doc: &str| FieldDoc { key, kind, default, doc: doc.into() };
    Section {
        title: "`[[trunk]]`".into(),
        doc: "A SIP peer that is callable and may call. Repeat the section for each.",
        fields: vec![
            field("name", String::KIND, required(), "For the dial plan, the log and metrics."),
            field(
                "address",
                String::KIND,
                required(),
                "Host name or address, IPv6 in brackets, with an optional port. A name without a port is looked up as RFC 3263 says; one with a final dot is complete.",
            ),
            field(
                "backup_addresses",
                Vec::<String>::KIND,
                Vec::<String>::new().show(),
                "Further hosts, in the order in which they are tried when no address of those before answers.",
            ),
            field("transport", TrunkTransport::KIND, TrunkTransport::Udp.show(), "How it is reached."),
            field(
                "advertised",
                Vec::<IpAddr>::KIND,
                Vec::<IpAddr>::new().show(),
                "The address that it is told in Via and Contact, or one of each family, if that is another than `listen.advertised`.",
            ),
            field(
                "relay_interface",
                String::KIND,
                Option::<String>::None.show(),
                "Name of the relay's interface for its sound. Without one the relay goes by the network of the trunk's address.",
            ),
            field(
                "codecs",
                Vec::<String>::KIND,
                default_codecs().show(),
                "Offered and accepted, best first.",
            ),
            field(
                "cidrs",
                Vec::<IpNet>::KIND,
                required(),
                "Networks that its requests come from, its addresses among them; it may answer ours from elsewhere. Over UDP a source can be forged: keep the listener on a network that nobody else can send to.",
            ),
            field(
                "learn_address",
                bool::KIND,
                false.show(),
                "Believe the first source of RTP instead of the signalled address alone. A stranger who is faster gets the sound.",
            ),
            field(
                "first_reply",
                Duration::KIND,
                FIRST_REPLY.show(),
                "An address that sends no response to an INVITE in this time is left for the next one, which gets half the time. At most four are tried for a call.",
            ),
            field(
                "ca_file",
                Option::<PathBuf>::KIND,
                Option::<PathBuf>::None.show(),
                "PEM file with the authorities that its certificate must come from, if not `tls.trunk_ca_file`; or with that certificate itself, which is then taken whatever names and dates it bears.",
            ),
            field(
                "certificate_names",
                Vec::<String>::KIND,
                Vec::<String>::new().show(),
                "Names, one of which its certificate must bear (RFC 5922 §7.1: `URI:sip:NAME`, and if there is none of these, `DNS:NAME`). Without any, that of its host.",
            ),
            field(
                "requires_certificate",
                bool::KIND,
                false.show(),
                "Must it show such a certificate when it connects to us? Then it is heard over TLS alone.",
            ),
            field(
                "certificate_file",
                Option::<PathBuf>::KIND,
                Option::<PathBuf>::None.show(),
                "PEM file with the certificate chain that it is shown when it asks for one; without it, that of `[tls]` if this is from a file.",
            ),
            field(
                "key_file",
                Option::<PathBuf>::KIND,
                Option::<PathBuf>::None.show(),
                "PEM file with its private key.",
            ),
        ],
    }
}

/// Bits of `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

/// Four candidates together, each with the step of the call timers: below five seconds.
const FIRST_REPLY: Duration = Duration(std::time::Duration::from_millis(2_400));

fn default_codecs() -> Vec<String> {
    vec!["PCMU".into(), "PCMA".into()]
}
