//! Iterates over the rows of a Parquet file.

use std::path::Path;

use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::RowGroupReader;

use super::columns::Columns;
use super::{damaged, label_of_number};
use crate::shards::ShardError;
use crate::shards::label::{self, BadLabel, Label};

/// What is used of one row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// A part of the file's bytes, where they are not compressed.
    pub(super) image: Option<ByteArray>,
    pub(super) path: Option<ByteArray>,
    pub(super) label: Option<Result<Label, BadLabel>>,
}

/// Rows that are in memory at a time.
const BATCH: usize = 64;

/// Why the rows end early.
pub(super) enum RowError {
    Parquet(ParquetError),
    /// Of whom they are told to.
    Told(ShardError),
}

impl RowError {
    pub(super) fn into_shard_error(self, path: &Path) -> ShardError {
        match self {
            Self::Parquet(error) => damaged(path, error),
            Self::Told(error) => error,
        }
    }
}

/// Tells `row` every row of a group.
pub(super) fn each(
    group: &dyn RowGroupReader,
    columns: &Columns,
    mut row: impl FnMut(&Row) -> Result<(), ShardError>,
) -> Result<(), RowError> {
    let column = |place: usize| Column::new(group, place);
    let mut images = column(columns.image)?;
    let mut paths = columns.path.map(column).transpose()?;
    let mut labels = columns.label.map(column).transpose()?;
    let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    while left > 0 {
        let count = left.min(BATCH);
        let mut images = images.next(count)?.into_iter();
        let mut paths =
            paths.as_mut().map(|paths| paths.next(count)).transpose()?.unwrap_or_default().into_iter();
        let mut labels =
            labels.as_mut().map(|labels| labels.next(count)).transpose()?.unwrap_or_default().into_iter();
        for _ in 0..count {
            let path = paths.next().flatten().and_then(Value::bytes).filter(|path| !path.is_empty());
            let label = labels.next().flatten().and_then(|value| match value {
                Value::Number(number) => label_of_number(number).map(Ok),
                // Not a number is pandas' word for none.
                Value::Real(number) => (number >= 0.0).then(|| label::in_cls(number.to_string().as_bytes())),
                Value::Bytes(text) => Some(label::in_cls(text.data())),
            });
            let image = images.next().flatten().and_then(Value::bytes);
            row(&Row { image, path, label }).map_err(RowError::Told)?;
        }
        left -= count;
    }
    Ok(())
}

/// A value of one of the types that are used.
enum Value {
    Bytes(ByteArray),
    Number(i64),
    Real(f64),
}

impl Value {
    fn bytes(self) -> Option<ByteArray> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) | Self::Real(_) => None,
        }
    }
}

/// A column that is read from front to back.
struct Column {
    reader: ColumnReader,
    /// The level of a value that is there.
    defined: i16,
}

impl Column {
    fn new(group: &dyn RowGroupReader, place: usize) -> Result<Column, RowError> {
        let defined = group.metadata().column(place).column_descr().max_def_level();
        Ok(Column { reader: group.get_column_reader(place).map_err(RowError::Parquet)?, defined })
    }

    /// The next values; `None` for those that are not there.
    fn next(&mut self, count: usize) -> Result<Vec<Option<Value>>, RowError> {
        let defined = self.defined;
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                read::<ByteArrayType>(reader, count, defined, Value::Bytes)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                read::<Int32Type>(reader, count, defined, |value| Value::Number(value.into()))
            }
            ColumnReader::BoolColumnReader(reader) => {
                read::<BoolType>(reader, count, defined, |value| Value::Number(value.into()))
            }
            ColumnReader::FloatColumnReader(reader) => {
                read::<FloatType>(reader, count, defined, |value| Value::Real(value.into()))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                read::<DoubleType>(reader, count, defined, Value::Real)
            }
            ColumnReader::Int64ColumnReader(reader) => {
                read::<Int64Type>(reader, count, defined, Value::Number)
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    defined: i16,
    value: impl Fn(T::T) -> Value,
) -> Result<Vec<Option<Value>>, RowError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut rows = 0;
    // A page may end before enough are read.
    while rows < count {
        let read = reader.read_records(count - rows, Some(&mut levels), None, &mut values);
        let (found, ..) = read.map_err(RowError::Parquet)?;
        if found == 0 {
            break;
        }
        rows += found;
    }
    let mut values = values.into_iter().map(value);
    if defined == 0 {
        return Ok(values.map(Some).collect());
    }
    Ok(levels.into_iter().map(|level| if level == defined { values.next() } else { None }).collect())
}
