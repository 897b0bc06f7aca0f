//! Thrift's compact protocol, as much of it as Parquet's headers need
//! (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md).

/// The types of fields.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct being written. Fields come in the order of their numbers.
#[derive(Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    fn field(&mut self, id: i16, kind: u8) {
        let step = id - self.last;
        if (1..=15).contains(&step) {
            self.bytes.push(((step as u8) << 4) | kind);
        } else {
            self.bytes.push(kind);
            varint(&mut self.bytes, zigzag(i64::from(id)));
        }
        self.last = id;
    }

    pub(super) fn i32(mut self, id: i16, value: i32) -> Self {
        self.field(id, I32);
        varint(&mut self.bytes, zigzag(i64::from(value)));
        self
    }

    pub(super) fn i64(mut self, id: i16, value: i64) -> Self {
        self.field(id, I64);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    pub(super) fn text(mut self, id: i16, value: &str) -> Self {
        self.field(id, BINARY);
        binary(&mut self.bytes, value);
        self
    }

    pub(super) fn inner(mut self, id: i16, value: Self) -> Self {
        self.field(id, STRUCT);
        self.bytes.extend(value.end());
        self
    }

    pub(super) fn structs(mut self, id: i16, values: Vec<Self>) -> Self {
        self.list(id, STRUCT, values.len());
        values.into_iter().for_each(|value| self.bytes.extend(value.end()));
        self
    }

    pub(super) fn i32s(mut self, id: i16, values: &[i32]) -> Self {
        self.list(id, I32, values.len());
        values.iter().for_each(|value| varint(&mut self.bytes, zigzag(i64::from(*value))));
        self
    }

    pub(super) fn texts(mut self, id: i16, values: &[&str]) -> Self {
        self.list(id, BINARY, values.len());
        values.iter().for_each(|value| binary(&mut self.bytes, value));
        self
    }

    fn list(&mut self, id: i16, kind: u8, count: usize) {
        self.field(id, LIST);
        if count < 15 {
            self.bytes.push(((count as u8) << 4) | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            varint(&mut self.bytes, count as u64);
        }
    }

    /// Its bytes.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn binary(bytes: &mut Vec<u8>, text: &str) {
    varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// An unsigned LEB128 number.
pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        let made = Struct::default().i32(1, 1).i64(4, -1).text(5, "ab").i32(40, 50).end();
        // Steps 1, 3, 1 in the upper half of the byte; then a long form for the step of 35.
        assert_eq!(made, [0x15, 2, 0x36, 1, 0x18, 2, b'a', b'b', 0x05, 80, 100, 0]);
        let made = Struct::default().i32s(2, &[3; 16]).end();
        assert_eq!(made[..3], [0x29, 0xf5, 16]);
        assert_eq!(
            Struct::default().texts(1, &["x"]).inner(2, Struct::default()).end(),
            [0x19, 0x18, 1, b'x', 0x1c, 0, 0]
        );
        let mut bytes = Vec::new();
        varint(&mut bytes, 300);
        assert_eq!(bytes, [0xac, 2]);
    }
}
