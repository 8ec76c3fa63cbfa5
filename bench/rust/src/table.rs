//! Tables in Markdown, padded so that they read well as they are.

/// Prints a table whose first column is aligned left, the others right.
pub fn print(header: &[String], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.chain([&header[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &[String]| {
        for (i, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            if i == 0 { print!("| {cell:width$} ") } else { print!("| {cell:>width$} ") }
        }
        println!("|");
    };
    line(header);
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(i, &width)| if i == 0 { "-".repeat(width) } else { "-".repeat(width - 1) + ":" })
        .collect();
    line(&rule);
    rows.iter().for_each(|row| line(row));
}

/// The median of the values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
