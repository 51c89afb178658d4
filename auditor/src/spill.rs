//! Facts on disk, and sorted from there in little memory.
//!
//! Facts go into one of [`BUCKETS`] files by their key, so that all facts of a key meet
//! in one file. A file is sorted in memory when it fits, else in runs that are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::facts::{FACT_BYTES, Packed};
use crate::report::CannotCheck;

/// Files of one kind of facts.
pub(crate) const BUCKETS: usize = 64;
/// Facts of a bucket that wait in memory: 128 of them are 16 KiB.
const WAITING_MAX: usize = 128;
/// Facts sorted in memory at once: 24 MiB.
const RUN_MAX: usize = 24 * 1024 * 1024 / FACT_BYTES;
/// Bytes read ahead from each run that is merged.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Takes facts. A writer is used by one thread; several may write beside each other.
pub(crate) struct Writer {
    directory: PathBuf,
    name: String,
    waiting: Vec<Vec<u8>>,
    count: u64,
}

/// What somebody has written: the files of each bucket.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    directory: PathBuf,
    name: String,
    /// How many facts.
    pub(crate) count: u64,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CannotCheck {
    move |source| CannotCheck::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

fn path(directory: &Path, name: &str, bucket: usize) -> PathBuf {
    directory.join(format!("{name}.{bucket}"))
}

impl Writer {
    pub(crate) fn new(directory: &Path, name: &str) -> Writer {
        Writer {
            directory: directory.to_owned(),
            name: name.to_owned(),
            waiting: vec![Vec::new(); BUCKETS],
            count: 0,
        }
    }

    /// `key` decides the bucket; equal keys meet.
    pub(crate) fn put(&mut self, key: u64, fact: &Packed) -> Result<(), CannotCheck> {
        // Multiplied so that keys that differ in few bits spread (Fibonacci hashing).
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        let bucket = usize::try_from(mixed).unwrap_or_default() % BUCKETS;
        self.count += 1;
        let waiting = &mut self.waiting[bucket];
        waiting.extend_from_slice(fact);
        if waiting.len() >= WAITING_MAX * FACT_BYTES {
            self.flush(bucket)?;
        }
        Ok(())
    }

    fn flush(&mut self, bucket: usize) -> Result<(), CannotCheck> {
        if self.waiting[bucket].is_empty() {
            return Ok(());
        }
        let path = path(&self.directory, &self.name, bucket);
        // Opened each time: buckets times writers would be more open files than many
        // systems let a process have.
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&self.waiting[bucket]))
            .map_err(failed("write", &path))?;
        self.waiting[bucket].clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Written, CannotCheck> {
        for bucket in 0..BUCKETS {
            self.flush(bucket)?;
        }
        Ok(Written {
            directory: self.directory,
            name: self.name,
            count: self.count,
        })
    }
}

/// Gives all facts of a bucket to `each`, sorted, and removes its files.
pub(crate) fn for_each_sorted(
    written: &[Written],
    bucket: usize,
    each: &mut dyn FnMut(&Packed) -> Result<(), CannotCheck>,
) -> Result<(), CannotCheck> {
    let mut run: Vec<Packed> = Vec::new();
    let mut runs: Vec<PathBuf> = Vec::new();
    for source in written {
        let path = path(&source.directory, &source.name, bucket);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let mut reader = BufReader::with_capacity(READ_AHEAD_BYTES, file);
        while let Some(fact) = next(&mut reader).map_err(failed("read", &path))? {
            run.push(fact);
            if run.len() == RUN_MAX {
                let name = format!("{}.{bucket}.run{}", source.name, runs.len());
                runs.push(write_run(&source.directory.join(name), &mut run)?);
            }
        }
        std::fs::remove_file(&path).map_err(failed("remove", &path))?;
    }
    run.sort_unstable();
    if runs.is_empty() {
        return run.iter().try_for_each(each);
    }
    merge(&runs, &run, each)?;
    for path in &runs {
        std::fs::remove_file(path).map_err(failed("remove", path))?;
    }
    Ok(())
}

fn next(reader: &mut impl Read) -> std::io::Result<Option<Packed>> {
    let mut fact = [0; FACT_BYTES];
    match reader.read_exact(&mut fact) {
        Ok(()) => Ok(Some(fact)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_run(path: &Path, run: &mut Vec<Packed>) -> Result<PathBuf, CannotCheck> {
    run.sort_unstable();
    std::fs::write(path, run.as_flattened()).map_err(failed("write", path))?;
    run.clear();
    Ok(path.to_owned())
}

fn merge(
    runs: &[PathBuf],
    last: &[Packed],
    each: &mut dyn FnMut(&Packed) -> Result<(), CannotCheck>,
) -> Result<(), CannotCheck> {
    let mut readers: Vec<Box<dyn Read>> = vec![Box::new(last.as_flattened())];
    for path in runs {
        let file = File::open(path).map_err(failed("open", path))?;
        readers.push(Box::new(BufReader::with_capacity(READ_AHEAD_BYTES, file)));
    }
    let unreadable = |error| failed("read", Path::new("a run"))(error);
    let mut heads = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        if let Some(fact) = next(reader).map_err(unreadable)? {
            heads.push(Reverse((fact, number)));
        }
    }
    while let Some(Reverse((fact, number))) = heads.pop() {
        each(&fact)?;
        if let Some(following) = next(&mut readers[number]).map_err(unreadable)? {
            heads.push(Reverse((following, number)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_more_facts_than_fit_when_sorted_then_all_come_out_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(directory.path(), "facts");
        let count = RUN_MAX + 10_000;
        for number in 0..count {
            let mut fact = [0; FACT_BYTES];
            let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            fact[..8].copy_from_slice(&mixed.to_be_bytes());
            // One key: one bucket must take them all.
            writer.put(7, &fact).unwrap();
        }
        let written = [writer.finish().unwrap()];
        let (mut seen, mut before) = (0, [0; FACT_BYTES]);
        for bucket in 0..BUCKETS {
            for_each_sorted(&written, bucket, &mut |fact| {
                assert!(before <= *fact);
                before = *fact;
                seen += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(seen, count);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
