//! Where the file is searched.

use super::*;

#[test]
fn files_are_searched_in_order_by_base_name_or_path() {
    let (first, second) = (tempfile("server: one"), tempfile("server: two"));
    fs::rename(first.join("talaria.yaml"), first.join("other.json")).unwrap();
    fs::write(first.join("other.json"), r#"{"server": "three"}"#).unwrap();
    let directories = [first.clone(), second.clone()];
    let find = |name: &str| file::find(name, &directories).map(|path| path.canonicalize().unwrap());
    assert_eq!(find("talaria").unwrap(), second.canonicalize().unwrap().join("talaria.yaml"));
    assert_eq!(find("talaria.yaml").unwrap(), second.canonicalize().unwrap().join("talaria.yaml"));
    assert_eq!(find("other").unwrap(), first.canonicalize().unwrap().join("other.json"));
    let absolute = second.join("talaria");
    assert_eq!(
        find(absolute.to_str().unwrap()).unwrap(),
        second.canonicalize().unwrap().join("talaria.yaml")
    );
    let missing = find("missing").unwrap_err().to_string();
    assert!(
        missing.starts_with("no configuration file \"missing\" (.yaml, .yml or .json) in /"),
        "{missing}"
    );
    for (path, reason) in [(first.join("absent"), "No such file"), (second, "it is a directory")] {
        let error = find(path.to_str().unwrap()).unwrap_err().to_string();
        let start = format!("no configuration file at {}, nor with .yaml, .yml or .json", path.display());
        assert!(error.starts_with(&start) && error.contains(reason), "{error}");
    }
    for directory in directories {
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn the_search_path_is_the_go_gateways() {
    let home = Path::new("/home/x");
    assert_eq!(
        file::search_path(Some(home)),
        [PathBuf::from("/etc/talaria"), PathBuf::from("/home/x/.talaria"), PathBuf::from(".")]
    );
}
