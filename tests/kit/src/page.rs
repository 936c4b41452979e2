//! The page that figures are kept on: each program writes its own sections of it and leaves the others as they are.

use std::io;
use std::path::Path;

/// Puts `text` between the marks of section `name`, or appends the section where there is none.
pub fn with_section(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let section = format!("{begin}\n{}\n{end}", text.trim());
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => format!("{}{section}{}", &page[..from], &page[to + end.len()..]),
        _ => format!("{}\n\n{section}\n", page.trim_end()),
    }
}

/// Writes sections into the page at `path`, which is begun if it is not there.
///
/// # Errors
/// When it cannot be read or written.
pub fn write(path: &Path, sections: &[(&str, String)]) -> io::Result<()> {
    let old = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "# What was measured\n".to_owned(),
        read => read?,
    };
    let new = sections.iter().fold(old, |page, (name, text)| with_section(&page, name, text));
    std::fs::write(path, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_between_its_marks_and_nothing_else_is() {
        let page = "# Title\n\n<!-- a:begin -->\nold\n<!-- a:end -->\n\nwords\n\n<!-- b:begin -->\nkept\n<!-- b:end -->\n";
        assert_eq!(with_section(page, "a", "new\n"), page.replace("old", "new"));
    }

    #[test]
    fn a_section_that_is_not_there_is_appended() {
        assert_eq!(with_section("# Title\n", "a", "new"), "# Title\n\n<!-- a:begin -->\nnew\n<!-- a:end -->\n");
    }
}
