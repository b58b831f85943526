"""Real Flower peers and our programs together, for the demo, the system tests and the bench."""
