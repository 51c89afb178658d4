//! From the compiled page to the folder the gateway serves.

mod compressed;

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

use crate::{preflight::PAGE_TARGET, workspace::Workspace};

/// Says from which files the folder was made.
const STAMP: &str = ".made-from";

/// Makes `target/site` from the WebAssembly and `frontend/assets`, if it is not made from these already.
pub(crate) fn assemble(workspace: &Workspace) -> anyhow::Result<()> {
    let module = workspace
        .target
        .join(PAGE_TARGET)
        .join("wasm-release/frontend.wasm");
    let assets = workspace.root.join("frontend/assets");
    let site = workspace.site();
    let stamp = stamp(&module, &assets)?;
    if fs::read_to_string(site.join(STAMP)).is_ok_and(|made_from| made_from == stamp) {
        return Ok(());
    }
    let fresh = workspace.target.join("site.new");
    remove(&fresh)?;
    fs::create_dir_all(&fresh)?;
    Bindgen::new()
        .input_path(&module)
        .out_name("app")
        .web(true)?
        .typescript(false)
        // Names of functions are for debuggers, and more than half of the bytes.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&fresh)
        .with_context(|| format!("cannot make the page from {}", module.display()))?;
    for (from, relative) in files_below(&assets)? {
        let to = fresh.join(relative);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    compressed::put_beside(&fresh).context("cannot compress the page")?;
    fs::write(fresh.join(STAMP), stamp)?;
    // A gateway that serves the old page meanwhile finds all of it or all of the new one, but for an instant.
    let old = workspace.target.join("site.old");
    remove(&old)?;
    if site.exists() {
        fs::rename(&site, &old)?;
    }
    fs::rename(&fresh, &site)?;
    remove(&old)
}

/// Name, length and time of change of every file the page is made from.
fn stamp(module: &Path, assets: &Path) -> anyhow::Result<String> {
    let mut files = files_below(assets)?;
    files.push((module.to_owned(), PathBuf::from("frontend.wasm")));
    let mut lines = Vec::with_capacity(files.len());
    for (path, relative) in files {
        let metadata =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let changed = metadata
            .modified()?
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_nanos();
        lines.push(format!(
            "{} {} {changed}",
            relative.display(),
            metadata.len()
        ));
    }
    lines.sort();
    Ok(lines.join("\n"))
}

/// Every file below `folder`: where it is, and its path from there.
fn files_below(folder: &Path) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let path = folder.join(&relative);
        for entry in
            fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?
        {
            let entry = entry?;
            let relative = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(relative);
            } else {
                found.push((entry.path(), relative));
            }
        }
    }
    Ok(found)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
