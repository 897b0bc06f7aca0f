//! Times written onto pictures: a 5×7 dot font of the characters a time needs.

use image::{Rgb, RgbImage};

const WIDTH: u32 = 5;
const HEIGHT: u32 = 7;

/// Rows of five dots, the leftmost in bit 4.
fn glyph(c: char) -> [u8; HEIGHT as usize] {
    match c {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        ':' => [0, 0b00100, 0b00100, 0, 0b00100, 0b00100, 0],
        '.' => [0, 0, 0, 0, 0, 0b01100, 0b01100],
        '-' => [0, 0, 0, 0b01110, 0, 0, 0],
        _ => [0; HEIGHT as usize],
    }
}

/// Width and height of `text` when each dot is `dot` pixels wide, its margin included.
pub(super) fn label_size(text: &str, dot: u32) -> (u32, u32) {
    let count = text.chars().count() as u32;
    ((count * (WIDTH + 1) + 3) * dot, (HEIGHT + 4) * dot)
}

/// Writes `text` white on a darkened box whose top left corner is at (`left`, `top`); what falls
/// outside the picture is left out.
pub(super) fn write_label(picture: &mut RgbImage, text: &str, left: u32, top: u32, dot: u32) {
    let (box_width, box_height) = label_size(text, dot);
    let (right, bottom) =
        ((left + box_width).min(picture.width()), (top + box_height).min(picture.height()));
    for y in top..bottom {
        for x in left..right {
            let Rgb(value) = *picture.get_pixel(x, y);
            picture.put_pixel(x, y, Rgb(value.map(|v| v / 4)));
        }
    }
    for (i, c) in text.chars().enumerate() {
        let start = left + (2 + i as u32 * (WIDTH + 1)) * dot;
        for (row, bits) in glyph(c).iter().enumerate() {
            for column in (0..WIDTH).filter(|column| bits >> (WIDTH - 1 - column) & 1 == 1) {
                let (x, y) = (start + column * dot, top + (2 + row as u32) * dot);
                for (x, y) in (y..y + dot).flat_map(|y| (x..x + dot).map(move |x| (x, y))) {
                    if x < right && y < bottom {
                        picture.put_pixel(x, y, Rgb([255; 3]));
                    }
                }
            }
        }
    }
}
