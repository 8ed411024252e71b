//! Standard output and standard error, each written by a thread of its own.
//!
//! Whoever reads them may stop reading: then a write waits for ever. So nobody else writes, what waits is bounded in bytes,
//! and what has no room is dropped and counted.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Opts, Registry};
use tracing_subscriber::fmt::MakeWriter;
use zeroize::Zeroize;

/// A stream that takes text at once, whether or not somebody reads it.
#[derive(Clone, Debug)]
pub struct Output(Arc<Shared>);

/// What people read.
pub fn stdout() -> &'static Output {
    static STDOUT: OnceLock<Output> = OnceLock::new();
    STDOUT.get_or_init(|| Output::start("stdout", io::stdout(), || ()))
}

/// The log.
pub fn stderr() -> &'static Output {
    static STDERR: OnceLock<Output> = OnceLock::new();
    STDERR.get_or_init(|| Output::start("stderr", io::stderr(), tell_what_was_dropped))
}

/// Waits until both are written, or a reader has had time enough.
pub fn flush() {
    let deadline = Instant::now() + FLUSH_WITHIN;
    for output in [stdout(), stderr()] {
        output.flush(deadline);
    }
}

/// Shows how many lines of the log were dropped as `NAMESPACE_log_lines_dropped_total`.
///
/// # Errors
/// If there is a metric of this name.
pub fn register(registry: &Registry, namespace: &str) -> prometheus::Result<()> {
    let name = Opts::new("log_lines_dropped_total", "Lines of the log that had no room: nobody read it")
        .namespace(namespace);
    let counter = IntCounter::with_opts(name)?;
    registry.register(Box::new(Dropped { output: stderr().clone(), counter }))
}

impl Output {
    /// `tell` is called when writing goes on after lines were dropped.
    fn start(name: &str, sink: impl Write + Send + 'static, tell: fn()) -> Self {
        let output = Self(Arc::default());
        let shared = Arc::clone(&output.0);
        // Without the thread the lines wait for nobody: they are dropped and counted, too.
        let _ = thread::Builder::new().name(name.into()).spawn(move || shared.write_to(sink, tell));
        output
    }

    /// Whole lines, which are written soon or dropped.
    pub fn print(&self, lines: &str) {
        self.0.take(lines.as_bytes());
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    fn flush(&self, deadline: Instant) {
        let mut state = self.0.lock();
        while state.hand == Hand::Full || !state.pending.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The formatter of the log hands over one line a call.
impl Write for &Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = &'a Output;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    wanted: Condvar,
    /// All of it is written.
    written: Condvar,
}

#[derive(Debug)]
struct State {
    pending: Vec<u8>,
    /// What the thread has in hand.
    hand: Hand,
    dropped: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Hand {
    Empty,
    Full,
}

impl Default for State {
    fn default() -> Self {
        Self { pending: buffer(), hand: Hand::Empty, dropped: 0 }
    }
}

/// In one piece, so that no copy of a password is left behind where the buffer was before it grew.
fn buffer() -> Vec<u8> {
    Vec::with_capacity(CAPACITY)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.pending.len() + lines.len() > CAPACITY {
            state.dropped += lines_in(lines);
            return;
        }
        state.pending.extend_from_slice(lines);
        drop(state);
        self.wanted.notify_one();
    }

    fn write_to(&self, mut sink: impl Write, tell: fn()) {
        let (mut batch, mut told, mut works) = (buffer(), 0, true);
        loop {
            let dropped = self.next(&mut batch);
            if works && dropped > told {
                // It stands behind what had room, where the dropped lines would have been.
                tell();
                told = dropped;
            }
            let lost = write_all(&mut sink, &batch);
            works = lost == 0;
            batch.as_mut_slice().zeroize();
            batch.clear();
            let mut state = self.lock();
            state.dropped += lost;
            state.hand = Hand::Empty;
            drop(state);
            self.written.notify_all();
        }
    }

    /// Exchanges the batches when there is something to write; how many lines were dropped until now.
    fn next(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        while state.pending.is_empty() {
            state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.hand = Hand::Full;
        std::mem::swap(&mut state.pending, batch);
        state.dropped
    }
}

/// Lines that could not be written.
fn write_all(sink: &mut impl Write, mut bytes: &[u8]) -> u64 {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return lines_in(bytes),
            Ok(written) => bytes = &bytes[written..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                // Somebody who shares the terminal or pipe has made it non-blocking.
                ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
                // A full disk, or a pipe without a reader.
                _ => return lines_in(bytes),
            },
        }
    }
    // Standard output keeps what has no line end yet.
    let _ = sink.flush();
    0
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count().max(1) as u64
}

fn tell_what_was_dropped() {
    tracing::warn!(lines = stderr().dropped(), "lines of the log were dropped, so many since the start");
}

/// Reads the count when it is asked for.
struct Dropped {
    output: Output,
    counter: IntCounter,
}

impl Collector for Dropped {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.counter.inc_by(self.output.dropped().saturating_sub(self.counter.get()));
        self.counter.collect()
    }
}

/// Bytes that wait to be written; as many again may be on their way.
const CAPACITY: usize = 1 << 20;
/// At the end of the program.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::{BufRead, BufReader, Read};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn long_line(n: usize) -> String {
        format!("{n:0999}\n")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_no_time() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let (reader, writer) = io::pipe().unwrap();
        let output = Output::start("test", writer, || {
            TOLD.fetch_add(1, Ordering::SeqCst);
        });
        for n in 0..10_000 {
            output.print(&long_line(n));
        }
        let dropped = output.dropped();
        assert!(dropped > 7_000, "{dropped}");
        let mut lines = BufReader::new(reader).lines().map(|line| line.unwrap());
        let kept: Vec<String> = lines.by_ref().take(10_000 - dropped as usize).collect();
        assert!(kept.is_sorted() && kept[0] == long_line(0).trim_end());
        output.flush(soon());
        output.print("again\n");
        assert_eq!(lines.next().unwrap(), "again");
        assert_eq!(output.dropped(), dropped);
        assert!(TOLD.load(Ordering::SeqCst) > 0);
    }

    #[test]
    fn the_end_of_the_program_waits_for_a_reader_but_not_for_ever() {
        let (reader, writer) = io::pipe().unwrap();
        let output = Output::start("test", writer, || ());
        for n in 0..200 {
            output.print(&long_line(n));
        }
        output.flush(Instant::now() + Duration::from_millis(10));
        let reading =
            thread::spawn(move || io::read_to_string(BufReader::new(reader).take(200_000)).unwrap());
        output.flush(soon());
        assert_eq!(reading.join().unwrap().len(), 200_000);
    }

    #[test]
    fn a_pipe_without_a_reader_is_no_end() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = Output::start("test", writer, || ());
        output.print("one\ntwo\n");
        output.flush(soon());
        assert_eq!(output.dropped(), 2);
    }
}
