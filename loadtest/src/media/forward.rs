//! The yardstick: a forwarder that does nothing but forward. One thread, one poll, one receive and one send for a packet.

use rustix::event::epoll;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Both sockets of each pair.
type Sockets = Arc<Mutex<Vec<(UdpSocket, SocketAddr)>>>;

/// Serves for ever. Who connects to `control` sends lines of two addresses; a pair of sockets is made for each and their ports are
/// answered: what the first address sends to the first socket leaves from the second for the second address, and the reverse.
///
/// # Errors
/// What the operating system says.
pub fn serve(control: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(control)?;
    let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
    let sockets = Sockets::default();
    let (polled, shared) = (Arc::clone(&epoll), Arc::clone(&sockets));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that breaks off has made as many pairs as it has.
            _ = obey(stream, &polled, &shared);
        }
    });
    forward(&epoll, &sockets)
}

fn obey(mut stream: TcpStream, epoll: &OwnedFd, sockets: &Sockets) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()? {
        let mut peers = line.split(' ').map(str::parse::<SocketAddr>);
        let (Some(Ok(first)), Some(Ok(second))) = (peers.next(), peers.next()) else { return Ok(()) };
        let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ports = [0; 2];
        for (port, peer) in ports.iter_mut().zip([first, second]) {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            *port = socket.local_addr()?.port();
            let index = epoll::EventData::new_u64(sockets.len() as u64);
            sockets.push((socket, peer));
            epoll::add(epoll, &sockets[sockets.len() - 1].0, index, epoll::EventFlags::IN)?;
        }
        writeln!(stream, "{} {}", ports[0], ports[1])?;
    }
    Ok(())
}

fn forward(epoll: &OwnedFd, sockets: &Sockets) -> io::Result<()> {
    let empty = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
    let mut events = [empty; 128];
    let mut buffer = [0; 2_048];
    loop {
        let count = epoll::wait(epoll, &mut events, None)?;
        // Free but while pairs are made.
        let sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events[..count] {
            let index = event.data.u64() as usize;
            let (other, peer) = &sockets[index ^ 1];
            if let Ok((length, _)) = sockets[index].0.recv_from(&mut buffer) {
                _ = other.send_to(&buffer[..length], *peer);
            }
        }
    }
}
