//! Finds the relevant columns of a Parquet file.

use std::collections::BTreeMap;

use ::parquet::basic::{ConvertedType, Type};
use ::parquet::file::metadata::FileMetaData;
use ::parquet::schema::types::ColumnDescriptor;
use serde::Deserialize;

/// The places of columns, and what the schema says of their values.
#[derive(Debug)]
pub(super) struct Columns {
    /// Of the images' bytes.
    pub(super) image: usize,
    /// Of the images' paths.
    pub(super) path: Option<usize>,
    pub(super) label: Option<usize>,
    /// Entry `i` names label `i`.
    pub(super) class_names: Option<Vec<String>>,
}

/// Names of columns of images, the first ones first.
const IMAGES: [&str; 10] =
    ["image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "pixel_values", "bytes"];
/// Names of columns of labels.
const LABELS: [&str; 10] = [
    "label",
    "labels",
    "class",
    "cls",
    "target",
    "category",
    "fine_label",
    "class_label",
    "label_id",
    "coarse_label",
];

/// What is used of the metadata that `datasets` writes under `huggingface`.
#[derive(Deserialize)]
struct HuggingFace {
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    features: BTreeMap<String, serde_json::Value>,
}

impl Columns {
    /// The column of images, by the schema's word or by its type and name; and those that belong to it.
    pub(super) fn of(file: &FileMetaData) -> Result<Columns, String> {
        let columns = file.schema_descr().columns();
        let features = features(file);
        let is_feature =
            |name: &str, kind: &str| features.get(name).is_some_and(|feature| feature["_type"] == kind);
        let place = |matches: &dyn Fn(&ColumnDescriptor) -> bool| {
            columns.iter().position(|column| column.max_rep_level() == 0 && matches(column))
        };
        let ranked = |names: &[&str], kind: &str, holds: &dyn Fn(&ColumnDescriptor) -> bool| {
            let by_feature = place(&|column| holds(column) && is_feature(top(column), kind));
            let by_name = || {
                names
                    .iter()
                    .find_map(|name| place(&|column| holds(column) && top(column).eq_ignore_ascii_case(name)))
            };
            by_feature.or_else(by_name)
        };
        let image = ranked(&IMAGES, "Image", &holds_bytes).or_else(|| place(&holds_bytes));
        let Some(image) = image else {
            let found: Vec<String> = columns
                .iter()
                .take(12)
                .map(|column| format!("{} ({})", column.path().string(), column.physical_type()))
                .collect();
            return Err(found.join(", "));
        };
        let beside = |name: &str| {
            let parts = columns[image].path().parts();
            let sibling = [&parts[..parts.len() - 1], &[name.to_owned()]].concat();
            place(&|column| column.path().parts() == sibling && holds_text(column))
        };
        let label = ranked(&LABELS, "ClassLabel", &|column| holds_number(column) || holds_text(column));
        let class_names = label.and_then(|label| class_names(features.get(top(&columns[label]))?));
        Ok(Columns { image, path: beside("path"), label, class_names })
    }
}

/// The features that `datasets` has described; none of another writer's file.
fn features(file: &FileMetaData) -> BTreeMap<String, serde_json::Value> {
    let described = file.key_value_metadata().into_iter().flatten().find(|entry| entry.key == "huggingface");
    let text = described.and_then(|entry| entry.value.as_deref());
    let parsed = text.and_then(|text| serde_json::from_str::<HuggingFace>(text).ok());
    parsed.map(|parsed| parsed.info.features).unwrap_or_default()
}

fn class_names(feature: &serde_json::Value) -> Option<Vec<String>> {
    let names = feature.get("names")?.as_array()?;
    names.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// The name of the column, or of the struct that it is a part of.
fn top(column: &ColumnDescriptor) -> &str {
    column.path().parts().first().map_or("", String::as_str)
}

/// Whether a column has byte strings that are no text: by itself, or as `bytes` of a struct.
fn holds_bytes(column: &ColumnDescriptor) -> bool {
    let parts = column.path().parts();
    let is_field = parts.len() == 1 || (parts.len() == 2 && parts[1] == "bytes");
    is_field && column.physical_type() == Type::BYTE_ARRAY && !holds_text(column)
}

fn holds_text(column: &ColumnDescriptor) -> bool {
    column.physical_type() == Type::BYTE_ARRAY && column.converted_type() == ConvertedType::UTF8
}

/// Whether a column has numbers, truth values included. Those with a point are often whole: pandas makes such a column of whole
/// numbers where some are missing.
fn holds_number(column: &ColumnDescriptor) -> bool {
    use Type::{BOOLEAN, DOUBLE, FLOAT, INT32, INT64};
    matches!(column.physical_type(), BOOLEAN | DOUBLE | FLOAT | INT32 | INT64)
}
