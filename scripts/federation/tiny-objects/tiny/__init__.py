"""An app that tells when it ran."""
