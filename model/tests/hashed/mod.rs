//! The values that `golden/make_golden.py` makes from names: the same functions in Rust.

/// splitmix64 of a name's FNV-1a hash and an index.
#[derive(Clone, Copy)]
pub(crate) struct Hashed {
    pub(crate) seed: u64,
}

impl Hashed {
    /// A parameter's or running statistic's initial values.
    pub(crate) fn initial(self, name: &str, shape: &[usize]) -> Vec<f32> {
        let n: usize = shape.iter().product();
        let u = self.uniform(name, n);
        let is = |end: &str| name.ends_with(end);
        if shape.len() > 1 {
            let fan_in: usize = shape[1..].iter().product();
            let bound = (6.0 / fan_in as f64).sqrt();
            u.map(|u| (u * bound) as f32).collect()
        } else if is("running_var") || is("weight") {
            u.map(|u| (1.0 + 0.2 * u) as f32).collect()
        } else if is("bias")
            && name.starts_with("encoder")
            && (!name.contains(".layer4.") || name.contains("bn1"))
        {
            u.zip(self.signs("channel", n)).map(|(u, sign)| (0.1 * u + 4.0 * sign) as f32).collect()
        } else {
            u.map(|u| (0.3 * u) as f32).collect()
        }
    }

    /// A batch of images, `batch x 3 x 32 x 32`: each has its own colour and coarse pattern, under some noise.
    pub(crate) fn images(self, view: &str, batch: usize) -> Vec<f32> {
        let colour: Vec<f64> = self.uniform(&format!("{view}.colour"), batch * 3).collect();
        let pattern: Vec<f64> = self.uniform(&format!("{view}.pattern"), batch * 3 * 16).collect();
        let noise = self.uniform(&format!("{view}.noise"), batch * 3 * 1024).enumerate();
        let pixel = |(i, noise): (usize, f64)| {
            let (plane, y, x) = (i / 1024, i / 32 % 32, i % 32);
            (2.0 * colour[plane] + pattern[plane * 16 + y / 8 * 4 + x / 8] + 0.25 * noise) as f32
        };
        noise.map(pixel).collect()
    }

    /// The places of a tensor's sampled elements.
    pub(crate) fn places(self, name: &str, samples: usize, len: usize) -> Vec<usize> {
        self.hashes(&format!("{name}.places"), samples).map(|hash| (hash % len as u64) as usize).collect()
    }

    /// The product with the name's signs.
    pub(crate) fn project(self, name: &str, values: &[f32]) -> f64 {
        values.iter().zip(self.signs(name, values.len())).map(|(value, sign)| f64::from(*value) * sign).sum()
    }

    fn signs(self, name: &str, n: usize) -> impl Iterator<Item = f64> + use<> {
        self.hashes(name, n).map(|hash| if hash >> 63 == 1 { 1.0 } else { -1.0 })
    }

    /// Values in `[-1, 1)`.
    fn uniform(self, name: &str, n: usize) -> impl Iterator<Item = f64> + use<> {
        self.hashes(name, n).map(|hash| (hash >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    }

    fn hashes(self, name: &str, n: usize) -> impl Iterator<Item = u64> + use<> {
        let name = format!("{}.{name}", self.seed);
        let start = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (1..=n as u64).map(move |i| {
            let z = start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }
}

/// The Euclidean norm.
pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}
