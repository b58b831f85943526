"""Real Flower peers and our programs on this machine: for the demo, the system tests and the bench."""
