//! PBM, PGM, PPM and PAM, as Pillow's PpmImagePlugin reads them (and PAM, which it does not read, by the same rules).

use super::super::{Color, DecodeError, ImageFormat, ImageInfo};

const FORMAT: ImageFormat = ImageFormat::Pnm;

/// Digits of a number at most, as in Pillow.
const MAX_DIGITS: usize = 10;

/// What the header says.
struct Header {
    width: u32,
    height: u32,
    /// 1 for gray, 2 with alpha, 3 for RGB, 4 with alpha.
    channels: usize,
    /// The greatest value of a sample; a bit's is 1.
    max: u32,
    samples: Samples,
}

/// How the samples are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Samples {
    /// A character each; 1 is black.
    PlainBits,
    /// Decimal numbers.
    Plain,
    /// Eight a byte, rows padded; 1 is black.
    Bits,
    /// A byte each, or two where the greatest value needs them.
    Raw,
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let Header { width, height, channels, max, samples } = Header::read(&mut Text { bytes, at: 0 })?;
    let color = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba][channels - 1];
    let bits = match (samples, max) {
        (Samples::Bits | Samples::PlainBits, _) => 1,
        (_, ..=255) => 8,
        _ => 16,
    };
    Ok(ImageInfo { format: FORMAT, width, height, color, bits, progressive: false })
}

pub(super) fn decode(bytes: &[u8], info: &ImageInfo, rgb: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut text = Text { bytes, at: 0 };
    let Header { channels, max, samples, .. } = Header::read(&mut text)?;
    let row = info.width as usize * channels;
    let row_bytes = match samples {
        Samples::Bits => row.div_ceil(8),
        Samples::Raw if max > 255 => 2 * row,
        // A number and what parts it from the next.
        Samples::Plain => 2 * row - 1,
        Samples::Raw | Samples::PlainBits => row,
    };
    let data = &bytes[text.at..];
    if data.len() / row_bytes.max(1) < info.height as usize {
        return Err(DecodeError::Truncated(FORMAT));
    }
    rgb.clear();
    rgb.reserve(super::rgb_len(info));
    // Gray of more than 8 bits holds numbers, not shades: Pillow scales them to 16 bits, and clips them at 255.
    let top = if channels == 1 && max > 255 { 65_535.0 } else { 255.0 };
    let scale = |value: u32| (f64::from(value) / f64::from(max) * top).round_ties_even().min(255.0) as u8;
    let scaled: Vec<u8> = (0..=max).map(scale).collect();
    let mut pixel = [0; 4];
    for y in 0..info.height as usize {
        for sample in 0..row {
            let value = match samples {
                Samples::Bits => u32::from(!data[y * row_bytes + sample / 8] >> (7 - sample % 8) & 1),
                Samples::Raw if max > 255 => {
                    let at = y * row_bytes + 2 * sample;
                    u32::from(u16::from_be_bytes([data[at], data[at + 1]]))
                }
                Samples::Raw => u32::from(data[y * row_bytes + sample]),
                Samples::PlainBits => text.bit()?,
                Samples::Plain => text.sample(max)?,
            };
            let channel = sample % channels;
            pixel[channel] = scaled.get(value as usize).copied().unwrap_or(255);
            if channel + 1 == channels {
                rgb.extend(if channels > 2 { [pixel[0], pixel[1], pixel[2]] } else { [pixel[0]; 3] });
            }
        }
    }
    Ok(())
}

impl Header {
    fn read(text: &mut Text<'_>) -> Result<Header, DecodeError> {
        let kind = text.bytes.get(1).copied().ok_or(DecodeError::Truncated(FORMAT))?;
        text.at = 2;
        if kind == b'7' {
            return Header::read_pam(text);
        }
        let (channels, samples) = match kind {
            b'1' => (1, Samples::PlainBits),
            b'2' => (1, Samples::Plain),
            b'3' => (3, Samples::Plain),
            b'4' => (1, Samples::Bits),
            b'5' => (1, Samples::Raw),
            _ => (3, Samples::Raw),
        };
        let (width, height) = (text.number()?, text.number()?);
        let max = if matches!(samples, Samples::Bits | Samples::PlainBits) { 1 } else { text.number()? };
        Header { width, height, channels, max, samples }.checked()
    }

