"""Events in and out: one contract, two transports."""
