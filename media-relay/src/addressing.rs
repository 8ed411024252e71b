//! Where the relay is reached: the keys that its program and the gateway, which may have it inside, share.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration as Time;

use daemon::config::{
    AddressList, Addresses, Duration, Field, FieldDoc, PortRange, Reader, Section, Table, Value, ValueKind,
};
use daemon::network::why_not_bound;
use daemon::section;
use ipnet::IpNet;
use relay_api::RelayError;
use relay_core::Interface;

use crate::bound::{BoundSockets, ListenerKind, Refused};
use crate::config::{BoundRange, BrowserListener, Config, MAX_WORKERS, RtpInterface, is_same_place};
use crate::this_machine;
use crate::turn::Bound as TurnAddresses;
use crate::turn::config::TurnConfig;
use crate::turn::settings::Turn;
use crate::worker::share;

section! {
    /// Addresses, ports, threads.
    AddressingKeys at "media" {
        /// Where browsers reach it: an address, or a list of them, best first, all of which they are told as candidates. Behind NAT it is written `bind/advertised`; a bound address that browsers reach by several others is listed with each. `"auto"` is for browsers on this machine: `127.0.0.1`, and one address of an interface beside it, because Firefox makes no connection with loopback.
        browser_address: BrowserAddresses = BrowserAddresses::OfThisMachine,
        /// UDP port for all browsers, the same at each address; further workers take the ports behind it. 0 lets the system choose.
        browser_port: u32 = 3478,
        /// Where trunks reach it, unless an `interface` is for them: an address, or one of each family (IPv4, IPv6). This is the interface named `default`.
        rtp_address: AddressList = localhost(),
        /// UDP ports for trunks.
        rtp_ports: PortRange = PortRange { first: 40_000, last: 49_999 },
        /// How long a port rests before another session gets it.
        port_rest: Duration = Duration::seconds(5),
        /// Threads; 0 takes one a core.
        workers: u32 = 0,
    }
}

/// Addresses, ports and threads of a relay, with its further interfaces for trunks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addressing {
    /// What every relay has.
    pub keys: AddressingKeys,
    /// For trunks in particular networks.
    pub interfaces: Vec<InterfaceKeys>,
}

/// Where browsers reach the relay.
#[derive(Clone, Debug, PartialEq)]
pub enum BrowserAddresses {
    /// Loopback, and the first address beside it that this machine has when it is asked for.
    OfThisMachine,
    /// What the configuration says.
    Told(AddressList),
}

impl BrowserAddresses {
    fn list(&self) -> Cow<'_, [Addresses]> {
        match self {
            Self::OfThisMachine => {
                let beside = this_machine::address_beside_loopback().map(Addresses::of);
                localhost().0.into_iter().chain(beside).collect()
            }
            Self::Told(list) => Cow::Borrowed(&list.0),
        }
    }
}

impl Field for BrowserAddresses {
    const KIND: &'static str = "`\"auto\"`, or IP address, or bind/advertised, or a list of them";
    fn read(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(word) if word == AUTO => Ok(Self::OfThisMachine),
            _ => AddressList::read(value).map(Self::Told),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::OfThisMachine => format!("`\"{AUTO}\"`"),
            Self::Told(list) => list.show(),
        }
    }
}

/// An interface for some of the trunks.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceKeys {
    /// What a trunk can name.
    pub name: String,
    /// One, or one of each family.
    pub address: AddressList,
    /// Its ports.
    pub ports: PortRange,
    /// Trunks that it is for.
    pub networks: Vec<IpNet>,
}

impl Addressing {
    /// Takes its keys and interfaces out of a section; the table is what is left of that.
    pub fn take(reader: &mut Reader, root: &mut Table, section: &str) -> (Self, Table) {
        let tables = reader.subsections(root, section, INTERFACE);
        let mut table = reader.section(root, section);
        let keys = AddressingKeys::take_keys(reader, &mut table, section);
        let interfaces = tables.into_iter().filter_map(|(section, mut table)| {
            let name = reader.require(&mut table, &section, "name");
            let address = reader.require(&mut table, &section, "address");
            let ports = reader.take(&mut table, &section, "ports", keys.rtp_ports);
            let networks = reader.take(&mut table, &section, "networks", Vec::new());
            reader.refuse_unknown(&section, &table);
            Some(InterfaceKeys { name: name?, address: address?, ports, networks })
        });
        let interfaces = interfaces.collect();
        (Self { keys, interfaces }, table)
    }

