//! Scalars for TensorBoard: an event file is a sequence of TFRecords, each a protocol buffer `Event`.
//!
//! A record is its length (u64), the masked CRC-32C of the length (u32), the data, and the masked CRC-32C of the data, all little
//! endian. Of `Event` (tensorflow/core/util/event.proto) these fields are written: 1 `wall_time`, 2 `step`, 3 `file_version`, 5
//! `summary`; of `Summary` 1 `value`, each with 1 `tag` and 2 `simple_value`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::metrics::EpochResult;
use crate::error::{Error, Result};

const CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// An event file that grows by an epoch at a time.
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`, beside those of earlier sittings: TensorBoard reads all of them.
    pub fn create(folder: &Path) -> Result<Self> {
        let seconds = now() as u64;
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.gpu-resnet.{}", std::process::id()));
        let file = File::create(&path).map_err(|e| {
            Error::file(&path, format!("could not be written: {e}; check the folder, or do without TensorBoard's file"))
        })?;
        let mut events = Self { path, file };
        let mut first = Message::default();
        first.double(1, now());
        first.bytes(3, b"brain.Event:2");
        events.append(&first)?;
        Ok(events)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends what was measured in an epoch; the epoch is the step.
    pub fn epoch(&mut self, result: &EpochResult) -> Result<()> {
        let scalars = [
            ("loss/train", Some(result.train_loss)),
            ("loss/validation", result.val_loss),
            ("accuracy/train", Some(result.train_accuracy)),
            ("accuracy/validation", result.val_accuracy),
            ("learning_rate", Some(result.lr)),
            ("images_per_second", Some(result.images_per_second)),
            ("gradient_norm/all", result.grad_norm),
        ];
        let blocks = result.block_gradients.iter().map(|b| (format!("gradient_norm/{}", b.block), Some(b.norm)));
        let mut summary = Message::default();
        for (tag, value) in scalars.map(|(tag, value)| (tag.to_owned(), value)).into_iter().chain(blocks) {
            let Some(number) = value else { continue };
            let mut value = Message::default();
            value.bytes(1, tag.as_bytes());
            value.float(2, number as f32);
            summary.bytes(1, &value.0);
        }
        let mut event = Message::default();
        event.double(1, now());
        event.integer(2, result.epoch);
        event.bytes(5, &summary.0);
        self.append(&event)
    }

    fn append(&mut self, event: &Message) -> Result<()> {
        // One write, so that a reader sees whole records.
        let written = self.file.write_all(&record(&event.0)).and_then(|()| self.file.flush());
        written.map_err(|e| Error::file(&self.path, format!("could not be written: {e}")))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A TFRecord.
fn record(data: &[u8]) -> Vec<u8> {
    // Sums of sums would be weak, hence the mask.
    let masked = |bytes: &[u8]| CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked(&length)[..], data, &masked(data)].concat()
}

/// A protocol buffer being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A field's number and the kind of what follows: 0 a varint, 1 eight bytes, 2 a length and as many bytes, 5 four bytes.
    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record is what TensorFlow's `TFRecordWriter` writes for `b"abc"`; the message what Python's protobuf writes.
    #[test]
    fn bytes_are_those_of_the_original() {
        assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
        let found: String = record(b"abc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found, RECORD);
        let mut value = Message::default();
        value.bytes(1, b"loss");
        value.float(2, 0.5);
        let mut event = Message::default();
        event.integer(2, 300);
        event.bytes(5, &value.0);
        assert_eq!(event.0, [0x10, 0xac, 2, 0x2a, 11, 0x0a, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0, 0x3f]);
    }

    const RECORD: &str = "0300000000000000b099490e6162636e57f121";
}
