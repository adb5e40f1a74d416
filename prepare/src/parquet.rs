//! Reading parquet files: columns by name, rows by range, values as plain vectors. The only module that decodes them.
//!
//! Nothing here reads more than the asked-for columns of the asked-for rows, so memory does not grow with the file.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{
    ArrowDataType, DataFrame, DataType, ParallelStrategy, ParquetReader, PolarsError, SerReader, Series,
};
use rayon::prelude::*;

use crate::error::{Error, Result, did_you_mean};

/// What a column holds, as far as the harness cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Float,
    Text,
}

/// An opened parquet file: its schema and its row groups, no data.
pub(crate) struct ParquetTable {
    path: PathBuf,
    columns: Vec<(String, Option<Kind>, String)>,
    metadata: polars::io::parquet::metadata::FileMetadataRef,
    groups: Vec<usize>,
}

/// Decoded columns, in the order they were asked for.
pub(crate) struct Columns {
    series: Vec<Series>,
}

impl ParquetTable {
    pub(crate) fn open(path: &Path) -> Result<ParquetTable> {
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        let bytes = file.metadata().map_err(Error::io(path, "read"))?.len();
        if bytes == 0 {
            return Err(Error::damaged(path, "the file is empty", "download it again"));
        }
        let read = guarded(path, || {
            let mut reader = ParquetReader::new(file);
            let schema = reader.schema()?;
            Ok((Arc::clone(reader.get_metadata()?), schema))
        });
        let (metadata, schema) = read.map_err(|error| match error {
            Error::Parquet { path, message, .. } => Error::Parquet {
                path,
                message: format!("no complete parquet file: {message}"),
                hint: format!("it has {bytes} bytes and may have been cut off; download it again"),
            },
            other => other,
        })?;
        let columns = schema
            .iter_values()
            .map(|field| (field.name.to_string(), kind(&field.dtype), format!("{:?}", field.dtype)))
            .collect();
        let groups = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
        let table = ParquetTable { path: path.to_owned(), columns, metadata, groups };
        if table.rows() == 0 {
            return Err(Error::damaged(path, "the file has no rows", "download it again"));
        }
        Ok(table)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rows(&self) -> usize {
        self.groups.iter().sum()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(column, ..)| column == name)
    }

    /// Checks that a column is there and of one of the kinds.
    pub(crate) fn require(&self, name: &str, kinds: &[Kind]) -> Result<()> {
        let Some((_, kind, found)) = self.columns.iter().find(|(column, ..)| column == name) else {
            let close = did_you_mean(name, self.columns.iter().map(|(column, ..)| column.as_str()));
            return Err(Error::schema(&self.path, format!("there is no column `{name}`"), close));
        };
        if kind.is_some_and(|kind| kinds.contains(&kind)) {
            return Ok(());
        }
        let allowed: Vec<&str> = kinds.iter().map(|kind| kind.describe()).collect();
        Err(Error::schema(
            &self.path,
            format!("column `{name}` is of type {found}; allowed: {}", allowed.join(", ")),
            "",
        ))
    }

    /// All rows in order, in pieces of at most `most` rows that do not cross row groups.
    pub(crate) fn slices(&self, most: usize) -> Vec<Range<usize>> {
        let mut slices = Vec::new();
        let mut start = 0;
        for &rows in &self.groups {
            let end = start + rows;
            while start < end {
                let stop = end.min(start + most);
                slices.push(start..stop);
                start = stop;
            }
        }
        slices
    }

    /// Reads some columns of some rows; columns are decoded in parallel.
    pub(crate) fn read(&self, names: &[&str], rows: Range<usize>) -> Result<Columns> {
        let share = names.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts: Vec<DataFrame> =
            names.par_chunks(share).map(|names| self.read_part(names, &rows)).collect::<Result<_>>()?;
        let mut series = Vec::with_capacity(names.len());
        for (part, names) in parts.iter().zip(names.chunks(share)) {
            for name in names {
                let column = part.column(name).map_err(parquet_error(&self.path, "read"))?;
                series.push(column.as_materialized_series().rechunk());
            }
        }
        Ok(Columns { series })
    }

    fn read_part(&self, names: &[&str], rows: &Range<usize>) -> Result<DataFrame> {
        // A column may be asked for twice (the scoring target is often trained on too); it is decoded once.
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        let file = File::open(&self.path).map_err(Error::io(&self.path, "open"))?;
        let frame = guarded(&self.path, || {
            let mut reader = ParquetReader::new(file)
                .with_columns(Some(distinct.into_iter().map(str::to_owned).collect()))
                .with_slice(Some((rows.start, rows.len())))
                .read_parallel(ParallelStrategy::RowGroups);
            reader.set_metadata(Arc::clone(&self.metadata));
            reader.finish()
        })?;
        if frame.height() == rows.len() {
            return Ok(frame);
        }
        Err(Error::Parquet {
            path: self.path.clone(),
            message: format!("rows {} to {} could not be read: {} came", rows.start, rows.end, frame.height()),
            hint: "the file is damaged; download it again".into(),
        })
    }
}

