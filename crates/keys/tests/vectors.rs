//! Every frozen vector is made, opened and refused as it says.
#![allow(clippy::unwrap_used, reason = "a test's failure is a panic")]

use gloaming_keys::vectors::{Case, negatives, vectors};

#[test]
fn every_vector_is_made_byte_for_byte() {
    for vector in vectors() {
        let case = Case(&vector);
        assert_eq!(hex::encode(case.make()), hex::encode(case.wanted()), "{}", case.text("name"));
    }
}

#[test]
fn every_sealed_vector_opens() {
    let mut opened = 0;
    for vector in vectors().iter().filter(|vector| !Case(vector).only_made()) {
        let case = Case(vector);
        assert_eq!(case.open(&case.sealed()), Some(Ok(case.plaintext())), "{}", case.text("name"));
        opened += 1;
    }
    assert!(opened >= 15, "{opened} vectors were opened");
}

#[test]
fn every_negative_is_refused_for_the_reason_it_names() {
    let mut refused = 0;
    for vector in vectors() {
        for fields in negatives(&vector) {
            let case = Case(&fields);
            let name = format!("{}: {}", vector["name"], case.text("name"));
            let error = case.open(&case.sealed()).unwrap().expect_err(&name);
            assert_eq!(error.code(), case.text("error"), "{name}");
            refused += 1;
        }
    }
    assert!(refused >= 200, "{refused} negatives were refused");
}

#[test]
fn no_bit_of_anything_sealed_can_change_and_nothing_can_be_cut_short() {
    for vector in vectors().iter().filter(|vector| vector.contains_key("sealed")) {
        let case = Case(vector);
        let sealed = case.sealed();
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(case.open(&bent).unwrap().is_err(), "{}: bit {bit}", case.text("name"));
        }
        if !case.text("kind").ends_with("signature") {
            for length in 0..sealed.len() {
                assert!(case.open(&sealed[..length]).unwrap().is_err(), "{}: {length}", case.text("name"));
            }
        }
    }
}
