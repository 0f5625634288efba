//! The contents of one file: safetensors or a PyTorch checkpoint, distinguished by the first bytes.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::formats::other_format;
use super::pytorch;
use super::stored::{Contents, Stored};
use super::text::quoted;

/// The largest header that is read. ResNet-152's is 0.1 MB; parsing takes many times a header's size in memory.
const MAX_HEADER: u64 = 8 << 20;

/// The tensors in `bytes`. The error completes the sentence "FILE …".
pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
    let Some(length) = bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) else {
        return Err("is too short to be safetensors; copy or download it again".into());
    };
    if length <= MAX_HEADER {
        return read_safetensors(bytes).map_err(|problem| other_format(bytes).unwrap_or(problem));
    }
    if pytorch::is_pytorch(bytes) {
        return pytorch::read(bytes);
    }
    let unknown = || {
        format!(
            "is not safetensors: its header would have {length} bytes; at most {MAX_HEADER} are read (nor is it a \
             checkpoint of torch.save)"
        )
    };
    Err(other_format(bytes).unwrap_or_else(unknown))
}

fn read_safetensors(bytes: &[u8]) -> Result<Contents, String> {
    let (header, parsed) = SafeTensors::read_metadata(bytes)
        .map_err(|error| format!("is damaged or not safetensors ({}); copy or download it again", quoted(error)))?;
    let start = 8 + header;
    let tensor = |(name, info): (String, &safetensors::tensor::TensorInfo)| Stored {
        name,
        dtype: info.dtype,
        shape: info.shape.clone(),
        range: start + info.data_offsets.0..start + info.data_offsets.1,
        strides: None,
    };
    Ok(Contents {
        tensors: parsed.tensors().into_iter().map(tensor).collect(),
        unread: BTreeMap::new(),
        metadata: parsed.metadata().clone().unwrap_or_default().into_iter().collect(),
    })
}
