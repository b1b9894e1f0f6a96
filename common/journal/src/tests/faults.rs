//! A disk that fails at a chosen step, as a service's handle meets it, and the bytes of a torn batch.

use super::{
    super::{
        ArrayWriter, Journal, Model, OpenError, Options, StoreError, check,
        disk::Disk,
        format::{Hex, Line, PADDING, push_line, scan},
        mark::Mark,
        memory::{Op, platter::Image},
    },
    ledger::Ledger,
    machine::Machine,
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Numbers by key, in one collection.
#[derive(Clone, Default)]
struct Numbers(imbl::OrdMap<u64, u64>);

impl Model for Numbers {
    const NAME: &'static str = "store";
    const COLLECTIONS: &'static [&'static str] = &["numbers"];
    type Change = (u64, u64);

    fn apply(&mut self, change: &(u64, u64)) {
        self.0.insert(change.0, change.1);
    }

    fn load(&mut self, _: &str, element: &str) -> Result<(), String> {
        let (key, value) = serde_json::from_str(element).map_err(|e| e.to_string())?;
        self.0.insert(key, value).map_or(Ok(()), |_| Err("twice".into()))
    }

    fn dump(&self, _: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        self.0.iter().try_for_each(|pair| array.element(&pair))
    }

    fn count(&self, _: &str) -> usize {
        self.0.len()
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<(u64, u64)>, String> {
        let opened = self.0.get(&0).copied().unwrap_or_default();
        Ok(if edited.is_empty() { Vec::new() } else { vec![(0, opened + 1)] })
    }
}

const DIR: &str = "/vol/store";

fn machine() -> Machine {
    let image = Image { dirs: ["/vol", DIR, "/seed"].map(PathBuf::from).into(), ..Image::default() };
    Machine::boot(&image, Ledger::new()).with_threads()
}

fn file(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn try_open<M: Model>(machine: &Machine, options: Options) -> Result<Journal<M>, OpenError> {
    Journal::open_on(machine.process(1).volume(), options)
}

fn open(machine: &Machine) -> Journal<Numbers> {
    try_open(machine, Options::new(DIR)).unwrap()
}

async fn put(journal: &Journal<Numbers>, key: u64, value: u64) -> Result<(), StoreError> {
    let written = journal.write(move |tx| -> Result<(), ()> {
        tx.put((key, value));
        Ok(())
    });
    written.await.map(|result| result.unwrap())
}

fn get(journal: &Journal<Numbers>, key: u64) -> Option<u64> {
    journal.read().unwrap().0.get(&key).copied()
}

/// Returns once the store has reopened by itself.
async fn reopened(journal: &Journal<Numbers>) {
    while journal.health().is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_failed_write_is_not_there_and_latches_until_the_disk_is_back() {
    let disk = machine();
    let path = file("store.journal");
    let journal = open(&disk);
    put(&journal, 1, 1).await.unwrap();
    disk.break_down(&path, Op::Write);
    assert!(matches!(put(&journal, 1, 2).await, Err(StoreError::Io { .. })));
    assert!(matches!(put(&journal, 1, 3).await, Err(StoreError::Latched { .. })));
    assert!(matches!(journal.health(), Err(StoreError::Latched { .. })));
    assert_eq!(get(&journal, 1), Some(1), "reads go on");
    disk.mend(&path);
    reopened(&journal).await;
    assert_eq!(get(&journal, 1), Some(1));
    put(&journal, 1, 4).await.unwrap();
    drop(journal);
    assert_eq!(get(&open(&disk), 1), Some(4));
}

#[tokio::test]
async fn a_failed_sync_leaves_the_outcome_open_and_no_reader_sees_it() {
    let disk = machine();
    let path = file("store.journal");
    let (journal, other) = (open(&disk), open(&disk));
    put(&journal, 1, 1).await.unwrap();
    disk.break_down(&path, Op::Sync);
    disk.break_down(&path, Op::SetLen);
    assert!(matches!(put(&journal, 1, 2).await, Err(StoreError::Unknown { .. })));
    assert_eq!((get(&journal, 1), get(&other, 1)), (Some(1), Some(1)));
    disk.mend(&path);
    // The line is whole, so whoever has the lock next makes it durable: that is what "unknown" means.
    put(&other, 2, 2).await.unwrap();
    assert_eq!((get(&other, 1), get(&other, 2)), (Some(2), Some(2)));
    reopened(&journal).await;
    assert_eq!((get(&journal, 1), get(&journal, 2)), (Some(2), Some(2)));
    put(&journal, 3, 3).await.unwrap();
    assert_eq!(get(&other, 3), Some(3));
}

#[tokio::test]
async fn a_line_without_its_mark_is_not_acknowledged_and_comes_back() {
    let disk = machine();
    let lock = file("store.lock");
    let journal = open(&disk);
    disk.break_down(&lock, Op::Write);
    assert!(matches!(put(&journal, 1, 1).await, Err(StoreError::Unknown { .. })));
    assert_eq!(get(&journal, 1), None);
    disk.mend(&lock);
    reopened(&journal).await;
    assert_eq!(get(&journal, 1), Some(1));
}

#[tokio::test]
async fn a_lock_file_that_was_replaced_stops_writes() {
    let disk = machine();
    let journal = open(&disk);
    Disk::remove(&disk.process(2), &file("store.lock")).unwrap();
    let other = open(&disk);
    assert!(matches!(put(&journal, 1, 1).await, Err(StoreError::Io { .. })));
    put(&other, 1, 2).await.unwrap();
    assert_eq!(get(&other, 1), Some(2));
}

/// Another store's mark, of any length: no read makes room for that much, and no start takes the header for lines.
#[tokio::test]
async fn a_mark_of_another_store_is_an_error() {
    for length in [1 << 62, 20] {
        let disk = machine();
        let journal = open(&disk);
        put(&journal, 1, 1).await.unwrap();
        let before = disk.text(&file("store.journal"));
        let lock = disk.process(2).volume().open(&file("store.lock")).unwrap();
        Mark { generation: 1, length }.write(&lock).unwrap();
        assert_eq!(journal.read().is_err(), length > 20);
        drop(journal);
        let refused = Journal::<Numbers>::open_on(disk.process(3).volume(), Options::new(DIR));
        assert!(matches!(refused, Err(OpenError::Data { .. })), "{:?}", refused.err());
        let report = check::check_on(disk.process(4).volume(), Path::new(DIR), "store").unwrap();
        assert!(!report.sound() && disk.text(&file("store.journal")) == before);
    }
}

/// The switch to a new generation, stopped before and after the step that counts.
#[tokio::test]
async fn a_compaction_that_dies_at_any_rename_loses_nothing() {
    for step in ["store.journal", "numbers.json"] {
        let disk = machine();
        let (journal, other) = (open(&disk), open(&disk));
        put(&journal, 1, 1).await.unwrap();
        put(&other, 2, 2).await.unwrap();
        let path = file(step);
        disk.break_down(&path, Op::Rename);
        assert!(journal.close().is_err());
        // The others go on, whichever generation they find.
        put(&other, 3, 3).await.unwrap();
        assert_eq!((get(&journal, 3), get(&other, 1)), (Some(3), Some(1)));
        let report = check::check_on(disk.process(2).volume(), Path::new(DIR), "store").unwrap();
        assert!(report.sound(), "{report}");
        let pending = report.arrays[0].origin == check::Origin::Pending;
        assert_eq!(pending, step == "numbers.json", "{report}");
        disk.mend(&path);
        // First a start after a kill, then one after a clean stop.
        for _ in 0..2 {
            let journal = open(&disk);
            assert_eq!((get(&journal, 1), get(&journal, 2), get(&journal, 3)), (Some(1), Some(2), Some(3)));
            assert_eq!(get(&journal, 0), None, "no array was taken for edited");
            journal.close().unwrap();
        }
        let array = disk.text(&file("numbers.json")).unwrap();
        assert_eq!(array, "[\n[1,1],\n[2,2],\n[3,3]\n]\n");
        assert!(disk.text(&file("numbers.json.tmp")).is_none());
    }
}

#[tokio::test]
async fn a_live_process_compacts_over_the_rest_of_a_dead_ones_switch() {
    let disk = machine();
    let (journal, other) = (open(&disk), open(&disk));
    put(&journal, 1, 1).await.unwrap();
    let array = file("numbers.json");
    disk.break_down(&array, Op::Rename);
    assert!(journal.close().is_err());
    disk.mend(&array);
    other.close().unwrap();
    assert_eq!(disk.text(&array).unwrap(), "[\n[1,1]\n]\n");
    assert_eq!(get(&open(&disk), 1), Some(1));
}

#[tokio::test]
async fn an_edit_of_an_array_that_waits_for_its_rename_is_refused() {
    let disk = machine();
    let journal = open(&disk);
    put(&journal, 1, 1).await.unwrap();
    let array = file("numbers.json");
    disk.break_down(&array, Op::Rename);
    assert!(journal.close().is_err());
    disk.mend(&array);
    disk.process(2).place(&array, b"[[5,5]]");
    let error = try_open::<Numbers>(&disk, Options::new(DIR)).err().unwrap();
    assert!(error.to_string().contains("numbers.json.tmp"), "{error}");
    assert!(disk.text(&file("numbers.json.tmp")).is_some());
}

#[test]
fn a_seed_that_is_cut_short_is_taken_whole_the_next_time() {
    for step in ["store.journal", "numbers.json"] {
        let disk = machine();
        disk.process(2).place(Path::new("/seed/numbers.json"), b"[[1,10],[2,20]]");
        let options = Options { seed_dir: Some("/seed".into()), ..Options::new(DIR) };
        let path = file(step);
        disk.break_down(&path, Op::Rename);
        assert!(try_open::<Numbers>(&disk, options.clone()).is_err());
        disk.mend(&path);
        let journal = try_open::<Numbers>(&disk, options).unwrap();
        assert_eq!((get(&journal, 1), get(&journal, 2)), (Some(10), Some(20)));
        assert_eq!(get(&journal, 0), Some(1), "the opening change came once");
    }
}

/// Five lines: 1 alone, then a batch of 2, 3 and 4, then 5 alone.
fn lines() -> (Hex, Vec<Vec<u8>>) {
    let store = Hex(7);
    let line = |seq, batch| {
        let mut out = Vec::new();
        push_line(&mut out, store, seq, batch, &[(seq, seq)]).unwrap();
        out
    };
    (store, vec![line(1, 1), line(2, 2), line(3, 2), line(4, 2), line(5, 5)])
}

#[test]
fn a_hole_in_the_last_batch_is_a_torn_write_and_before_a_later_batch_is_damage() {
    let (store, mut lines) = lines();
    // What a power failure leaves where a page of the batch was written late: padding.
    lines[2].fill(PADDING);
    let torn = scan(&lines[..4].concat(), store, 1, |_: Line<Vec<(u64, u64)>>| {});
    let stop = torn.stop.unwrap();
    assert!(stop.torn && stop.seq == 3 && torn.next == 3, "{stop:?}");
    let damaged = scan(&lines.concat(), store, 1, |_: Line<Vec<(u64, u64)>>| {}).stop.unwrap();
    assert!(!damaged.torn && damaged.seq == 3, "{damaged:?}");
}

/// Without its newline, a line runs into the one after it, which a later batch wrote.
#[test]
fn a_later_batch_is_seen_behind_a_newline_that_is_damaged() {
    let (store, mut lines) = lines();
    *lines[3].last_mut().unwrap() ^= 1;
    let stop = scan(&lines.concat(), store, 1, |_: Line<Vec<(u64, u64)>>| {}).stop.unwrap();
    assert!(!stop.torn && stop.seq == 4, "{stop:?}");
}

#[test]
fn a_line_of_another_store_or_place_is_not_taken() {
    let (store, lines) = lines();
    let other = scan(&lines.concat(), Hex(8), 1, |_: Line<Vec<(u64, u64)>>| {});
    assert_eq!((other.valid, other.next), (0, 1));
    let skipped = scan(&lines[1..].concat(), store, 1, |_: Line<Vec<(u64, u64)>>| {}).stop.unwrap();
    assert!(!skipped.torn, "a checksum that holds is no torn write: {skipped:?}");
}

/// [`Numbers`] as a later version has it, with a second collection.
#[derive(Clone, Default)]
struct Grown(Numbers);

impl Model for Grown {
    const NAME: &'static str = "store";
    const COLLECTIONS: &'static [&'static str] = &["numbers", "names"];
    type Change = (u64, u64);

    fn apply(&mut self, change: &(u64, u64)) {
        self.0.apply(change);
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        self.0.load(collection, element)
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "numbers" { self.0.dump(collection, array) } else { Ok(()) }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "numbers" { self.0.count(collection) } else { 0 }
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<(u64, u64)>, String> {
        self.0.on_open(edited)
    }
}

#[tokio::test]
async fn a_newer_version_keeps_the_lines_and_an_older_one_refuses_what_it_does_not_know() {
    let disk = machine();
    let journal = open(&disk);
    put(&journal, 1, 1).await.unwrap();
    drop(journal);
    let grown = try_open::<Grown>(&disk, Options::new(DIR)).unwrap();
    assert_eq!(grown.read().unwrap().0.0.get(&1), Some(&1));
    grown.close().unwrap();
    assert_eq!(disk.text(&file("names.json")).unwrap(), "[\n]\n");
    let error = try_open::<Numbers>(&disk, Options::new(DIR)).err().unwrap();
    assert!(error.to_string().contains("\"names\""), "{error}");
}