    /// Lines of a name and a value, up to `ENDHDR`.
    fn read_pam(text: &mut Text<'_>) -> Result<Header, DecodeError> {
        let [mut width, mut height, mut depth, mut max] = [None; 4];
        loop {
            match text.word()? {
                b"ENDHDR" => break,
                b"WIDTH" => width = Some(text.number()?),
                b"HEIGHT" => height = Some(text.number()?),
                b"DEPTH" => depth = Some(text.number()?),
                b"MAXVAL" => max = Some(text.number()?),
                b"TUPLTYPE" => match text.word()? {
                    b"BLACKANDWHITE" | b"GRAYSCALE" | b"RGB" => {}
                    b"BLACKANDWHITE_ALPHA" | b"GRAYSCALE_ALPHA" | b"RGB_ALPHA" => {}
                    other => return Err(unsupported(format!("tuples of type {}", other.escape_ascii()))),
                },
                other => return Err(malformed(format!("header line {}", other.escape_ascii()))),
            }
        }
        let given = |value: Option<u32>, name| value.ok_or_else(|| malformed(format!("no {name}")));
        let channels = match given(depth, "DEPTH")? {
            depth @ 1..=4 => depth as usize,
            depth => return Err(unsupported(format!("{depth} channels"))),
        };
        let (width, height) = (given(width, "WIDTH")?, given(height, "HEIGHT")?);
        Header { width, height, channels, max: given(max, "MAXVAL")?, samples: Samples::Raw }.checked()
    }

    fn checked(self) -> Result<Header, DecodeError> {
        match self.max {
            1..=65_535 => Ok(self),
            max => Err(malformed(format!("greatest value {max}, which must be 1 to 65535"))),
        }
    }
}

/// Words and numbers with white space between, and comments from `#` to the end of the line.
struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    fn next(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(DecodeError::Truncated(FORMAT))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is neither white space nor in a comment.
    fn visible(&mut self) -> Result<u8, DecodeError> {
        loop {
            match self.next()? {
                b'#' => while !matches!(self.next()?, b'\n' | b'\r') {},
                byte if is_space(byte) => {}
                byte => return Ok(byte),
            }
        }
    }

    /// A word, and the one byte of white space behind it.
    fn word(&mut self) -> Result<&'a [u8], DecodeError> {
        self.visible()?;
        let start = self.at - 1;
        while self.bytes.get(self.at).is_some_and(|&byte| !is_space(byte) && byte != b'#') {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        match self.bytes.get(self.at) {
            Some(b'#') => while !matches!(self.next()?, b'\n' | b'\r') {},
            Some(_) => self.at += 1,
            None => {}
        }
        Ok(word)
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        let word = self.word()?;
        let digits =
            Some(word).filter(|word| word.len() <= MAX_DIGITS && word.iter().all(u8::is_ascii_digit));
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        number.ok_or_else(|| {
            malformed(format!("{} where a number belongs", word[..word.len().min(20)].escape_ascii()))
        })
    }

    fn sample(&mut self, max: u32) -> Result<u32, DecodeError> {
        match self.number()? {
            value if value <= max => Ok(value),
            value => Err(malformed(format!("a sample of {value}, more than {max}"))),
        }
    }

    fn bit(&mut self) -> Result<u32, DecodeError> {
        match self.visible()? {
            b'0' => Ok(1),
            b'1' => Ok(0),
            other => Err(malformed(format!("{} where 0 or 1 belongs", other.escape_ascii()))),
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn malformed(reason: String) -> DecodeError {
    DecodeError::Malformed { format: FORMAT, reason }
}

fn unsupported(reason: String) -> DecodeError {
    DecodeError::Unsupported { format: FORMAT, reason }
}
