//! One colour made transparent, by its distance in the plane of colour differences.

use super::View;
use crate::render::compose::convert::to_ycc;
use crate::render::compose::{ChromaSite, Plane, Sample, Yuv, chroma_line};

/// A chroma key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChromaKey {
    /// The colour of the cloth: R′G′B′ of 8 bit.
    pub colour: [u8; 3],
    /// Distance in Cb and Cr (each −½ to ½) up to which all is transparent.
    pub tolerance: f64,
    /// Further distance over which it becomes opaque.
    pub softness: f64,
    /// How much of the cloth's colour is taken from what stays: 0 none, 1 all.
    pub despill: f64,
}

impl Default for ChromaKey {
    /// A green cloth.
    fn default() -> Self {
        Self { colour: [0, 177, 64], tolerance: 0.12, softness: 0.08, despill: 0.5 }
    }
}

impl ChromaKey {
    /// Coverage of a colour.
    pub(super) fn covers(&self, cb: f64, cr: f64, key: (f64, f64)) -> f64 {
        let far = (cb - key.0).hypot(cr - key.1);
        let t = ((far - self.tolerance) / self.softness.max(1e-6)).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }

    pub(super) fn apply<T: Sample>(&self, yuv: &mut Yuv<T>, view: &View, site: ChromaSite) {
        // What already has coverage has no cloth to take away.
        if yuv.alpha.is_some() {
            return;
        }
        let [_, kb, kr] = to_ycc(self.colour.map(|c| f64::from(c) / 255.0), view.tags.matrix);
        let (zero, span) = view.codes.chroma;
        let read = |v: f64| (v - zero) / span;
        let [luma, cb, cr] = &mut yuv.planes;
        let (width, height) = (luma.width, luma.height);
        let mut alpha = Plane::new(width, height, T::ZERO);
        let (mut us, mut vs) = (Vec::new(), Vec::new());
        for y in 0..height {
            chroma_line(cb, y, width, site, &mut us);
            chroma_line(cr, y, width, site, &mut vs);
            for (to, (u, v)) in alpha.row_mut(y).iter_mut().zip(us.iter().zip(&vs)) {
                let share = self.covers(read(f64::from(*u)), read(f64::from(*v)), (kb, kr));
                *to = T::from_i32((share * f64::from(T::MAX) + 0.5) as i32);
            }
        }
        let length = kb.hypot(kr).max(1e-6);
        let (db, dr) = (kb / length, kr / length);
        for (u, v) in cb.data.iter_mut().zip(cr.data.iter_mut()) {
            let (b, r) = (read(f64::from(u.to_i32())), read(f64::from(v.to_i32())));
            // The part of the colour that points to the cloth's.
            let spilt = (b * db + r * dr).max(0.0) * self.despill.clamp(0.0, 1.0);
            let write = |v: f64| T::from_i32((zero + span * v + 0.5) as i32);
            *u = write(b - spilt * db);
            *v = write(r - spilt * dr);
        }
        yuv.premultiply(alpha, site);
    }
}
