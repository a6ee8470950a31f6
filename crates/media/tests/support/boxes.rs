//! Taking a file's boxes apart, and putting them together in another way.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test support: each test uses a part of it, and may panic"
)]

/// A box: its type, and its body or its children.
#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: [u8; 4],
    pub body: Vec<u8>,
    pub children: Vec<Tree>,
    /// With a 64-bit size.
    pub wide: bool,
}

const PARENTS: [&[u8; 4]; 8] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex"];

impl Tree {
    pub fn leaf(kind: &[u8; 4], body: Vec<u8>) -> Tree {
        Tree { kind: *kind, body, children: Vec::new(), wide: false }
    }

    pub fn parse_all(mut bytes: &[u8]) -> Vec<Tree> {
        let mut out = Vec::new();
        while bytes.len() >= 8 {
            let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            let kind: [u8; 4] = bytes[4..8].try_into().unwrap();
            let (head, size) = match size {
                1 => (16, u64::from_be_bytes(bytes[8..16].try_into().unwrap()) as usize),
                size => (8, size),
            };
            let body = bytes[head..size].to_vec();
            let parent = PARENTS.contains(&&kind);
            out.push(Tree {
                kind,
                children: if parent { Tree::parse_all(&body) } else { Vec::new() },
                body: if parent { Vec::new() } else { body },
                wide: head == 16,
            });
            bytes = &bytes[size..];
        }
        out
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = self.body.clone();
        self.children.iter().for_each(|child| child.write(&mut body));
        if self.wide {
            out.extend_from_slice(&1_u32.to_be_bytes());
            out.extend_from_slice(&self.kind);
            out.extend_from_slice(&(body.len() as u64 + 16).to_be_bytes());
        } else {
            out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
            out.extend_from_slice(&self.kind);
        }
        out.extend_from_slice(&body);
    }

    /// The box at the end of this path, the first one of each kind.
    pub fn at(&mut self, path: &[&[u8; 4]]) -> &mut Tree {
        path.iter().fold(self, |tree, kind| {
            let name = String::from_utf8_lossy(*kind).into_owned();
            tree.children.iter_mut().find(|child| child.kind == **kind).unwrap_or_else(|| panic!("no {name}"))
        })
    }

    /// The sample table of the track with this number, from 0.
    pub fn stbl(&mut self, track: usize) -> &mut Tree {
        self.trak(track).at(&[b"mdia", b"minf", b"stbl"])
    }

    pub fn trak(&mut self, track: usize) -> &mut Tree {
        self.children.iter_mut().filter(|child| child.kind == *b"trak").nth(track).unwrap()
    }

    /// Puts a child in the place of one of another kind.
    pub fn replace(&mut self, kind: &[u8; 4], with: Tree) {
        *self.at(&[kind]) = with;
    }

    pub fn remove(&mut self, kind: &[u8; 4]) {
        self.children.retain(|child| child.kind != *kind);
    }

    /// The body as words.
    pub fn words(&self) -> Vec<u32> {
        self.body.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
    }
}

/// A leaf with a body of these words.
pub fn table(kind: &[u8; 4], words: impl IntoIterator<Item = u32>) -> Tree {
    Tree::leaf(kind, words.into_iter().flat_map(u32::to_be_bytes).collect())
}

/// A file with its `moov` at the end and changed: nothing else moves.
pub fn with_moov(file: &[u8], change: impl FnOnce(&mut Tree)) -> Vec<u8> {
    let mut boxes = Tree::parse_all(file);
    let last = boxes.last_mut().unwrap();
    assert_eq!(&last.kind, b"moov", "these files end with their index");
    change(last);
    let mut out = Vec::new();
    boxes.iter().for_each(|tree| tree.write(&mut out));
    out
}

/// Where each sample of a sample table is, and how long.
pub fn places(stbl: &mut Tree) -> Vec<(u64, u32)> {
    let sizes = stbl.at(&[b"stsz"]).words();
    let count = sizes[2] as usize;
    let size = |n: usize| if sizes[1] > 0 { sizes[1] } else { sizes[3 + n] };
    let chunks = stbl.at(&[b"stco"]).words();
    let runs: Vec<Vec<u32>> = stbl.at(&[b"stsc"]).words()[2..].chunks_exact(3).map(<[u32]>::to_vec).collect();
    let mut out = Vec::new();
    for (number, &offset) in (1..).zip(&chunks[2..]) {
        let run = runs.iter().rfind(|run| run[0] <= number).unwrap();
        let mut at = u64::from(offset);
        for _ in 0..run[1] {
            if out.len() < count {
                out.push((at, size(out.len())));
                at += u64::from(size(out.len() - 1));
            }
        }
    }
    out
}
