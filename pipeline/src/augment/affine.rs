//! Affine transforms with Pillow's nearest pixels, and torchvision's matrices.

use std::ops::Range;

use super::cpu::{Cpu, for_each_cpu};
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

/// Moves the pixels of square planes; `sources` and `copy` are scratch.
pub(super) fn transform(
    cpu: Cpu,
    view: &mut Planes,
    size: usize,
    matrix: &Matrix,
    sources: &mut Vec<u32>,
    copy: &mut Vec<u8>,
) {
    // Never less, lest what is needed again be filled with zeros.
    sources.resize(sources.len().max(size * size + size), 0);
    let Matrix([a, b, c, d, e, f]) = *matrix;
    if b == 0.0 && d == 0.0 {
        view.move_to(copy);
        return scale(view, size, [a, c], [e, f], &mut sources[..size], copy);
    }
    let lines = Lines::new(size, matrix);
    if lines.column == [ONE, 0] {
        view.move_to(copy);
        shift_rows(view, &lines, copy);
    } else {
        turn(cpu, view.split_mut(), &lines, &mut sources[..size * size + size]);
    }
}

/// Where nothing turns (Geometry.c, `ImagingScaleAffine`): factor and offset of columns and of rows.
fn scale(view: &mut Planes, size: usize, x: [f64; 2], y: [f64; 2], columns: &mut [u32], copy: &[u8]) {
    columns.iter_mut().zip(positions(size, x)).for_each(|(column, position)| *column = position as u32);
    let is_inside = |column: &u32| *column < size as u32;
    let first = columns.iter().position(is_inside).unwrap_or(size);
    let end = columns.iter().rposition(is_inside).map_or(first, |last| last + 1);
    let columns = &columns[first..end];
    let are_neighbours = columns.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    for (plane, from) in view.split_mut().into_iter().zip(copy.chunks_exact(size * size)) {
        for (to, row) in plane.chunks_exact_mut(size).zip(positions(size, y)) {
            let Some(from) = from.chunks_exact(size).nth(row) else {
                to.fill(0);
                continue;
            };
            let to = blacken_beyond(to, &(first..end));
            if are_neighbours && let Some(&column) = columns.first() {
                to.copy_from_slice(&from[column as usize..][..to.len()]);
            } else {
                to.iter_mut().zip(columns).for_each(|(to, &column)| *to = from[column as usize]);
            }
        }
    }
}

/// Source coordinates of an axis by a factor and an offset, added up as Pillow does; `size` stands for those outside.
fn positions(size: usize, [factor, offset]: [f64; 2]) -> impl Iterator<Item = usize> {
    let mut at = offset + factor * 0.5;
    (0..size).map(move |_| {
        let found = if at < 0.0 { size } else { size.min(at as usize) };
        at += factor;
        found
    })
}

/// Where neighbours in a row stay neighbours.
fn shift_rows(view: &mut Planes, lines: &Lines, copy: &[u8]) {
    let size = lines.size;
    let mut planes = view.split_mut();
    for row in 0..size {
        let (inside, [x, y]) = lines.row(row);
        let first = (y >> 16) as usize * size + (x >> 16) as usize;
        for (plane, from) in planes.iter_mut().zip(copy.chunks_exact(size * size)) {
            let to = blacken_beyond(&mut plane[row * size..][..size], &inside);
            to.copy_from_slice(&from[first..][..to.len()]);
        }
    }
}

for_each_cpu! {
    /// Any other transform. `sources` has room for an image and a row, whose pixels are a word each.
    fn turn(planes: [&mut [u8]; 3], lines: &Lines, sources: &mut [u32]) {
        let size = lines.size;
        let (image, line) = sources.split_at_mut(size * size);
        let [r, g, b] = planes;
        for (((pixel, &r), &g), &b) in image.iter_mut().zip(&*r).zip(&*g).zip(&*b) {
            *pixel = u32::from(r) | u32::from(g) << 8 | u32::from(b) << 16;
        }
        let [step_x, step_y] = lines.column.map(|step| step as u32);
        for row in 0..size {
            let (inside, [mut x, mut y]) = lines.row(row);
            for pixel in blacken_beyond(line, &inside) {
                *pixel = image[((y >> 16) * size as u32 + (x >> 16)) as usize];
                (x, y) = (x.wrapping_add(step_x), y.wrapping_add(step_y));
            }
            let row = row * size..(row + 1) * size;
            let out = r[row.clone()].iter_mut().zip(&mut g[row.clone()]).zip(&mut b[row]);
            for (((r, g), b), pixel) in out.zip(&*line) {
                (*r, *g, *b) = (*pixel as u8, (*pixel >> 8) as u8, (*pixel >> 16) as u8);
            }
        }
    }
}

/// The part `inside` of a row, of which the rest becomes black.
#[inline(always)]
fn blacken_beyond<'a, T: Default + Clone>(row: &'a mut [T], inside: &Range<usize>) -> &'a mut [T] {
    row[..inside.start].fill(T::default());
    row[inside.end..].fill(T::default());
    &mut row[inside.clone()]
}

/// A pixel of the source in the coordinates of [`Lines`].
const ONE: i64 = 1 << 16;

/// The lines in the source that rows become, in 65536ths of a pixel (Geometry.c, `affine_fixed`).
struct Lines {
    size: usize,
    /// The source of the first pixel.
    start: [i64; 2],
    /// From one column, and from one row, to the next.
    column: [i64; 2],
    row: [i64; 2],
}

