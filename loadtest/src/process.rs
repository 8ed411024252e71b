//! What the server costs: CPU time and memory of a process and its children, read from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process with all its descendants, as some servers work in several.
#[derive(Debug, Clone)]
pub struct ProcessTree {
    root: u32,
    proc: PathBuf,
}

/// CPU time and memory at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// CPU time by thread, in nanoseconds.
    threads: BTreeMap<u32, u64>,
    /// CPU time by process, in clock ticks; counts threads that ended, too.
    ticks: BTreeMap<u32, u64>,
    /// Memory in bytes.
    pub memory: Memory,
    /// Number of processes.
    pub processes: usize,
}

/// Memory of a process tree in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident set sizes added up; pages that several processes share are counted in each.
    pub resident: u64,
    /// Proportional set sizes added up: a page shared by n processes counts as 1/n in each, so every page counts once. Equal
    /// to `resident` where the kernel does not tell.
    pub proportional: u64,
}

impl ProcessTree {
    /// The tree under this process.
    pub fn new(root: u32) -> Self {
        Self { root, proc: PathBuf::from("/proc") }
    }

    /// Reads everything now.
    ///
    /// # Errors
    /// When the process is not there (any more).
    pub fn read(&self) -> io::Result<Reading> {
        let mut reading = Reading::default();
        self.read_process(self.root, &mut reading)?;
        for pid in self.descendants() {
            // A child that ended meanwhile has nothing left to read.
            let _ = self.read_process(pid, &mut reading);
        }
        Ok(reading)
    }

    /// Children, their children and so on.
    pub fn descendants(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.proc) else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, self.parent(pid)?))).collect();
        let mut found = vec![self.root];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        found.split_off(1)
    }

    fn read_process(&self, pid: u32, reading: &mut Reading) -> io::Result<()> {
        let directory = self.proc.join(pid.to_string());
        let stat = fs::read_to_string(directory.join("stat"))?;
        let [user, system] = [11, 12].map(|index| stat_field(&stat, index).unwrap_or(0));
        reading.ticks.insert(pid, user + system);
        for task in fs::read_dir(directory.join("task"))?.flatten() {
            if let (Some(thread), Some(nanos)) = (name_number(&task.path()), on_cpu(&task.path())) {
                reading.threads.insert(thread, nanos);
            }
        }
        let resident = resident(&directory)?;
        reading.memory.resident += resident;
        reading.memory.proportional += proportional(&directory).unwrap_or(resident);
        reading.processes += 1;
        Ok(())
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        let stat = fs::read_to_string(self.proc.join(pid.to_string()).join("stat")).ok()?;
        u32::try_from(stat_field(&stat, 1)?).ok()
    }
}

impl Reading {
    /// CPU time since `earlier`.
    ///
    /// Threads are exact to the nanosecond but leave no trace when they end; processes keep the time of ended threads but
    /// count in ticks of 10 ms. So the larger counts, once the ticks exceed their own error.
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        let since = |now: &BTreeMap<u32, u64>, then: &BTreeMap<u32, u64>| -> u64 {
            now.iter().map(|(id, value)| value.saturating_sub(then.get(id).copied().unwrap_or(0))).sum()
        };
        let nanos = since(&self.threads, &earlier.threads);
        let ticks = since(&self.ticks, &earlier.ticks);
        let margin = self.ticks.len() as u64; // each process's ticks may be off by one
        Duration::from_nanos(nanos.max(ticks.saturating_sub(margin) * TICK_NANOS))
    }
}

/// The numbers after the parenthesised name, which may itself hold spaces and parentheses (proc_pid_stat(5)); index 0 is
/// the state.
fn stat_field(stat: &str, index: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(index)?.parse().ok()
}

/// The first number of schedstat is the time spent on the CPU in nanoseconds (Documentation/scheduler/sched-stats.rst).
fn on_cpu(task: &Path) -> Option<u64> {
    fs::read_to_string(task.join("schedstat")).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The second number of statm is the resident set in pages (proc_pid_statm(5)).
fn resident(directory: &Path) -> io::Result<u64> {
    let statm = fs::read_to_string(directory.join("statm"))?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Ok(pages * PAGE)
}

fn proportional(directory: &Path) -> Option<u64> {
    let rollup = fs::read_to_string(directory.join("smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

fn name_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// USER_HZ is 100 and pages are 4 KiB on every Linux this program is built for.
const TICK_NANOS: u64 = 10_000_000;
const PAGE: u64 = 4_096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn process(proc: &Path, pid: u32, parent: u32, ticks: [u64; 2], threads: &[(u32, u64)]) {
        let directory = proc.join(pid.to_string());
        let [user, system] = ticks;
        for (thread, nanos) in threads {
            let task = directory.join("task").join(thread.to_string());
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("schedstat"), format!("{nanos} 7 9\n")).unwrap();
        }
        let stat = format!("{pid} (a) b (c) S {parent} 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0");
        fs::write(directory.join("stat"), stat).unwrap();
        fs::write(directory.join("statm"), "500 10 5 1 0 40 0\n").unwrap();
        fs::write(directory.join("smaps_rollup"), "x [rollup]\nRss: 40 kB\nPss:    12 kB\n").unwrap();
    }

    #[test]
    fn a_tree_is_added_up_and_strangers_are_not() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), 10, 1, [0, 0], &[(10, 1_000), (11, 2_000)]);
        process(proc.path(), 20, 10, [0, 0], &[(20, 5_000)]);
        process(proc.path(), 30, 20, [0, 0], &[(30, 0)]);
        process(proc.path(), 40, 1, [9, 9], &[(40, 1 << 40)]);
        let tree = ProcessTree { root: 10, proc: proc.path().to_owned() };
        assert_eq!(tree.descendants(), [20, 30]);
        let before = tree.read().unwrap();
        assert_eq!(before.processes, 3);
        assert_eq!(before.memory, Memory { resident: 3 * 40_960, proportional: 3 * 12_288 });
        process(proc.path(), 20, 10, [0, 1], &[(20, 9_000), (21, 500)]);
        let spent = tree.read().unwrap().cpu_since(&before);
        assert_eq!(spent, Duration::from_nanos(4_500), "one tick is within the error of ticks");
    }

    #[test]
    fn threads_that_ended_are_seen_in_the_ticks() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), 10, 1, [3, 2], &[(10, 1_000)]);
        let tree = ProcessTree { root: 10, proc: proc.path().to_owned() };
        let before = tree.read().unwrap();
        process(proc.path(), 10, 1, [43, 12], &[(10, 2_000)]);
        assert_eq!(tree.read().unwrap().cpu_since(&before), Duration::from_millis(490));
    }

    #[test]
    fn this_process_can_be_read_and_a_missing_one_not() {
        let reading = ProcessTree::new(std::process::id()).read().unwrap();
        assert!(
            reading.memory.resident > 0 && reading.memory.proportional > 0 && !reading.threads.is_empty()
        );
        let nowhere = tempfile::tempdir().unwrap();
        assert!(ProcessTree { root: 1, proc: nowhere.path().to_owned() }.read().is_err());
    }
}
