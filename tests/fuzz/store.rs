//! Databases: ours, and fail2ban's.

use std::fs;

use banishd::cli::import;
use banishd::engine::jail::window::Window;
use banishd::store::row;

/// Any bytes are a remembered window. One that can be read is written as it was.
pub(crate) fn row(bytes: &[u8]) {
    if let Some(entries) = row::to_entries(bytes) {
        let window = Window {
            entries,
            ..Window::default()
        };
        assert_eq!(row::from_window(&window), bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(row::from_lines(&row::to_lines(Some(&text))), text);
}

/// Any bytes are a database of fail2ban's.
pub(crate) fn import(bytes: &[u8]) {
    let path = std::env::temp_dir().join(format!("banishd-fuzz-{}", std::process::id()));
    fs::write(&path, bytes).expect("there is room for a file");
    let _ = import::read(&path);
    fs::remove_file(&path).expect("it was just written");
}
