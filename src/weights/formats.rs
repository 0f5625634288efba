//! Unsupported formats that users may give as weights, by their first bytes: what the file is, and how to convert it.

const STATE_DICT: &str = "save model.state_dict() with torch.save";

/// What `bytes` are, if they are of a known format that is not read. It completes the sentence "FILE …".
pub(super) fn other_format(bytes: &[u8]) -> Option<String> {
    let begins = |start: &[u8]| bytes.starts_with(start);
    let words = |text: &str| bytes.get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()));
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let unpack = |what: &str, how: &str| Some(format!("is packed by {what}; unpack it first ({how})"));
    if words("version https://git-lfs") {
        return Some("is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`".into());
    }
    if words("<!doctype") || words("<html") {
        return Some("is an HTML page, not safetensors; download the file itself".into());
    }
    if begins(b"\x89HDF\r\n\x1a\n") {
        return Some(format!(
            "is HDF5, as Keras and TensorFlow write it (.h5), which is not read; load it with its own library, copy the \
             values into a torchvision ResNet, and {STATE_DICT} (`transformers` does so: \
             from_pretrained(…, from_tf=True).save_pretrained(…))"
        ));
    }
    if begins(b"\x1f\x8b") {
        return unpack("gzip", "`gunzip FILE`, or `tar xzf FILE` for an archive");
    }
    if begins(b"BZh") || begins(b"\xfd7zXZ\0") || begins(b"\x28\xb5\x2f\xfd") || begins(b"7z\xbc\xaf") {
        return unpack("bzip2, xz, zstd or 7-Zip", "`tar xf FILE` for an archive");
    }
    if at(257, b"ustar") {
        return Some(format!(
            "is a tar archive; unpack it with `tar xf` and give the weights in it (PyTorch before 0.4 wrote such \
             checkpoints: load it with torch and {STATE_DICT})"
        ));
    }
    if at(4, b"TFL3") {
        return Some(format!("is TensorFlow Lite, which is not read; convert it to PyTorch and {STATE_DICT}"));
    }
    if begins(b"\x93NUMPY") {
        return Some("is one NumPy array, not a network; give a .safetensors or .pth file".into());
    }
    if begins(b"GGUF") {
        return Some("is GGUF, which no ResNet comes in; give a .safetensors or .pth file".into());
    }
    if is_onnx(bytes) {
        return Some(format!(
            "is an ONNX model, which is not read; {STATE_DICT} of the model that it was exported from, or copy the values \
             of its initializers (`onnx.numpy_helper.to_array`) into a torchvision ResNet and save that one's"
        ));
    }
    if is_saved_model(bytes) {
        return Some(format!("is a TensorFlow graph (.pb), which is not read; convert it to PyTorch and {STATE_DICT}"));
    }
    if bytes.first() == Some(&b'{') {
        return Some(
            "is JSON, not weights; give the .safetensors or .pth file that it belongs to, or its folder".into(),
        );
    }
    None
}

/// Files whose name identifies the format, while their bytes do not.
pub(super) fn named_format(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".ckpt.index") || name.ends_with(".index") || name.contains(".data-0000") || name.ends_with(".pb")
    {
        return Some(format!(
            "is of a TensorFlow checkpoint, which is not read; convert it to PyTorch and {STATE_DICT}"
        ));
    }
    if name.ends_with(".msgpack") {
        return Some(format!("is of Flax, which is not read; convert it to PyTorch and {STATE_DICT}"));
    }
    if name.ends_with(".onnx") {
        return Some(format!(
            "is not an ONNX model that can be told, and ONNX is not read; {STATE_DICT} of the model behind it"
        ));
    }
    None
}

/// A pickle that torch.save did not write: detectron2's and Caffe2's model zoos are such.
pub(super) fn other_pickle() -> String {
    format!(
        "is a pickle but no PyTorch checkpoint; such are the .pkl files of detectron2 and Caffe2, which hold NumPy arrays: \
         load it with pickle, turn the arrays into tensors under torchvision's names, and save them with torch.save \
         (otherwise {STATE_DICT})"
    )
}

/// `ModelProto`: the field `ir_version` (1, varint) first, then a string or a message of one of its next fields.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=30, 0x12 | 0x1a | 0x22 | 0x32 | 0x3a | 0x42, ..])
        && bytes.get(2..4096.min(bytes.len())).is_some_and(|start| {
            [b"pytorch".as_slice(), b"onnx", b"tf2onnx", b"keras", b"mxnet", b"graph", b"Conv", b"main", b"torch"]
                .iter()
                .any(|word| start.windows(word.len()).any(|window| window == *word))
        })
}

/// `SavedModel`: its version (1, varint) and then a meta graph (2); or `GraphDef`: nodes (1) with a name (1).
fn is_saved_model(bytes: &[u8]) -> bool {
    let holds = |words: &[&[u8]]| {
        let start = &bytes[..bytes.len().min(4096)];
        words.iter().any(|word| start.windows(word.len()).any(|window| window == *word))
    };
    (matches!(bytes, [0x08, 0x01, 0x12, ..]) || matches!(bytes, [0x0a, _, 0x0a, ..]))
        && holds(&[b"Placeholder", b"tensorflow", b"NoOp", b"Const", b"serve", b"saved_model"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_named_with_what_to_do() {
        let tar = [b"model.pth".to_vec(), vec![0; 248], b"ustar\x0000".to_vec()].concat();
        for (bytes, word, remedy) in [
            (&b"\x89HDF\r\n\x1a\n\0\0\0\0"[..], "HDF5", "state_dict"),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip", "gunzip"),
            (b"BZh91AY", "bzip2", "tar xf"),
            (&tar, "tar archive", "tar xf"),
            (b"\x1c\0\0\0TFL3", "TensorFlow Lite", "state_dict"),
            (b"\x08\x08\x12\x07pytorch\x1a\x051.9.0", "ONNX", "state_dict"),
            (b"\x08\x01\x12\x90\x02\x0a\x05\x12\x05serve", "TensorFlow graph", "state_dict"),
            (b"\x93NUMPY\x01\0", "NumPy", ".safetensors"),
            (b"{\"a\": 1}", "JSON", "folder"),
        ] {
            let text = other_format(bytes).unwrap_or_default();
            assert!(text.contains(word) && text.contains(remedy), "{word}: {text}");
        }
        for nothing in [&b""[..], b"\x08", b"PK\x03\x04", b"\x80\x02\x8a\n", &[0; 300]] {
            assert_eq!(other_format(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn names_tell_where_bytes_do_not() {
        for name in ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "flax_model.msgpack", "frozen.pb"] {
            assert!(named_format(name).is_some(), "{name}");
        }
        assert_eq!(named_format("model.pth"), None);
    }
}
