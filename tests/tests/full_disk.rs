//! The server's disk is full: a real file system of 64 MiB.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::PathBuf, process::Command};

use gloaming_tests::{binary, film, house::House, skip};

struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

#[test]
fn an_upload_to_a_full_disk_says_so_and_finishes_once_there_is_room() {
    let Some(binary) = binary() else { return };
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        skip("a full disk: mounting a tmpfs needs root");
        return;
    }
    let small = SmallDisk(disk.clone());
    let house = House::open_at(binary, dir, disk.join("server"));
    house.move_in();
    let (first, second) = (house.path("first.mp4"), house.path("second.mp4"));
    film::make(&first, 8, 500);
    film::make(&second, 20, 8000);
    house.ok(&["upload", first.to_str().unwrap()]);
    let kept = house.videos();

    // Somebody else's file takes the room: eight MiB are left, less than the second film needs.
    let ballast = disk.join("ballast");
    let free = free_bytes(&disk);
    fs::write(&ballast, vec![0; usize::try_from(free - (8 << 20)).unwrap()]).unwrap();
    let code = house.refused(&["upload", second.to_str().unwrap()]);
    assert!(code.contains("full"), "{code}");
    assert_eq!(house.videos(), kept, "nothing half-written is shown");
    house.ok(&["verify", &kept[0], "--against", first.to_str().unwrap()]);
    assert_eq!(fs::read_dir(house.data().join("blobs/incoming")).unwrap().count(), 0);

    fs::remove_file(&ballast).unwrap();
    house.ok(&["upload", second.to_str().unwrap()]);
    let both = house.videos();
    assert_eq!(both.len(), 2);
    let new = both.iter().find(|video| **video != kept[0]).unwrap();
    house.ok(&["verify", new, "--against", second.to_str().unwrap()]);
    drop(house);
    drop(small);
}

fn free_bytes(folder: &std::path::Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}
