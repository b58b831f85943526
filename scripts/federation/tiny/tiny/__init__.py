"""An app that tells when it ran, or sits until it is killed."""
