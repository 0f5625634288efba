//! Mending what a mutation breaks, so that it reaches what a file says instead of ending at the file's frame.

use std::ops::Range;

/// The range of a safetensors file's JSON header, by its braces, whatever length the file states.
pub fn header(bytes: &[u8]) -> Option<Range<usize>> {
    let (mut depth, mut text, mut escaped) = (0usize, false, false);
    for (at, byte) in bytes.iter().enumerate().skip(8) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' if !text => depth += 1,
            b'}' if !text => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(8..at + 1);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The largest end of any tensor that the header states.
fn end_of_tensors(header: &[u8]) -> Option<usize> {
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let end = |tensor: &serde_json::Value| tensor.get("data_offsets")?.get(1)?.as_u64();
    header.as_object()?.values().filter_map(end).max().map_or(Some(0), |end| usize::try_from(end).ok())
}

/// States the header's true length, and cuts or fills the data to what the header needs. Returns the new size of the file, which is the
/// first `size` bytes of `data`.
pub fn safetensors(data: &mut [u8], size: usize) -> usize {
    let Some(header) = header(&data[..size]) else { return size };
    data[..8].copy_from_slice(&(header.len() as u64).to_le_bytes());
    match end_of_tensors(&data[header.clone()]).and_then(|end| end.checked_add(header.end)) {
        Some(end) if end <= data.len() => {
            data[size.min(end)..end].fill(0);
            end
        }
        _ => size,
    }
}

/// A zip archive of stored entries, as torch.save writes them.
pub fn zip(entries: &[(String, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32(data).to_le_bytes());
        common.extend([size, size].concat());
        common.extend([(name.len() as u16).to_le_bytes(), [0, 0]].concat());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*data);
    }
    let (count, start) = ((entries.len() as u16).to_le_bytes(), out.len() as u32);
    let length = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !data.iter().fold(!0, step)
}
