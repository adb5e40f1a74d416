//! Which cells may be asked for: those that are there, each once. Pure.

use prepare::evaluate::CellId;

use super::TrainError;

/// Refuses an empty list, a fold that is not there, and a cell that comes twice.
///
/// # Errors
/// [`TrainError::Cells`], with the place in the list.
pub(super) fn check_cells(cells: &[CellId], folds: usize) -> Result<(), TrainError> {
    let refuse = |message: String| Err(TrainError::Cells(message));
    if cells.is_empty() {
        return refuse("cells: the list is empty; a training takes at least one cell".into());
    }
    for (place, cell) in cells.iter().enumerate() {
        let CellId { fold, seed } = cell;
        if *fold >= folds {
            return refuse(format!("cells[{place}]: fold {fold} is not there; folds are 0 to {}", folds - 1));
        }
        if let Some(first) = cells[..place].iter().position(|earlier| earlier == cell) {
            return refuse(format!(
                "cells[{place}]: fold {fold} under seed {seed} was asked for already, as cells[{first}]"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prepare::evaluate::{CellId, all_cells};

    use super::check_cells;

    #[test]
    fn every_cell_is_there_once() {
        let cell = |fold, seed| CellId { fold, seed };
        assert!(check_cells(&all_cells(4, &[42, 17, 73]), 4).is_ok());
        assert!(check_cells(&[cell(3, 5)], 4).is_ok());
        assert_eq!(all_cells(2, &[42, 17]), [cell(0, 42), cell(1, 42), cell(0, 17), cell(1, 17)]);
        for (cells, said) in [
            (vec![], "cells: the list is empty"),
            (vec![cell(0, 1), cell(4, 1)], "cells[1]: fold 4 is not there; folds are 0 to 3"),
            (
                vec![cell(0, 1), cell(1, 1), cell(0, 1)],
                "cells[2]: fold 0 under seed 1 was asked for already, as cells[0]",
            ),
        ] {
            let error = check_cells(&cells, 4).expect_err("refused").to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
