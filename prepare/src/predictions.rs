//! Out-of-fold predictions as a parquet file.

use std::path::Path;

use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};

use crate::data::Harness;
use crate::error::{Error, Result};
use crate::pack::IDS;
use crate::parquet::parquet_error;
use crate::storage::{folder_of, persist};

impl Harness {
    /// Writes out-of-fold predictions as parquet: `id`, `era` ("0001"), `fold`, `seed`, `prediction`. Each cell is
    /// (fold, seed, one prediction for each test row).
    ///
    /// # Errors
    /// When a cell has the wrong count of predictions, or the file cannot be written.
    pub fn write_predictions(&self, path: &Path, cells: &[(usize, u64, Vec<f32>)]) -> Result<()> {
        let ids_path = self.packed.join(IDS);
        let text = std::fs::read_to_string(&ids_path).map_err(Error::io(&ids_path, "read"))?;
        let all: Vec<&str> = text.lines().collect();
        if all.len() != self.rows() {
            return Err(Error::NotPrepared {
                path: ids_path,
                message: format!("has {} ids for {} rows", all.len(), self.rows()),
            });
        }
        let (mut ids, mut eras, mut folds, mut seeds, mut values) = (vec![], vec![], vec![], vec![], vec![]);
        for (fold, seed, predictions) in cells {
            let what = format!("fold {fold}, seed {seed}");
            let Some(plan) = self.plan().folds.get(*fold) else {
                return Err(Error::score(what, format!("there are {} folds", self.plan().folds.len())));
            };
            let before = ids.len();
            for span in self.spans(&plan.test) {
                ids.extend_from_slice(&all[span.rows.clone()]);
                eras.extend(std::iter::repeat_n(format!("{:04}", span.era), span.rows.len()));
            }
            let rows = ids.len() - before;
            if rows != predictions.len() {
                return Err(Error::score(what, format!("{} predictions for {rows} test rows", predictions.len())));
            }
            folds.extend(std::iter::repeat_n(*fold as i64, rows));
            seeds.extend(std::iter::repeat_n(*seed, rows));
            values.extend_from_slice(predictions);
        }
        let columns: Vec<Column> = vec![
            Series::new("id".into(), ids).into_column(),
            Series::new("era".into(), eras).into_column(),
            Series::new("fold".into(), folds).into_column(),
            Series::new("seed".into(), seeds).into_column(),
            Series::new("prediction".into(), values).into_column(),
        ];
        let mut frame = DataFrame::new_infer_height(columns).map_err(parquet_error(path, "write"))?;
        let folder = folder_of(path);
        let mut file = tempfile::Builder::new()
            .prefix(".predictions-")
            .tempfile_in(folder)
            .map_err(Error::io(folder, "write into"))?;
        ParquetWriter::new(file.as_file_mut()).finish(&mut frame).map_err(parquet_error(path, "write"))?;
        persist(file, path)
    }
}
