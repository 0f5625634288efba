//! The uniform blocks of the shaders as Rust structs, from naga's own layout: a field that a shader moves, adds or renames is a
//! compile error where its operation fills the block.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use naga::{ArraySize, Handle, Module, Scalar, ScalarKind, StructMember, Type, TypeInner, VectorSize};

/// Rust modules by the shader file that declares their structs; in each, the text of a struct by its name.
#[derive(Default)]
pub struct Uniforms(BTreeMap<String, BTreeMap<String, String>>);

impl Uniforms {
    /// Adds the uniform block of `module`, if it is a struct; `file` says which file declares it.
    ///
    /// # Errors
    /// A type that has no counterpart here, and a second block of a name that looks otherwise.
    pub fn add(&mut self, module: &Module, file: impl Fn(Handle<Type>) -> String) -> Result<(), String> {
        let uniforms = module.global_variables.iter().filter(|(_, global)| global.space == naga::AddressSpace::Uniform);
        for (_, global) in uniforms {
            let declared = &module.types[global.ty];
            let (TypeInner::Struct { members, span }, Some(name)) = (&declared.inner, &declared.name) else { continue };
            let text = structure(module, name, members, *span)?;
            let structs = self.0.entry(file(global.ty)).or_default();
            let known = structs.entry(name.clone()).or_insert_with(|| text.clone());
            if *known != text {
                return Err(format!("two variants have different uniform blocks called {name}: give one another name"));
            }
        }
        Ok(())
    }

    /// A Rust module for each file.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (file, structs) in &self.0 {
            let structs: String = structs.values().map(String::as_str).collect();
            write!(out, "/// Of the shaders that hold `{file}.wgsl`.\npub mod {file} {{\n{structs}}}\n")
                .expect("writing to a string");
        }
        out
    }
}

/// A struct of `span` bytes, rounded up to 16 as every buffer is; what lies between its fields is spelled out.
fn structure(module: &Module, name: &str, members: &[StructMember], span: u32) -> Result<String, String> {
    let mut fields = String::new();
    let mut end = 0;
    let gap = |from: u32, to: u32, what: &str| {
        if to > from { format!("    pub {what}: [u32; {}],\n", (to - from) / 4) } else { String::new() }
    };
    for member in members {
        let field = member.name.as_deref().unwrap_or_default();
        let (ty, size) =
            rust_type(module, member.ty).ok_or_else(|| format!("{name}.{field} is of no type known here"))?;
        fields += &gap(end, member.offset, &format!("before_{field}"));
        fields += &format!("    pub {field}: {ty},\n");
        end = member.offset + size;
    }
    fields += &gap(end, span.next_multiple_of(16), "end");
    Ok(format!(
        "#[repr(C)]\n#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]\npub struct {name} {{\n{fields}}}\n"
    ))
}

/// A type's name and its bytes.
fn rust_type(module: &Module, ty: Handle<Type>) -> Option<(String, u32)> {
    let scalar = |scalar: Scalar| match scalar {
        Scalar { kind: ScalarKind::Uint, width: 4 } => Some("u32"),
        Scalar { kind: ScalarKind::Sint, width: 4 } => Some("i32"),
        Scalar { kind: ScalarKind::Float, width: 4 } => Some("f32"),
        _ => None,
    };
    match module.types[ty].inner {
        TypeInner::Scalar(one) => Some((scalar(one)?.to_owned(), 4)),
        TypeInner::Vector { size, scalar: one } => {
            let count = match size {
                VectorSize::Bi => 2,
                VectorSize::Tri => 3,
                VectorSize::Quad => 4,
            };
            Some((format!("[{}; {count}]", scalar(one)?), 4 * count))
        }
        TypeInner::Array { base, size: ArraySize::Constant(count), stride } => {
            let (inner, size) = rust_type(module, base)?;
            (size == stride).then(|| (format!("[{inner}; {count}]"), stride * count.get()))
        }
        _ => None,
    }
}
