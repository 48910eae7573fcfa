//! Tables that fit the terminal.

use super::terminal::{Terminal, printable};

/// Rows under headings. Columns are as wide as their widest cell; on a terminal columns that can be spared go
/// first and the widest are cut then until the table fits; elsewhere nothing is cut.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    whole: Vec<usize>,
    spare: Vec<usize>,
    rows: Vec<Vec<String>>,
}

/// Space between two columns.
const GAP: usize = 2;
/// Narrowest that a column is cut to: a word that can still be recognised.
const NARROWEST: usize = 8;
/// Narrowest that a column is cut to while another can be spared: a name that mostly can be read.
const READABLE: usize = 20;

impl Table {
    /// An empty table.
    pub fn new<const N: usize>(headings: [&'static str; N]) -> Self {
        Self { headings: headings.to_vec(), whole: Vec::new(), spare: Vec::new(), rows: Vec::new() }
    }

    /// Names a column that is never cut, such as one that people copy from.
    #[must_use]
    pub fn never_cut(mut self, heading: &str) -> Self {
        self.whole.extend(self.headings.iter().position(|known| *known == heading));
        self
    }

    /// Names a column that is left out where the terminal is too narrow. The one that is named first goes first.
    #[must_use]
    pub fn spared(mut self, heading: &str) -> Self {
        self.spare.extend(self.headings.iter().position(|known| *known == heading));
        self
    }

    /// Adds a row with a cell for each heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headings.len(), "a row has a cell for each heading");
        // A line end would break the table.
        let cells = cells.map(|cell| printable(&cell).replace('\n', " "));
        self.rows.push(Vec::from(cells));
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ended.
    pub fn render(&self, terminal: &Terminal) -> String {
        let (shown_columns, widths) = self.laid(terminal.width());
        let of = |cells: &[String]| -> Vec<String> {
            shown_columns.iter().map(|column| cells[*column].clone()).collect()
        };
        let mut shown = String::new();
        let headings: Vec<String> = self.headings.iter().map(|text| (*text).to_owned()).collect();
        let line = laid_out(&of(&headings), &widths);
        shown.push_str(&terminal.heading(&line));
        shown.push('\n');
        for row in &self.rows {
            shown.push_str(&laid_out(&of(row), &widths));
            shown.push('\n');
        }
        shown
    }

    /// The columns that are shown, and how wide each of them is.
    fn laid(&self, available: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        let mut columns: Vec<usize> = (0..self.headings.len()).collect();
        let natural: Vec<usize> = columns
            .iter()
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[*column].chars().count());
                cells.chain([self.headings[*column].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let all = |columns: &[usize]| columns.iter().map(|column| natural[*column]).collect();
        let Some(available) = available else { return (columns.clone(), all(&columns)) };
        for spared in &self.spare {
            let mut widths = all(&columns);
            if self.cut(&columns, &mut widths, available, READABLE) {
                break;
            }
            columns.retain(|column| column != spared);
        }
        let mut widths = all(&columns);
        self.cut(&columns, &mut widths, available, NARROWEST);
        (columns, widths)
    }

    /// Cuts the widest columns until the table fits. `false` if it does not although each is as narrow as may be.
    fn cut(&self, columns: &[usize], widths: &mut [usize], available: usize, narrowest: usize) -> bool {
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > available {
            let cut = widths.iter_mut().zip(columns).filter(|(_, column)| !self.whole.contains(column));
            let Some(widest) = cut.map(|(width, _)| width).max().filter(|width| **width > narrowest) else {
                return false;
            };
            *widest -= 1;
        }
        true
    }
}

fn laid_out(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = fitted(cell, *width);
        let pad = width - cell.chars().count() + GAP;
        line.push_str(&cell);
        line.extend(std::iter::repeat_n(' ', pad));
    }
    line.trim_end().to_owned()
}

/// A text of at most `width` characters. The beginning is kept: names differ there more often than at their ends.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["NAME", "SOURCE", "DAYS"]);
        table.row(["ShopTls".to_owned(), "shop-kv/certificates/shop-tls".to_owned(), "12".to_owned()]);
        table.row(["Root".to_owned(), "shop-kv/secrets/contoso-root".to_owned(), "9999".to_owned()]);
        table
    }

    #[test]
    fn nothing_is_cut_where_there_is_no_width() {
        let shown = table().render(&Terminal::plain(None));
        assert_eq!(
            shown,
            "NAME     SOURCE                         DAYS\n\
             ShopTls  shop-kv/certificates/shop-tls  12\n\
             Root     shop-kv/secrets/contoso-root   9999\n"
        );
    }

    #[test]
    fn the_widest_column_gives_way() {
        let shown = table().render(&Terminal::plain(Some(30)));
        assert!(shown.lines().all(|line| line.chars().count() <= 30), "{shown}");
        assert!(shown.contains("ShopTls  shop-kv/certif…"), "{shown}");
        let spared = table().spared("DAYS").render(&Terminal::plain(Some(30)));
        assert_eq!(
            spared,
            "NAME     SOURCE\nShopTls  shop-kv/certificates…\nRoot     shop-kv/secrets/cont…\n"
        );
        let enough = table().spared("DAYS").render(&Terminal::plain(Some(44)));
        assert!(enough.contains("DAYS"), "{enough}");
        let whole = table().never_cut("SOURCE").render(&Terminal::plain(Some(30)));
        assert!(whole.contains("shop-kv/certificates/shop-tls"), "{whole}");
    }
}
