"""A ServerApp that a test drives, and a ClientApp that does what its messages say."""
