//! Which of the processor's instructions are used: a choice for comparing them, for the bytes are always the same.

/// The instructions that decoding and augmentation use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instructions {
    /// The best that the processor has.
    #[default]
    Detected,
    /// Those of every processor of the target: the reference that the others are held against, byte for byte.
    Plain,
}
