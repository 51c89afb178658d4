//! Files of the page, compressed once when they are made and not at every request: as small as they get.
//!
//! Also part of the program that makes the page for the images, which knows no crate but `brotli`.

use std::{fs, io, path::Path};

/// Endings of what becomes smaller.
const ENDINGS: [&str; 5] = ["css", "html", "js", "svg", "wasm"];
/// The highest there is: seconds once, a sixth less to load for everyone.
const QUALITY: i32 = 11;
/// Bytes of the window, as a power of two: the largest that every browser takes.
const WINDOW_LOG: i32 = 22;

/// Puts `NAME.br` beside every file of the folder, which the gateway sends to who takes it.
pub(crate) fn put_beside(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            put_beside(&path)?;
        } else if let Some(ending) = ending.filter(|ending| ENDINGS.contains(ending)) {
            let parameters = brotli::enc::BrotliEncoderParams {
                quality: QUALITY,
                lgwin: WINDOW_LOG,
                ..Default::default()
            };
            let mut compressed = Vec::new();
            brotli::BrotliCompress(&mut fs::File::open(&path)?, &mut compressed, &parameters)?;
            fs::write(path.with_extension(format!("{ending}.br")), compressed)?;
        }
    }
    Ok(())
}
