"""From bytes to vectors: safe decoding, the one preprocessing, extractors, near-duplicates."""
