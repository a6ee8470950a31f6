//! All headers of RFC 9605, appendix C.1.

use gloaming_room_log::SFrameHeader;

#[test]
fn all_headers_of_the_rfc_are_written_and_read_as_it_says() {
    let mut lines = 0;
    for line in include_str!("vectors/rfc9605-headers.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(' ');
        let mut next = || fields.next().expect("three fields");
        let kid = next().parse().expect("a number");
        let counter = next().parse().expect("a number");
        let expected = next();
        let mut bytes = Vec::new();
        SFrameHeader { kid, counter }.encode_into(&mut bytes);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected);
        assert_eq!(SFrameHeader::parse(&bytes), Ok((SFrameHeader { kid, counter }, bytes.len())));
        lines += 1;
    }
    assert_eq!(lines, 289);
}
