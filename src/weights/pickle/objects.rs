//! Python's classes and functions by their names: those that rebuild tensors, and all others.

use safetensors::Dtype;

/// A class or function that a pickle names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) enum Callable<'a> {
    /// `_rebuild_tensor_v2` and older: (storage, offset, shape, strides, …).
    RebuildTensor,
    /// `_rebuild_tensor_v3`: the same of an untyped storage, with the elements' type in the seventh place.
    RebuildTyped,
    /// `_rebuild_parameter`: (tensor, …).
    RebuildParameter,
    /// `_rebuild_from_type_v2`: (function, type, arguments, state).
    RebuildFromType,
    /// A storage's type.
    Storage(Element),
    /// `torch.float32` and the like.
    Dtype(Dtype),
    /// Any other.
    Unknown { module: &'a str, name: &'a str },
}

/// The type of a storage's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) struct Element {
    /// None for types that safetensors lacks.
    pub dtype: Option<Dtype>,
    /// Bytes of one.
    pub size: usize,
}

impl<'a> Callable<'a> {
    /// The object of these Python names. An error for names that only an attack needs in a checkpoint: they would not be run here, but
    /// the file should not be trusted anywhere.
    pub fn named(module: &'a str, name: &'a str) -> Result<Self, String> {
        if is_attack(module, name) {
            let object = crate::weights::text::printable(&format!("{module}.{name}"));
            return Err(format!(
                "wants the Python object {object}, which no state dict needs, and nothing of a pickle is run here; don't \
                 trust the file, and save model.state_dict() of a network that you trust with torch.save"
            ));
        }
        let found = match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Callable::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Callable::RebuildTyped),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Some(Callable::RebuildParameter)
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Some(Callable::RebuildFromType),
            ("torch" | "torch.cuda" | "torch.storage", _) => {
                storage(name).map(Callable::Storage).or_else(|| dtype(name).map(Callable::Dtype))
            }
            _ => None,
        };
        Ok(found.unwrap_or(Callable::Unknown { module, name }))
    }
}

fn is_attack(module: &str, name: &str) -> bool {
    let package = module.split('.').next().unwrap_or_default();
    let runs = ["os", "posix", "nt", "subprocess", "sys", "socket", "shutil", "pty", "runpy", "ctypes", "importlib"];
    let evaluates = ["eval", "exec", "execfile", "compile", "open", "__import__", "input", "breakpoint"];
    // `os.PathLike`, paths of `pathlib`, and what `os.stat()` and its like return are data.
    let data = ["PathLike", "uname_result", "stat_result", "statvfs_result", "terminal_size", "times_result"];
    runs.contains(&package) && !data.contains(&name)
        || ["builtins", "__builtin__"].contains(&package) && evaluates.contains(&name)
}

fn storage(name: &str) -> Option<Element> {
    let known = |dtype: Dtype| Some(Element { dtype: Some(dtype), size: dtype.bitsize() / 8 });
    let other = |size| Some(Element { dtype: None, size });
    match name {
        "FloatStorage" => known(Dtype::F32),
        "DoubleStorage" => known(Dtype::F64),
        "HalfStorage" => known(Dtype::F16),
        "BFloat16Storage" => known(Dtype::BF16),
        "LongStorage" => known(Dtype::I64),
        "IntStorage" => known(Dtype::I32),
        "ShortStorage" => known(Dtype::I16),
        "CharStorage" => known(Dtype::I8),
        "ByteStorage" | "UntypedStorage" => known(Dtype::U8),
        "BoolStorage" => known(Dtype::BOOL),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => other(1),
        "QInt32Storage" => other(4),
        "ComplexFloatStorage" => other(8),
        "ComplexDoubleStorage" => other(16),
        _ => None,
    }
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float64" => Dtype::F64,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::BOOL,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        _ => return None,
    })
}
