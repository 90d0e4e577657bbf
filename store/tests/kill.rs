//! `kill -9` at any moment loses nothing that was acknowledged.
//!
//! This program starts itself again as a writer (`writer`), which makes transactions in two threads and
//! acknowledges each on a pipe. It is killed at random moments, while it opens the store as well as while
//! it writes, and after each time everything acknowledged must be there, and each transaction whole.

#[cfg(test)]
mod kill {
    use std::env;
    use std::io::{self, BufRead, BufReader, Write};
    use std::ops::RangeInclusive;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use tapweave_store::{
        FileStore, Key, Prefix, StateDirectory, StoppedClock, Store, Transaction,
    };
    use tempfile::TempDir;

    /// How often the writer is killed.
    const KILLS: u64 = 300;
    /// Threads of the writer.
    const THREADS: usize = 2;
    /// Records that a thread keeps beside its number.
    const KEPT: u64 = 8;
    /// Names the directory of the store to the writer.
    const DIRECTORY: &str = "TAPWEAVE_STORE_WRITER";

    fn open(directory: &Path) -> FileStore {
        let directory = StateDirectory::take(directory).unwrap();
        FileStore::open(directory, Arc::new(StoppedClock)).unwrap()
    }

    fn key(thread: usize, name: &str) -> Key {
        Key::new(&format!("{thread}/{name}")).unwrap()
    }

    fn record(thread: usize, n: u64) -> Key {
        Key::new(&format!("{thread}/log/{n:08}")).unwrap()
    }

    /// Returns what a thread has got to, and checks that there is nothing but that.
    fn reached(store: &dyn Store, thread: usize) -> u64 {
        let Some(number) = store.get(&key(thread, "number")).unwrap() else {
            assert_eq!(
                store
                    .range(&Prefix::below(&key(thread, "log")))
                    .unwrap()
                    .entries,
                []
            );
            return 0;
        };
        let n = u64::from_be_bytes(*number.value.first_chunk().unwrap());
        let log = store.range(&Prefix::below(&key(thread, "log"))).unwrap();
        let found: Vec<_> = log.entries.into_iter().map(|it| it.key).collect();
        let expected = (n + 1).saturating_sub(KEPT).max(1)..=n;
        let expected: Vec<_> = expected.map(|n| record(thread, n)).collect();
        assert_eq!(found, expected, "thread {thread} has got to {n}");
        n
    }

    /// Writes until it is killed, if this program was started for that; otherwise does nothing.
    #[test]
    fn writer() {
        let Some(directory) = env::var_os(DIRECTORY) else {
            return;
        };
        let store = open(directory.as_ref());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let store = &store;
                scope.spawn(move || {
                    for n in reached(store, thread) + 1.. {
                        let step = Transaction::new()
                            .put(key(thread, "number"), n.to_be_bytes())
                            .put(record(thread, n), vec![0x5a; 300])
                            .delete(record(thread, n.saturating_sub(KEPT)));
                        assert!(store.commit(&step).unwrap().done().is_some());
                        let line = format!("ack {thread} {n}\n");
                        io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                });
            }
        });
    }

    fn start(directory: &Path) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Returns what a line of the writer acknowledges: a thread and its number. The writer's test harness
    /// writes lines too, and may begin one that an acknowledgement ends.
    fn acknowledged(line: &str) -> Option<(usize, u64)> {
        let (_, text) = line.split_once("ack ")?;
        let (thread, number) = text.split_once(' ')?;
        Some((thread.parse().ok()?, number.parse().ok()?))
    }

    /// A source of moments.
    struct Random(u64);

    impl Random {
        fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            range.start() + self.0 % (range.end() - range.start() + 1)
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process of its own cannot be driven by a virtual clock; the moments only have to differ"
    )]
    fn what_was_acknowledged_survives_a_kill_at_any_moment() {
        // What a process has written outlives it in memory too, and there it is not waited for.
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let directory = directory.unwrap();
        let directory = directory.path().join("state");
        let mut random = Random(0x5eed);
        let mut last = [0; THREADS];
        let mut acknowledgements = 0;
        for round in 0..KILLS {
            let mut child = start(&directory);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut note = |line: io::Result<String>| {
                let acknowledged = acknowledged(&line.unwrap());
                if let Some((thread, n)) = acknowledged {
                    assert_eq!(n, last[thread] + 1, "thread {thread}");
                    last[thread] = n;
                    acknowledgements += 1;
                }
                acknowledged.is_some()
            };
            // One time in four it is killed while it starts.
            if round % 4 != 0 {
                while !note(lines.next().expect("the writer works until it is killed")) {}
            }
            thread::sleep(Duration::from_micros(random.within(0..=6_000)));
            child.kill().unwrap();
            child.wait().unwrap();
            for line in lines {
                note(line);
            }
            let store = open(&directory);
            for (thread, last) in last.iter_mut().enumerate() {
                let reached = reached(&store, thread);
                assert!(
                    (*last..=*last + 1).contains(&reached),
                    "round {round}: {last} was acknowledged to thread {thread}, {reached} is there"
                );
                *last = reached;
            }
        }
        assert!(
            acknowledgements >= KILLS / 2,
            "{acknowledgements} transactions"
        );
    }
}
