//! Trains SimSiam, self-supervised, straight from JPEG shards.
