"""Sends messages to the nodes one after the other, and writes down what came back."""
