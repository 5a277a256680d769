//! The ten patterns, each as a signed distance: negative inside, positive outside, about 1 per cell.

use std::f32::consts::{PI, TAU};

use super::random::Random;

/// What an image shows. A class's number is its place in [`Class::ALL`], which is in alphabetical order of the
/// names, so that tools that number class folders in order of names agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Islands of a thresholded smooth noise.
    Blobs,
    /// A checkerboard.
    Checkers,
    /// Plus signs, scattered.
    Crosses,
    /// Discs, scattered.
    Dots,
    /// Concentric rings around a point in the image.
    Rings,
    /// Squares, scattered.
    Squares,
    /// Five-pointed stars, scattered.
    Stars,
    /// Straight parallel bars.
    Stripes,
    /// Equilateral triangles, scattered.
    Triangles,
    /// Parallel bars that undulate.
    Waves,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Class; 10] = [
        Class::Blobs,
        Class::Checkers,
        Class::Crosses,
        Class::Dots,
        Class::Rings,
        Class::Squares,
        Class::Stars,
        Class::Stripes,
        Class::Triangles,
        Class::Waves,
    ];

    /// The name of the class and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Class::Blobs => "blobs",
            Class::Checkers => "checkers",
            Class::Crosses => "crosses",
            Class::Dots => "dots",
            Class::Rings => "rings",
            Class::Squares => "squares",
            Class::Stars => "stars",
            Class::Stripes => "stripes",
            Class::Triangles => "triangles",
            Class::Waves => "waves",
        }
    }
}

/// A class's pattern with its random form: an infinite plane, in units of the pattern's period.
pub(super) struct Pattern {
    class: Class,
    /// Share of a period that is filled, or half a shape's width.
    fill: f32,
    /// Height and length of a wave.
    bend: (f32, f32),
    /// Random values that repeat every `TABLE` cells: positions and rotations of shapes, heights of blobs.
    table: Vec<f32>,
}

const TABLE: usize = 16;

impl Pattern {
    pub(super) fn draw(class: Class, random: &mut Random) -> Self {
        let fill = match class {
            Class::Stripes | Class::Waves | Class::Rings => random.range(0.35, 0.65),
            Class::Blobs => random.range(0.42, 0.58),
            Class::Dots => random.range(0.26, 0.36),
            _ => random.range(0.36, 0.46),
        };
        let bend = (random.range(0.30, 0.45), random.range(1.6, 2.4));
        let table = (0..3 * TABLE * TABLE).map(|_| random.unit()).collect();
        Self { class, fill, bend, table }
    }

    /// Signed distance from the point to the pattern's edge, in periods.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        match self.class {
            Class::Stripes => bars(x, self.fill),
            Class::Rings => bars(x.hypot(y), self.fill),
            Class::Waves => bars(x + self.bend.0 * (TAU * y / self.bend.1).sin(), self.fill) * 0.7,
            Class::Checkers => checkers(x, y),
            Class::Blobs => self.height(1.3 * x, 1.3 * y) - self.fill,
            Class::Crosses | Class::Dots | Class::Squares | Class::Stars | Class::Triangles => {
                self.scattered(x, y)
            }
        }
    }

    /// Distance to the nearest of the shapes, one to a cell, each moved and turned at random.
    fn scattered(&self, x: f32, y: f32) -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let mut nearest = f32::INFINITY;
        for dy in [-1.0, 0.0, 1.0] {
            for dx in [-1.0, 0.0, 1.0] {
                let cell = (column + dx, row + dy);
                let jitter = 0.3;
                let centre_x = cell.0 + 0.5 + jitter * (self.random(cell, 0) - 0.5);
                let centre_y = cell.1 + 0.5 + jitter * (self.random(cell, 1) - 0.5);
                let (sin, cos) = (TAU * self.random(cell, 2)).sin_cos();
                let (u, v) = (x - centre_x, y - centre_y);
                nearest = nearest.min(self.shape(cos * u - sin * v, sin * u + cos * v));
            }
        }
        nearest
    }

    /// Distance to this class's shape around the origin.
    fn shape(&self, x: f32, y: f32) -> f32 {
        let size = self.fill;
        match self.class {
            Class::Squares => x.abs().max(y.abs()) - 0.8 * size,
            Class::Crosses => {
                let (long, short) = (x.abs().max(y.abs()), x.abs().min(y.abs()));
                (long - 1.1 * size).max(short - 0.3 * size)
            }
            Class::Triangles => {
                let side = 0.866 * x.abs() + 0.5 * y;
                side.max(-y) - 0.62 * size
            }
            Class::Stars => star(x, y, 1.25 * size, 0.5 * size),
            _ => x.hypot(y) - size,
        }
    }

    /// Value noise in 0..1: random heights at whole coordinates, smoothly joined.
    fn height(&self, x: f32, y: f32) -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (tx, ty) = (smooth(x - column), smooth(y - row));
        let at = |dx, dy| self.random((column + dx, row + dy), 0);
        let top = at(0.0, 0.0) * (1.0 - tx) + at(1.0, 0.0) * tx;
        let bottom = at(0.0, 1.0) * (1.0 - tx) + at(1.0, 1.0) * tx;
        top * (1.0 - ty) + bottom * ty
    }

    /// The cell's random value of this kind (0, 1 or 2), in 0..1.
    fn random(&self, cell: (f32, f32), kind: usize) -> f32 {
        let wrap = |v: f32| v.rem_euclid(TABLE as f32) as usize % TABLE;
        self.table[(kind * TABLE + wrap(cell.1)) * TABLE + wrap(cell.0)]
    }
}

/// Bars of the given width, one to a unit.
fn bars(x: f32, width: f32) -> f32 {
    (x - x.floor() - 0.5).abs() - width / 2.0
}

/// Unit squares, two to a period.
fn checkers(x: f32, y: f32) -> f32 {
    let edge = |v: f32| 0.5 - (v - v.floor() - 0.5).abs();
    let inside = (x.floor() + y.floor()).rem_euclid(2.0) == 0.0;
    edge(x).min(edge(y)) * if inside { -1.0 } else { 1.0 }
}

/// A five-pointed star, folded onto the half of one point: a straight edge from its tip to the next notch.
fn star(x: f32, y: f32, tip: f32, notch: f32) -> f32 {
    let half = PI / 5.0;
    let angle = (y.atan2(x).rem_euclid(2.0 * half) - half).abs();
    let (radius, angle) = (x.hypot(y), half - angle);
    let (px, py) = (radius * angle.cos(), radius * angle.sin());
    let (edge_x, edge_y) = (notch * half.cos() - tip, notch * half.sin());
    ((px - tip) * edge_y - py * edge_x) / edge_x.hypot(edge_y)
}
