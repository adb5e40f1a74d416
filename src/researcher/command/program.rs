//! Where a program is: as a shell would find it by its name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// The program of this name: on `path`, or where an absolute name or one that begins with `~/` says.
///
/// # Errors
/// A sentence: there is none, or it must not be started.
pub(super) fn find(name: &str, path: Option<&OsStr>, home: Option<&OsStr>) -> Result<PathBuf, String> {
    let place = match name.strip_prefix("~/") {
        Some(rest) => home.map(|home| Path::new(home).join(rest)).ok_or("it begins with `~/`, and HOME is not set")?,
        None => PathBuf::from(name),
    };
    if place.is_absolute() {
        return if is_program(&place) { Ok(place) } else { Err(why_not(&place)) };
    }
    // The working folder is none of the person's: nothing can be meant relative to it.
    if name.contains('/') {
        return Err("it is neither a name on PATH nor an absolute path".into());
    }
    let path = path.ok_or("PATH is not set")?;
    let places: Vec<PathBuf> =
        std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).collect();
    match places.iter().find(|place| is_program(place)) {
        Some(found) => Ok(found.clone()),
        None => Err(places.iter().find(|place| place.exists()).map_or_else(
            || format!("there is no program of that name in any of the {} folders of PATH", places.len()),
            |place| why_not(place),
        )),
    }
}

fn is_program(place: &Path) -> bool {
    // To the superuser every right is granted but that to run what nobody may run.
    place.is_file() && access(place, AccessFlags::X_OK).is_ok()
}

fn why_not(place: &Path) -> String {
    let shown = place.display();
    if place.is_file() {
        format!("{shown} is not executable; run `chmod +x {shown}`")
    } else if place.exists() {
        format!("{shown} is no file")
    } else {
        format!("there is no {shown}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, mode: u32| {
            write(folder.path().join(name), "#!/bin/sh\n").expect("written");
            set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("changed");
        };
        put("agent", 0o755);
        put("plain", 0o644);
        create_dir(folder.path().join("folder")).expect("made");
        let path = std::env::join_paths([Path::new("/nowhere"), Path::new("."), folder.path()]).expect("a path");
        let home = folder.path().as_os_str();
        let absolute = |name: &str| folder.path().join(name).display().to_string();
        let table = [
            ("agent".to_owned(), Ok("agent")),
            (absolute("agent"), Ok("agent")),
            ("~/agent".to_owned(), Ok("agent")),
            ("plain".to_owned(), Err("is not executable; run `chmod +x")),
            (absolute("plain"), Err("is not executable")),
            (absolute("absent"), Err("there is no /")),
            ("folder".to_owned(), Err("is no file")),
            ("absent".to_owned(), Err("no program of that name in any of the 2 folders")),
            ("./agent".to_owned(), Err("neither a name on PATH nor an absolute path")),
        ];
        for (name, expected) in table {
            match (find(&name, Some(&path), Some(home)), expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, folder.path().join(wanted), "{name}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{name}: {why}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        assert!(find("agent", None, None).is_err() && find("~/agent", Some(&path), None).is_err());
    }
}
