//! Floats in JSON, which has no NaN and no infinities: those are the strings `"nan"`, `"inf"` and `"-inf"`.
//! For `#[serde(with = "number")]` on an `Option<f64>`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Finite(f64),
    Named(Named),
}

#[derive(Serialize, Deserialize)]
enum Named {
    #[serde(rename = "nan")]
    Nan,
    #[serde(rename = "inf")]
    Infinity,
    #[serde(rename = "-inf")]
    NegativeInfinity,
}

pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let written = value.map(|value| match value {
        value if value.is_nan() => Written::Named(Named::Nan),
        f64::INFINITY => Written::Named(Named::Infinity),
        f64::NEG_INFINITY => Written::Named(Named::NegativeInfinity),
        finite => Written::Finite(finite),
    });
    written.serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.map(|written| match written {
        Written::Finite(value) => value,
        Written::Named(Named::Nan) => f64::NAN,
        Written::Named(Named::Infinity) => f64::INFINITY,
        Written::Named(Named::NegativeInfinity) => f64::NEG_INFINITY,
    }))
}
