//! Counts record batches in the broker's log files.
//!
//! librdkafka sends one partition per produce request and one record batch per partition,
//! so the batches in the log are the produce requests of the handler, seen where nobody
//! can embellish them.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Base offset and length: what stands before the part that the length counts.
const HEADER_BYTES: u64 = 12;

/// Record batches in all partitions of a topic.
///
/// # Errors
/// When the files cannot be read.
pub fn batches(data: &Path, topic: &str) -> std::io::Result<u64> {
    let mut batches = 0;
    for folder in fs::read_dir(data)? {
        let folder = folder?;
        let name = folder.file_name();
        let is_partition = name
            .to_str()
            .and_then(|name| name.strip_prefix(topic)?.strip_prefix('-'))
            .is_some_and(|number| number.parse::<u32>().is_ok());
        if !is_partition {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                batches += batches_in(&path)?;
            }
        }
    }
    Ok(batches)
}

fn batches_in(segment: &Path) -> std::io::Result<u64> {
    let mut file = File::open(segment)?;
    let size = file.metadata()?.len();
    let (mut at, mut batches) = (0, 0);
    while at + HEADER_BYTES <= size {
        let mut header = [0_u8; 12];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)?;
        let [.., a, b, c, d] = header;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if length == 0 {
            // Preallocated and not written.
            break;
        }
        batches += 1;
        at += HEADER_BYTES + length;
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_counted_in_the_partitions_of_the_topic_only() {
        let folder = tempfile::tempdir().unwrap();
        let batch = |length: u32| {
            let mut bytes = vec![0; 8];
            bytes.extend(length.to_be_bytes());
            bytes.extend(vec![1; length as usize]);
            bytes
        };
        for (partition, batches) in [
            ("answers-0", vec![batch(61), batch(100)]),
            ("answers-1", vec![batch(61), vec![0; 50]]),
            ("answers-to-all-0", vec![batch(61)]),
        ] {
            let partition = folder.path().join(partition);
            fs::create_dir(&partition).unwrap();
            fs::write(partition.join("00000000000000000000.log"), batches.concat()).unwrap();
            fs::write(partition.join("00000000000000000000.index"), [0; 12]).unwrap();
        }
        assert_eq!(batches(folder.path(), "answers").unwrap(), 3);
    }
}
