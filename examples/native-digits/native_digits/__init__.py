"""Handwritten digits, learnt by a party in C and one in Python."""
