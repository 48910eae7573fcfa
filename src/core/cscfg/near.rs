//! Names that somebody may have meant.

/// Most names that a hint lists: more would not be read.
const HINTS: usize = 3;

/// Most names that are compared, and the characters of each that are looked at: together a few million steps at worst.
const CANDIDATES: usize = 1000;
const COMPARED_CHARS: usize = 64;

/// The candidates that resemble `wanted`, the nearest first, without regard to case.
pub(super) fn near<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = folded(wanted);
    // Two letters that changed places are two steps; a short name may not be changed into any other.
    let limit = (wanted.len() / 3).max(2).min(wanted.len().saturating_sub(1));
    let mut found: Vec<(usize, &str)> = candidates
        .take(CANDIDATES)
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(HINTS).map(|(_, name)| name.to_owned()).collect()
}

fn folded(name: &str) -> Vec<char> {
    name.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first() {
        let names = ["ShopTls", "ShopTls2", "ContosoRoot", "shoptsl", "Tls"];
        assert_eq!(near("shoptls", names.into_iter()), ["ShopTls", "ShopTls2", "shoptsl"]);
        assert_eq!(near("ContosRoot", names.into_iter()), ["ContosoRoot"]);
        assert_eq!(near("Wbe", ["Web", "Api"].into_iter()), ["Web"]);
        assert!(near("Intermediate", names.into_iter()).is_empty());
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("web", "wbe", 2)] {
            assert_eq!(distance(&folded(a), &folded(b)), expected, "{a} {b}");
        }
    }
}