    /// What the relay is started with.
    pub fn config(&self, media_timeout: Time, max_sessions: u32, turn: Option<TurnConfig>) -> Config {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Config {
            browser: self.browser_listeners(),
            rtp: self.rtp_interfaces(),
            media_timeout,
            port_quarantine: self.keys.port_rest.0,
            max_sessions: max_sessions as usize,
            workers: if self.keys.workers == 0 { cores } else { self.keys.workers as usize },
            turn,
        }
    }

    /// What a trunk there is told, at the interface that it names or at the one that is for it.
    ///
    /// # Errors
    /// There is no such interface, or it has no address of the trunk's family.
    pub fn address_for(&self, interface: Option<&str>, trunk: IpAddr) -> Result<IpAddr, RelayError> {
        let interfaces = self.addresses().interfaces();
        Interface::choose(&interfaces, interface, Some(trunk)).map(|at| interfaces[at].advertised)
    }

    /// Has it an interface of this name?
    pub fn has_interface(&self, name: &str) -> bool {
        name == DEFAULT || self.interfaces.iter().any(|interface| interface.name == name)
    }

    /// What no single key can know; they are in `section`.
    pub fn check(&self, section: &str, reader: &mut Reader) {
        if self.keys.workers as usize > MAX_WORKERS {
            reader.mistake(format!("{section}.workers"), format!("expected at most {MAX_WORKERS}"));
        }
        self.check_browser_port(section, reader);
        self.check_browser_addresses(section, reader);
        self.check_interfaces(section, reader);
        self.check_ports(section, reader);
    }

    /// Neither TURN's listeners nor its relayed ports may take the ports of media.
    pub fn check_turn(&self, turn: &Turn, section: &str, reader: &mut Reader) {
        let media: Vec<BoundRange> = self.rtp_ranges().chain(self.browser_ranges()).collect();
        let has_port = |port: u16| media.iter().any(|range| range.ports.contains(&port));
        let relayed = turn.relayed_ports;
        if (relayed.first..=relayed.last).any(has_port) {
            let what = format!(
                "expected none of the ports of media: {section}.browser_port, {section}.rtp_ports and those of [[{section}.{INTERFACE}]]"
            );
            reader.mistake("turn.relayed_ports", what);
        }
        for listener in &turn.udp {
            let takes = |range: &&BoundRange| {
                is_same_place(range.bind, listener.ip()) && range.ports.contains(&listener.port())
            };
            if let Some(range) = media.iter().find(takes) {
                reader.mistake("turn.udp", format!("{listener} is one of the ports of media {range}"));
            }
        }
    }

    /// Binds what browsers and TURN clients reach. Each key's first port that can't be had is a mistake.
    pub fn bind(&self, section: &str, turn: &TurnAddresses, reader: &mut Reader) -> BoundSockets {
        let config = self.addresses();
        let workers = config.workers.min(MAX_WORKERS);
        BoundSockets::bind(&config.browser, turn, workers, |Refused { listener, address, error }| {
            let key = match listener {
                ListenerKind::Browser if address.port() == 0 => format!("{section}.browser_address"),
                ListenerKind::Browser => format!("{section}.browser_port"),
                ListenerKind::TurnUdp => "turn.udp".to_owned(),
                ListenerKind::TurnTcp => "turn.tcp".to_owned(),
                ListenerKind::TurnTls => "turn.tls".to_owned(),
            };
            if reader.is_good(&key) {
                reader.mistake(key, why_not_bound(&error, address));
            }
        })
    }

    /// Binds each port of the trunks' interfaces, one after the other: there are more than a process may have open.
    pub fn bind_media(&self, section: &str, reader: &mut Reader) {
        for range in self.rtp_ranges() {
            let key = self.ports_key(section, &range);
            let tried = range.ports.clone().map(|port| SocketAddr::new(range.bind, port));
            let refused: Vec<_> =
                tried.filter_map(|at| UdpSocket::bind(at).err().map(|error| (at, error))).collect();
            if let Some((at, error)) = refused.first() {
                let what =
                    format!("{} of these ports can't be had: {}", refused.len(), why_not_bound(error, *at));
                reader.mistake(key, what);
            }
        }
    }

