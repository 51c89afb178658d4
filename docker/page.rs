//! Makes the page's folder of its WebAssembly, as `cargo bank build` does: page IN.wasm OUT, and when the assets are in
//! the folder too, page OUT to put a compressed form beside each file.

// Copied from bank/src/page/.
mod compressed;

use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [module, folder] => make(module, folder),
        [folder] => compressed::put_beside(Path::new(folder)).expect("the page can be compressed"),
        _ => panic!("page IN.wasm OUT | page OUT"),
    }
}

fn make(module: &str, folder: &str) {
    Bindgen::new()
        .input_path(Path::new(module))
        .out_name("app")
        .web(true)
        .expect("a page is for browsers")
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(Path::new(folder))
        .expect("a page can be made of this module");
}
