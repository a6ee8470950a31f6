//! Small films, made by ffmpeg.

use std::{
    path::Path,
    process::{Command, Stdio},
};

fn ffmpeg(arguments: &[&str], out: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(arguments).arg(out).stdin(Stdio::null());
    assert!(command.status().expect("ffmpeg is installed").success(), "{arguments:?}");
}

/// H.264 with B-frames and AAC, `moov` at the end; about `kilobits` per second of video.
pub fn make(out: &Path, seconds: u32, kilobits: u32) {
    let video = format!("testsrc2=size=640x360:rate=25:duration={seconds}");
    let audio = format!("sine=frequency=440:duration={seconds}");
    let rate = format!("{kilobits}k");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            &video,
            "-f",
            "lavfi",
            "-i",
            &audio,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-x264-params",
            "nal-hrd=cbr",
            "-b:v",
            &rate,
            "-minrate",
            &rate,
            "-maxrate",
            &rate,
            "-bufsize",
            &rate,
            "-g",
            "50",
            "-bf",
            "2",
            "-c:a",
            "aac",
            "-shortest",
        ],
        out,
    );
}

/// The same film as another file: its comment differs, and with it its bytes.
pub fn vary(film: &Path, comment: &str, out: &Path) {
    ffmpeg(&["-i", film.to_str().unwrap(), "-c", "copy", "-metadata", &format!("comment={comment}")], out);
}

/// The same film with `text` in an H.264 SEI message (unregistered user data) before every key frame.
pub fn plant(film: &Path, text: &str, out: &Path) {
    let filter = format!("h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+{text}");
    ffmpeg(&["-i", film.to_str().unwrap(), "-c", "copy", "-bsf:v", &filter], out);
}

/// One hash for each stream's packets: equal for equal media, whatever the container does.
pub fn stream_hashes(film: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(film)
        .args(["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "streamhash", "-"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", film.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