    /// Its part of the reference: the repeated section.
    pub fn interface_section(section: &str) -> Section {
        let field = |key, kind, default: &str, doc: &str| FieldDoc {
            key,
            kind,
            default: default.into(),
            doc: doc.into(),
        };
        Section {
            title: format!("`[[{section}.{INTERFACE}]]`"),
            doc: "Where some trunks reach the relay: those in its `networks`, and those that name it. Repeat the section for each. [networks.md](networks.md) has examples.",
            fields: vec![
                field(
                    "name",
                    String::KIND,
                    "required",
                    "What a trunk names; `default` is the one of `rtp_address`.",
                ),
                field("address", AddressList::KIND, "required", "As `rtp_address`."),
                field(
                    "ports",
                    PortRange::KIND,
                    "`rtp_ports`",
                    "UDP ports. Interfaces that are bound to one address share them if they are the same; else they must not overlap.",
                ),
                field(
                    "networks",
                    Vec::<IpNet>::KIND,
                    "`[]`",
                    "Trunks that it is for, such as `[\"10.0.0.0/8\", \"fd00::/8\"]`. Of several networks around a trunk the longest prefix counts.",
                ),
            ],
        }
    }

    /// A configuration that counts for its addresses alone.
    fn addresses(&self) -> Config {
        self.config(Time::ZERO, 0, None)
    }

    fn browser_listeners(&self) -> Vec<BrowserListener> {
        let port = u16::try_from(self.keys.browser_port).unwrap_or_default();
        let mut listeners: Vec<BrowserListener> = Vec::new();
        for one in self.keys.browser_address.list().iter() {
            match listeners.iter_mut().find(|listener| listener.bind.ip() == one.bind) {
                Some(listener) => listener.advertised.push(one.advertised),
                None => listeners.push(BrowserListener {
                    bind: SocketAddr::new(one.bind, port),
                    advertised: vec![one.advertised],
                }),
            }
        }
        listeners
    }

    /// The default is the first: it is for whom no other is.
    fn rtp_interfaces(&self) -> Vec<RtpInterface> {
        let interface =
            |name: &str, address: &AddressList, ports: PortRange, networks: &[IpNet]| RtpInterface {
                name: name.to_owned(),
                addresses: address.0.clone(),
                networks: networks.to_vec(),
                ports: ports.first..=ports.last,
            };
        let default = interface(DEFAULT, &self.keys.rtp_address, self.keys.rtp_ports, &[]);
        let further =
            self.interfaces.iter().map(|one| interface(&one.name, &one.address, one.ports, &one.networks));
        std::iter::once(default).chain(further).collect()
    }

    fn rtp_ranges(&self) -> impl Iterator<Item = BoundRange> {
        self.addresses().ranges().into_iter()
    }

    /// Where browsers reach it, with the ports of all workers.
    pub fn browser_ranges(&self) -> impl Iterator<Item = BoundRange> {
        let config = self.addresses();
        let workers = u16::try_from(config.workers.min(MAX_WORKERS)).unwrap_or(u16::MAX);
        config.browser.into_iter().filter(|listener| listener.bind.port() != 0).map(move |listener| {
            let first = listener.bind.port();
            let last = first.saturating_add(workers.saturating_sub(1));
            BoundRange { bind: listener.bind.ip(), ports: first..=last }
        })
    }

    fn check_browser_port(&self, section: &str, reader: &mut Reader) {
        let (key, port) = (format!("{section}.browser_port"), self.keys.browser_port);
        let workers = self.addresses().workers.min(MAX_WORKERS) as u32;
        let highest = u32::from(u16::MAX);
        if port > highest {
            reader.mistake(key, "expected a port from 0 to 65535");
        } else if port != 0 && port + workers - 1 > highest {
            let most = highest + 1 - workers;
            reader.mistake(key, format!("expected at most {most}: each of {workers} workers needs a port"));
        }
    }

