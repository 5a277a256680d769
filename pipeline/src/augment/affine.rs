//! Affine transforms with Pillow's nearest pixels, and torchvision's matrices.

use super::planes::Planes;

/// From a pixel of the result to one of the source: `x' = a x + b y + c`, `y' = d x + e y + f`, as Pillow's `(a, b, c, d, e, f)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matrix(pub [f64; 6]);

/// What torchvision's `affine` does to a picture, about a centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// Degrees, clockwise.
    pub angle: f64,
    /// Pixels to the right and down.
    pub translate: [f64; 2],
    /// Factor of the picture's sides.
    pub scale: f64,
    /// Degrees along x and along y.
    pub shear: [f64; 2],
}

impl Motion {
    /// None.
    pub const STILL: Self = Self { angle: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2] };

    /// torchvision's `_get_inverse_affine_matrix` about a centre.
    pub fn matrix(&self, center: [f64; 2]) -> Matrix {
        let [angle, shear_x, shear_y] = [self.angle, self.shear[0], self.shear[1]].map(f64::to_radians);
        let turned = angle - shear_y;
        let a = libm::cos(turned) / libm::cos(shear_y);
        let b = -libm::cos(turned) * libm::tan(shear_x) / libm::cos(shear_y) - libm::sin(angle);
        let c = libm::sin(turned) / libm::cos(shear_y);
        let d = -libm::sin(turned) * libm::tan(shear_x) / libm::cos(shear_y) + libm::cos(angle);
        let [m0, m1, m3, m4] = [d, -b, -c, a].map(|value| value / self.scale);
        let [x, y] = [0, 1].map(|axis| -center[axis] - self.translate[axis]);
        Matrix([m0, m1, m0 * x + m1 * y + center[0], m3, m4, m3 * x + m4 * y + center[1]])
    }
}

impl Matrix {
    /// Pillow's `rotate(degrees)`, counter-clockwise about the centre of a square.
    pub fn rotation(degrees: f64, size: usize) -> Self {
        let (angle, center) = (-degrees.to_radians(), size as f64 / 2.0);
        let rounded = |value: f64| libm::rint(value * 1e15) / 1e15;
        let (cos, sin) = (rounded(libm::cos(angle)), rounded(libm::sin(angle)));
        let offset = |x: f64, y: f64| x * -center + y * -center + center;
        Self([cos, sin, offset(cos, sin), -sin, cos, offset(-sin, cos)])
    }
}

/// Moves the pixels of square planes; `indices` and `copy` are scratch.
pub(super) fn transform(
    view: &mut Planes,
    size: usize,
    matrix: &Matrix,
    indices: &mut Vec<u32>,
    copy: &mut Vec<u8>,
) {
    let (sources, plane) = (Sources::new(size, matrix), size * size);
    // Behind each plane lies a pixel of black, which those from outside are.
    copy.clear();
    for plane in view.split() {
        copy.extend_from_slice(plane);
        copy.push(0);
    }
    indices.resize(size, 0);
    let mut planes = view.split_mut();
    for row in 0..size {
        sources.write_row(row, indices);
        let inside = |index: &u32| *index < plane as u32;
        let first = indices.iter().position(inside).unwrap_or(size);
        let end = indices.iter().rposition(inside).map_or(first, |last| last + 1);
        for (to, from) in planes.iter_mut().zip(copy.chunks_exact(plane + 1)) {
            let to = &mut to[row * size..][..size];
            if sources.keep_rows && first < end {
                to[..first].fill(0);
                to[first..end].copy_from_slice(&from[indices[first] as usize..][..end - first]);
                to[end..].fill(0);
            } else {
                for (value, index) in to.iter_mut().zip(&*indices) {
                    *value = from[*index as usize];
                }
            }
        }
    }
}

/// Which pixel becomes each (Geometry.c, `affine_fixed` and, where nothing turns, `ImagingScaleAffine`).
struct Sources {
    size: usize,
    /// Whether neighbours in a row stay neighbours.
    keep_rows: bool,
    kind: Kind,
}

enum Kind {
    /// Columns and rows.
    Upright { x: Vec<i64>, y: Vec<i64> },
    /// Coordinates in 65536ths: of the first pixel, and from one column and one row to the next.
    Turned { start: [i64; 2], column: [i64; 2], row: [i64; 2] },
}

impl Sources {
    fn new(size: usize, Matrix([a, b, c, d, e, f]): &Matrix) -> Self {
        if *b == 0.0 && *d == 0.0 {
            let (x, y) = (positions(size, *a, *c), positions(size, *e, *f));
            let keep_rows = x.windows(2).all(|pair| pair[0] < 0 || pair[0] + 1 == pair[1]);
            return Self { size, keep_rows, kind: Kind::Upright { x, y } };
        }
        let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
        let start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
        let (column, row) = ([fixed(*a), fixed(*d)], [fixed(*b), fixed(*e)]);
        Self { size, keep_rows: column == [65536, 0], kind: Kind::Turned { start, column, row } }
    }

    /// The source of each pixel of a row: its number in its plane, or that behind the last.
    fn write_row(&self, number: usize, indices: &mut [u32]) {
        let size = self.size as u64;
        let index = |x: i64, y: i64| {
            let (x, y) = (x as u64, y as u64); // what is negative becomes larger than any side
            (if x < size && y < size { y * size + x } else { size * size }) as u32
        };
        match &self.kind {
            Kind::Upright { x, y } => {
                indices.iter_mut().zip(x).for_each(|(found, x)| *found = index(*x, y[number]));
            }
            Kind::Turned { start, column, row } => {
                let [mut x, mut y] = [0, 1].map(|axis| start[axis] + number as i64 * row[axis]);
                for found in indices {
                    *found = index(x >> 16, y >> 16);
                    x += column[0];
                    y += column[1];
                }
            }
        }
    }
}

/// Source coordinates of an axis that is scaled and moved, added up as Pillow does.
fn positions(size: usize, scale: f64, offset: f64) -> Vec<i64> {
    let mut at = offset + scale * 0.5;
    let position = |_| {
        let found = if at < 0.0 { -1 } else { at as i64 };
        at += scale;
        found
    };
    (0..size).map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(motion: Motion) -> Vec<u8> {
        let pixels: Vec<u8> = (1..=16).flat_map(|value| [value; 3]).collect();
        let mut view = Planes::of_interleaved(&pixels);
        transform(&mut view, 4, &motion.matrix([2.0; 2]), &mut Vec::new(), &mut Vec::new());
        view.split()[0].to_vec()
    }

    #[test]
    fn a_still_picture_stays_and_a_moved_one_leaves_black() {
        assert_eq!(moved(Motion::STILL), (1..=16).collect::<Vec<u8>>());
        let right = moved(Motion { translate: [1.0, 0.0], ..Motion::STILL });
        assert_eq!(right, [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15]);
        let far = moved(Motion { translate: [0.0, -9.0], ..Motion::STILL });
        assert_eq!(far, [0; 16]);
    }

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let turned = moved(Motion { angle: 90.0, ..Motion::STILL });
        assert_eq!(turned, [13, 9, 5, 1, 14, 10, 6, 2, 15, 11, 7, 3, 16, 12, 8, 4]);
    }
}
