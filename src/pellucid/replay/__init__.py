"""What to keep of old rows for a learner that forgets: arrays in, indices of rows out, sorted."""