impl Lines {
    fn new(size: usize, Matrix([a, b, c, d, e, f]): &Matrix) -> Self {
        let fixed = |value: f64| at_most_far((value * ONE as f64 + 0.5).floor() as i64);
        let start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
        Self { size, start, column: [fixed(*a), fixed(*d)], row: [fixed(*b), fixed(*e)] }
    }

    /// The columns of a row whose source is inside the image, and the source of the first of them.
    #[inline(always)]
    fn row(&self, number: usize) -> (Range<usize>, [u32; 2]) {
        let start = [0, 1].map(|axis| {
            at_most_far(self.start[axis].saturating_add(self.row[axis].saturating_mul(number as i64)))
        });
        let [x, y] = [0, 1].map(|axis| inside(start[axis], self.column[axis], self.size));
        let columns = x.start.max(y.start)..x.end.min(y.end);
        if columns.is_empty() {
            return (0..0, [0; 2]);
        }
        let first = [0, 1].map(|axis| start[axis] + self.column[axis] * columns.start as i64);
        (columns, first.map(|coordinate| coordinate as u32))
    }
}

/// A coordinate that is so far outside that it may as well be nearer, so that sums and products do not overflow.
fn at_most_far(coordinate: i64) -> i64 {
    coordinate.clamp(-1 << 60, 1 << 60)
}

/// The columns whose coordinate, `start` and a `step` more for each, is inside an image of `size`.
#[inline(always)]
fn inside(start: i64, step: i64, size: usize) -> Range<usize> {
    let end = size as i64 * ONE;
    let (start, step) = if step < 0 { (end - 1 - start, -step) } else { (start, step) };
    if step == 0 {
        return if (0..end).contains(&start) { 0..size } else { 0..0 };
    }
    // The first column that has reached a coordinate.
    let reach = |goal: i64| (-(start - goal).div_euclid(step)).clamp(0, size as i64) as usize;
    reach(0)..reach(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::ViewRng;

    fn moved(motion: Motion) -> Vec<u8> {
        let pixels: Vec<u8> = (1..=16).flat_map(|value| [value; 3]).collect();
        let mut view = Planes::of_interleaved(&pixels);
        let cpu = Cpu::best(Default::default());
        transform(cpu, &mut view, 4, &motion.matrix([2.0; 2]), &mut Vec::new(), &mut Vec::new());
        view.split()[0].to_vec()
    }

    /// The source of each pixel by itself, as Pillow looks for it: its number in the plane, if it is inside.
    fn sources(size: usize, Matrix([a, b, c, d, e, f]): &Matrix) -> Vec<Option<usize>> {
        let index = |[x, y]: [i128; 2]| {
            let inside = 0..size as i128;
            (inside.contains(&x) && inside.contains(&y)).then(|| y as usize * size + x as usize)
        };
        let pixels = (0..size).flat_map(|y| (0..size).map(move |x| [x, y]));
        if *b == 0.0 && *d == 0.0 {
            let added_up = |number: usize, scale: f64, offset: f64| {
                let at = (0..number).fold(offset + scale * 0.5, |at, _| at + scale);
                if at < 0.0 { -1 } else { at as i128 }
            };
            return pixels.map(|[x, y]| index([added_up(x, *a, *c), added_up(y, *e, *f)])).collect();
        }
        let fixed = |value: f64| i128::from((value * 65536.0 + 0.5).floor() as i64);
        let start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
        let (column, row) = ([fixed(*a), fixed(*d)], [fixed(*b), fixed(*e)]);
        let at = |[x, y]: [usize; 2], axis: usize| {
            (start[axis] + column[axis] * x as i128 + row[axis] * y as i128) >> 16
        };
        pixels.map(|pixel| index([at(pixel, 0), at(pixel, 1)])).collect()
    }

    #[test]
    fn every_pixel_comes_from_where_pillow_finds_it() {
        let mut rng = ViewRng::new(5, 0, 0, 0);
        let (mut scratch, mut copy) = (Vec::new(), Vec::new());
        for round in 0..4000 {
            let size = [1, 2, 3, 8, 17, 40][rng.below(6) as usize];
            // Powers of ten, from less than a 65536th to what no image has.
            let reach = 10f64.powi(rng.below(18) as i32 - 6);
            let mut matrix = [0; 6].map(|_| match rng.below(6) {
                0 => 0.0,
                1 => 1.0,
                2 => rng.uniform(-reach, reach),
                3 => rng.uniform(-4.0, 4.0).round(),
                _ => rng.uniform(-2.0, 2.0),
            });
            if round % 2 == 0 {
                // The middle of the view shows something.
                let half = size as f64 / 2.0;
                matrix[2] = half * (1.0 - matrix[0] - matrix[1]);
                matrix[5] = half * (1.0 - matrix[3] - matrix[4]);
            }
            let matrix = Matrix(matrix);
            let pixels: Vec<u8> = (0..3 * size * size).map(|_| 1 + rng.below(255) as u8).collect();
            for cpu in Cpu::all() {
                let mut view = Planes::of_interleaved(&pixels);
                let before = view.bytes().to_vec();
                transform(cpu, &mut view, size, &matrix, &mut scratch, &mut copy);
                for (plane, before) in view.split().into_iter().zip(before.chunks(size * size)) {
                    let sources = sources(size, &matrix);
                    let expected = sources.into_iter().map(|source| source.map_or(0, |at| before[at]));
                    assert!(plane.iter().copied().eq(expected), "{size} {matrix:?} {cpu:?}");
                }
            }
        }
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
