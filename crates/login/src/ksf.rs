use argon2::{Algorithm, Argon2, Params, Version};

use crate::LoginError;

/// What Argon2id costs: chosen by the client when it registers, kept by the server, told to the client at each login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KsfParams {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes. More than one helps only attackers while a browser's WASM has one thread.
    pub lanes: u32,
}

impl Default for KsfParams {
    /// 128 MiB, three passes, one lane: about a second on a 2-core machine.
    fn default() -> Self {
        Self { memory_kib: 128 * 1024, passes: 3, lanes: 1 }
    }
}

impl KsfParams {
    /// The least a client accepts, whatever a server says: RFC 9106's second recommended option in memory and passes.
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// The most a client accepts, so that a server cannot hang it: 1 GiB, ten passes, four lanes.
    pub const CEILING: Self = Self { memory_kib: 1024 * 1024, passes: 10, lanes: 4 };

    /// Whether a client may work with these.
    pub fn check(self) -> Result<(), LoginError> {
        let (floor, ceiling) = (Self::FLOOR, Self::CEILING);
        if self.memory_kib < floor.memory_kib || self.passes < floor.passes || self.lanes < floor.lanes {
            Err(LoginError::Downgraded)
        } else if self.memory_kib > ceiling.memory_kib
            || self.passes > ceiling.passes
            || self.lanes > ceiling.lanes
        {
            Err(LoginError::TooCostly)
        } else {
            Ok(())
        }
    }

    /// The stretching function itself, for parameters that [`KsfParams::check`] lets pass. There is no other way to
    /// one, so that a cheap one cannot be used by mistake.
    pub(crate) fn argon2(self) -> Result<Argon2<'static>, LoginError> {
        self.check()?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None)
            .expect("the floor is above Argon2's own minimum and the ceiling below its maximum");
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

#[cfg(test)]
mod tests {
    use opaque_ke::{generic_array::GenericArray, ksf::Ksf};

    use super::*;

    #[test]
    fn the_floor_and_the_ceiling_pass_and_a_step_beyond_does_not() {
        let (floor, ceiling) = (KsfParams::FLOOR, KsfParams::CEILING);
        for fine in [floor, ceiling, KsfParams::default()] {
            assert_eq!(fine.check(), Ok(()));
        }
        for cheap in [
            KsfParams { memory_kib: floor.memory_kib - 1, ..ceiling },
            KsfParams { passes: floor.passes - 1, ..ceiling },
            KsfParams { lanes: 0, ..ceiling },
        ] {
            assert_eq!(cheap.argon2().err(), Some(LoginError::Downgraded), "{cheap:?}");
        }
        for dear in [
            KsfParams { memory_kib: ceiling.memory_kib + 1, ..floor },
            KsfParams { passes: ceiling.passes + 1, ..floor },
            KsfParams { lanes: ceiling.lanes + 1, ..floor },
        ] {
            assert_eq!(dear.argon2().err(), Some(LoginError::TooCostly), "{dear:?}");
        }
    }

    /// Computed with the reference implementation (`argon2-cffi`): 64 bytes of 0x01, sixteen zero bytes of salt as
    /// RFC 9807 §7 has it, the floor's parameters, 64 bytes out.
    #[test]
    fn stretching_is_the_reference_implementations_argon2id() {
        let argon2 = KsfParams::FLOOR.argon2().expect("the floor");
        let input = GenericArray::<u8, opaque_ke::generic_array::typenum::U64>::from([1; 64]);
        let output = argon2.hash(input).expect("64 MiB of memory");
        assert_eq!(
            hex::encode(output),
            "7efc3c9a9a794ae0bd74c6522a76ee8419906b4b136959c19edcc2696d93f6a53c6249c610a15a4ba5432654dd11a7d33c4550dcd28475507135588848d89f4c"
        );
    }
}
