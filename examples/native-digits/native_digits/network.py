"""A small neural network: 64 pixels, 32 hidden units (ReLU), 10 digits (softmax). digits.c is the
same in C."""

from collections import OrderedDict

import numpy as np
from flwr.app import Array

PIXELS, HIDDEN, DIGITS = 64, 32, 10
BATCH = 16
NAMES = ("hidden.weight", "hidden.bias", "out.weight", "out.bias")


def first_weights():
    """Weights to begin with, as an ArrayRecord takes them."""
    random = np.random.default_rng(7)
    hidden = random.normal(0, np.sqrt(2 / PIXELS), (PIXELS, HIDDEN))
    out = random.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, DIGITS))
    return as_arrays([hidden, np.zeros(HIDDEN), out, np.zeros(DIGITS)])


def as_arrays(weights):
    return OrderedDict(
        (name, Array(np.asarray(weight, np.float32))) for name, weight in zip(NAMES, weights)
    )


def forward(weights, pixels):
    """(hidden units, probability of each digit)"""
    hidden = np.maximum(pixels @ weights[0] + weights[1], 0)
    scores = hidden @ weights[2] + weights[3]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)


def train(weights, pixels, labels, epochs, lr):
    """Stochastic gradient descent, in place."""
    random = np.random.default_rng(1)
    for _ in range(epochs):
        order = random.permutation(len(labels))
        for at in range(0, len(labels), BATCH):
            batch = order[at : at + BATCH]
            x = pixels[batch]
            hidden, error = forward(weights, x)
            error[np.arange(len(batch)), labels[batch]] -= 1
            error /= len(batch)
            back = (error @ weights[2].T) * (hidden > 0)
            weights[2] -= lr * hidden.T @ error
            weights[3] -= lr * error.sum(axis=0)
            weights[0] -= lr * x.T @ back
            weights[1] -= lr * back.sum(axis=0)


def evaluate(weights, pixels, labels):
    """(mean loss, accuracy)"""
    _, chances = forward(weights, pixels)
    loss = -np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-7)).mean()
    return float(loss), float((chances.argmax(axis=1) == labels).mean())