impl Columns {
    /// Numbers of a column; null is NaN.
    pub(crate) fn numbers(&self, index: usize) -> Vec<f64> {
        let series = &self.series[index];
        macro_rules! collect {
            ($as:ident) => {
                series.$as().map_or_else(
                    |_| Vec::new(),
                    |values| values.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect(),
                )
            };
        }
        match series.dtype() {
            DataType::Int8 => collect!(i8),
            DataType::Int32 => collect!(i32),
            DataType::Int64 => collect!(i64),
            DataType::UInt32 => collect!(u32),
            DataType::UInt64 => collect!(u64),
            DataType::Float32 => collect!(f32),
            DataType::Float64 => collect!(f64),
            _ => Vec::new(),
        }
    }

    /// Texts of a column; null is the empty text. A column of numbers has no texts.
    pub(crate) fn texts(&self, index: usize) -> Vec<&str> {
        self.series[index]
            .str()
            .map_or_else(|_| Vec::new(), |values| values.iter().map(Option::unwrap_or_default).collect())
    }

    /// Whether the column holds text.
    pub(crate) fn is_text(&self, index: usize) -> bool {
        self.series[index].dtype() == &DataType::String
    }

    /// Era numbers of a column of texts ("0001") or integers.
    ///
    /// # Errors
    /// The row (within this piece) and the text of the first that is none.
    pub(crate) fn eras(&self, index: usize) -> Result<Vec<u32>, (usize, String)> {
        if self.is_text(index) {
            let texts = self.texts(index).into_iter().enumerate();
            return texts.map(|(row, text)| text.parse().map_err(|_| (row, text.to_owned()))).collect();
        }
        let numbers = self.numbers(index).into_iter().enumerate();
        numbers
            .map(|(row, number)| {
                let era = number as u32;
                if f64::from(era) == number { Ok(era) } else { Err((row, number.to_string())) }
            })
            .collect()
    }

    /// Feature bins of a column: 0..=4, and `missing` for null or NaN.
    ///
    /// # Errors
    /// The row (within this piece) and the value of the first that is neither.
    pub(crate) fn bins(&self, index: usize, missing: u8) -> Result<Vec<u8>, (usize, f64)> {
        let series = &self.series[index];
        if let Ok(values) = series.i8()
            && let Ok(values) = values.cont_slice()
        {
            // A column without nulls: no detour through options and floats.
            return values
                .iter()
                .enumerate()
                .map(
                    |(row, &value)| {
                        if (0..=4).contains(&value) { Ok(value as u8) } else { Err((row, f64::from(value))) }
                    },
                )
                .collect();
        }
        self.numbers(index)
            .into_iter()
            .enumerate()
            .map(|(row, value)| match value {
                value if value.is_nan() => Ok(missing),
                value if (0.0..=4.0).contains(&value) && value.fract() == 0.0 => Ok(value as u8),
                value => Err((row, value)),
            })
            .collect()
    }
}

impl Kind {
    fn describe(self) -> &'static str {
        match self {
            Kind::Integer => "integer (Int8, Int32, Int64, UInt32, UInt64)",
            Kind::Float => "float (Float32, Float64)",
            Kind::Text => "text",
        }
    }
}

fn kind(dtype: &ArrowDataType) -> Option<Kind> {
    match dtype {
        ArrowDataType::Int8
        | ArrowDataType::Int32
        | ArrowDataType::Int64
        | ArrowDataType::UInt32
        | ArrowDataType::UInt64 => Some(Kind::Integer),
        ArrowDataType::Float32 | ArrowDataType::Float64 => Some(Kind::Float),
        ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View => Some(Kind::Text),
        _ => None,
    }
}

/// Turns an error of the parquet library into ours.
pub(crate) fn parquet_error(path: &Path, action: &'static str) -> impl Fn(PolarsError) -> Error {
    let path = path.to_owned();
    move |error| Error::Parquet {
        path: path.clone(),
        message: format!("cannot {action}: {}", first_line(&error.to_string())),
        hint: String::new(),
    }
}

/// Runs the decoder. On some damaged files it panics instead of returning an error; that must not end the program.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, PolarsError>) -> Result<T> {
    match std::panic::catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(parquet_error(path, "read")),
        Err(_) => Err(Error::Parquet {
            path: path.to_owned(),
            message: "the decoder gave up on it".into(),
            hint: "the file is damaged; download it again".into(),
        }),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
