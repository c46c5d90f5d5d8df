"""What is learnt from: images in, dataset versions out, cleaned, broken on purpose, looked at, exported."""
