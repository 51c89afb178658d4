//! Makes the page's folder of its WebAssembly, as `cargo bank build` does: page IN.wasm OUT
use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        panic!("page IN.wasm OUT");
    };
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
