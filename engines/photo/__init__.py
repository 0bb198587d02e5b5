"""Photos as bytes and as pixels: decoding, encoding, colour, quality."""