    fn check_browser_addresses(&self, section: &str, reader: &mut Reader) {
        let listeners = self.browser_listeners();
        for (i, listener) in listeners.iter().enumerate() {
            let (bind, key) = (listener.bind.ip(), format!("{section}.browser_address"));
            if let Some(other) = listeners[..i].iter().find(|other| is_same_place(other.bind.ip(), bind))
                && listener.bind.port() != 0
            {
                let other = other.bind.ip();
                reader.mistake(key, format!("{other} and {bind} can't both be bound at one port"));
            }
        }
    }

    fn check_interfaces(&self, section: &str, reader: &mut Reader) {
        if let Err(what) = one_of_each_family(&self.keys.rtp_address) {
            reader.mistake(format!("{section}.rtp_address"), what);
        }
        for (i, interface) in self.interfaces.iter().enumerate() {
            let name = &interface.name;
            let key = |key: &str| format!("{section}.{INTERFACE}[{name}].{key}");
            if name == DEFAULT {
                reader.mistake(key("name"), format!("{name:?} is the interface of {section}.rtp_address"));
            }
            if self.interfaces[..i].iter().any(|other| other.name == *name) {
                reader.mistake(key("name"), format!("{name:?} names two interfaces"));
            }
            if let Err(what) = one_of_each_family(&interface.address) {
                reader.mistake(key("address"), what);
            }
            for network in &interface.networks {
                let is_ipv4 = network.addr().is_ipv4();
                if !interface.address.0.iter().any(|one| one.bind.is_ipv4() == is_ipv4) {
                    reader.mistake(
                        key("networks"),
                        format!("{network} is of a family in which it has no address"),
                    );
                }
                let is_same = |other: &IpNet| other.trunc() == network.trunc();
                let elsewhere = self.interfaces[..i].iter().find(|other| other.networks.iter().any(is_same));
                if let Some(other) = elsewhere {
                    reader.mistake(key("networks"), format!("{network} is one of {:?} as well", other.name));
                }
            }
        }
    }

    fn check_ports(&self, section: &str, reader: &mut Reader) {
        let ranges: Vec<BoundRange> = self.rtp_ranges().collect();
        let workers = self.addresses().workers;
        for (i, range) in ranges.iter().enumerate() {
            if (0..workers).any(|number| share(&range.ports, number, workers).is_none()) {
                let what = format!(
                    "the ports {range} are too few: each of {workers} workers needs a pair, even and odd"
                );
                reader.mistake(self.ports_key(section, range), what);
            }
            for other in ranges[..i].iter().filter(|other| range.is_in_the_way_of(other)) {
                let what =
                    format!("the ports {other} and {range} overlap: make them the same or keep them apart");
                reader.mistake(self.ports_key(section, range), what);
            }
        }
        for browsers in self.browser_ranges() {
            if let Some(range) = ranges.iter().find(|range| browsers.is_in_the_way_of(range)) {
                let what = format!("{browsers}, a port for each worker, is in the way of the ports {range}");
                reader.mistake(format!("{section}.browser_port"), what);
            }
        }
    }

    /// Where these ports are configured.
    fn ports_key(&self, section: &str, range: &BoundRange) -> String {
        let is_of = |ports: PortRange| range.ports == (ports.first..=ports.last);
        let is_at = |list: &AddressList| list.0.iter().any(|one| one.bind == range.bind);
        let of_interface = self.interfaces.iter().find(|one| is_of(one.ports) && is_at(&one.address));
        match of_interface.filter(|_| !is_of(self.keys.rtp_ports)) {
            Some(one) => format!("{section}.{INTERFACE}[{}].ports", one.name),
            None => format!("{section}.rtp_ports"),
        }
    }
}

fn one_of_each_family(list: &AddressList) -> Result<(), &'static str> {
    let of_family = |is_ipv4| list.0.iter().filter(|one| one.bind.is_ipv4() == is_ipv4).count();
    if of_family(true) > 1 || of_family(false) > 1 {
        return Err("expected one address, or one of each family");
    }
    Ok(())
}

fn localhost() -> AddressList {
    AddressList(vec![Addresses::of(IpAddr::V4(Ipv4Addr::LOCALHOST))])
}

/// `BrowserAddresses::OfThisMachine` as it is written.
const AUTO: &str = "auto";
const INTERFACE: &str = "interface";
/// The interface of `rtp_address`.
const DEFAULT: &str = "default";
