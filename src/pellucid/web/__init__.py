"""Pages for people: look, correct, and steer, in a browser."""
