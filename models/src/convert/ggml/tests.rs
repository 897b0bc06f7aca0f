use super::*;

/// Two bytes of the scale (0.5), then what comes behind it.
fn block(head: &[u8], rest: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut bytes = f16::from_f32(0.5).to_le_bytes().to_vec();
    bytes.extend(head);
    bytes.extend(rest);
    bytes
}

fn decoded(kind: GgmlType, bytes: &[u8]) -> Vec<f32> {
    assert_eq!(bytes.len(), kind.block().1, "{kind:?}");
    let mut out = Vec::new();
    kind.decode(bytes, &mut out);
    out
}

/// Nibbles that hold 0 to 15 twice over: byte j is value j below and value j above.
fn ramp() -> impl Iterator<Item = u8> {
    (0..16).map(|j| j | j << 4)
}

#[test]
fn quantised_blocks() {
    let minimum = f16::from_f32(-1.0).to_le_bytes();
    let q = |j: usize| (j % 16) as f32;

    let values = decoded(GgmlType::Q4_0, &block(&[], ramp()));
    assert_eq!(values, (0..32).map(|j| (q(j) - 8.0) * 0.5).collect::<Vec<_>>());

    let values = decoded(GgmlType::Q4_1, &block(&minimum, ramp()));
    assert_eq!(values, (0..32).map(|j| q(j) * 0.5 - 1.0).collect::<Vec<_>>());

    // The fifth bit set for values 1 and 31 only.
    let high = (1u32 << 1 | 1 << 31).to_le_bytes();
    let five = |j: usize| q(j) + if j == 1 || j == 31 { 16.0 } else { 0.0 };
    let values = decoded(GgmlType::Q5_0, &block(&high, ramp()));
    assert_eq!(values, (0..32).map(|j| (five(j) - 16.0) * 0.5).collect::<Vec<_>>());

    let head: Vec<u8> = minimum.into_iter().chain(high).collect();
    let values = decoded(GgmlType::Q5_1, &block(&head, ramp()));
    assert_eq!(values, (0..32).map(|j| five(j) * 0.5 - 1.0).collect::<Vec<_>>());

    let values = decoded(GgmlType::Q8_0, &block(&[], (0..32).map(|j| (j as i8 - 16) as u8)));
    assert_eq!(values, (0..32).map(|j| (j - 16) as f32 * 0.5).collect::<Vec<_>>());
}

#[test]
fn plain_values() {
    let mut out = Vec::new();
    GgmlType::F32.decode(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], &mut out);
    GgmlType::F16.decode(&[0x00, 0x3c, 0x00, 0x80], &mut out);
    assert_eq!(out, [1.0, -2.0, 1.0, -0.0]);
}
