"""An app that imports torch, as most do, and tells when it ran."""
