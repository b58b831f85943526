"""Federated averaging on numbers that can be checked by hand."""
