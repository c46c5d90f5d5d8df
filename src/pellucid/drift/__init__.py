"""Whether the data have moved: detectors of streams, and tests of windows."""
