"""Handwritten digits, learnt by several parties with federated averaging."""
