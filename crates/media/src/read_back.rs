//! What a fragment says about its samples, for those who compare fragments that were cut differently.

use crate::{
    MediaError,
    boxes::{Head, damaged},
    moof::{MoofSamples, parse_moof},
};

/// Samples in a row that are alike and follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    /// How many; at least 1.
    pub count: u64,
    /// Decode time of the first one, in the track's timescale.
    pub start: u64,
    /// Duration of each.
    pub duration: u32,
    /// Composition offset of each.
    pub offset: i32,
    /// Bytes of each.
    pub size: u32,
    /// `sample_flags` of each: whether it is a sync sample, and what depends on it.
    pub flags: u32,
    /// Number of their sample description, from 1.
    pub description: u32,
}

impl Samples {
    /// Takes the first `count` of them, or as many as there are.
    pub fn take(&mut self, count: u64) -> Samples {
        let count = count.min(self.count);
        let taken = Samples { count, ..*self };
        self.count -= count;
        self.start = self.start.saturating_add(count.saturating_mul(u64::from(self.duration)));
        taken
    }
}

/// Reads a fragment of ours, or only what it has in front of its samples: the samples in order, and where in `bytes`
/// the first one's bytes begin; the others' follow.
pub fn read_fragment(bytes: &[u8]) -> Result<(Vec<Samples>, usize), MediaError> {
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let head = Head::read(rest, rest.len() as u64).ok_or(damaged("a fragment is cut off", at as u64))?;
        if head.kind == *b"mdat" {
            return Ok((out, at + head.len as usize));
        }
        let size = usize::try_from(head.size).ok().filter(|&size| size <= rest.len());
        let size = size.ok_or(damaged("a fragment is cut off", at as u64))?;
        if head.kind == *b"moof" {
            let moof = &rest[..size];
            for traf in parse_moof(moof, at as u64, &[])? {
                let mut dts = traf.dts.ok_or(damaged("a fragment does not say when it starts", at as u64))?;
                let mut samples = MoofSamples::new(traf.truns);
                while let Some(run) = samples.run(moof, dts)? {
                    samples.advance(run.count, run.size);
                    out.push(Samples {
                        count: run.count,
                        start: dts,
                        duration: run.duration,
                        offset: run.offset,
                        size: run.size,
                        flags: run.flags,
                        description: run.description,
                    });
                    dts = dts.saturating_add(run.count.saturating_mul(u64::from(run.duration)));
                }
            }
        }
        at += size;
    }
}
