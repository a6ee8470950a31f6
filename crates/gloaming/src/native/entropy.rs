/// The operating system's random bytes.
pub(crate) fn os_entropy() -> impl FnMut(&mut [u8]) {
    |out: &mut [u8]| getrandom::fill(out).expect("this operating system has random bytes")
}
