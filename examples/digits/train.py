"""Trains the digits network and writes digits_float.onnx and digits_int8.onnx beside this file. About half a minute.

    python -m examples.digits.train
"""

from pathlib import Path

import numpy as np
import onnx

from .data import load
from .export import float_model, int8_model
from .network import Parameters, accuracy, backward, forward, initial

EPOCHS, BATCH, RATE, SEED = 40, 64, 3e-3, 7
HERE = Path(__file__).parent


def softmax_gradient(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of the mean cross entropy."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    e /= e.sum(1, keepdims=True)
    e[np.arange(len(y)), y] -= 1
    return (e / len(y)).astype(np.float32)


class Adam:
    """Adam with its usual constants."""

    def __init__(self, parameters: Parameters):
        self.mean = {k: np.zeros_like(v) for k, v in parameters.items()}
        self.square = {k: np.zeros_like(v) for k, v in parameters.items()}
        self.steps = 0

    def step(self, parameters: Parameters, grads: Parameters, rate: float) -> None:
        self.steps += 1
        for name, grad in grads.items():
            self.mean[name] += 0.1 * (grad - self.mean[name])
            self.square[name] += 0.001 * (grad * grad - self.square[name])
            mean, square = self.mean[name] / (1 - 0.9 ** self.steps), self.square[name] / (1 - 0.999 ** self.steps)
            parameters[name] -= rate * mean / (np.sqrt(square) + 1e-8)


def train(x: np.ndarray, y: np.ndarray, seed: int = SEED, epochs: int = EPOCHS) -> Parameters:
    """Parameters after `epochs` rounds, with a rate that falls along a half cosine and images shifted by up to a pixel."""
    rng = np.random.default_rng(seed)
    parameters = initial(rng)
    adam = Adam(parameters)
    for epoch in range(epochs):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        for chosen in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
            shifted = np.roll(x[chosen], int(rng.integers(-1, 2)), 3)  # the outer columns are nearly empty
            tensors = forward(parameters, shifted)
            adam.step(parameters, backward(parameters, tensors, softmax_gradient(tensors["logits"], y[chosen])), rate)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: training accuracy {accuracy(parameters, x, y):.3f}")
    return parameters


def main() -> None:
    train_x, train_y, test_x, test_y = load()
    parameters = train(train_x, train_y)
    print(f"float test accuracy {accuracy(parameters, test_x, test_y):.4f}")
    onnx.save(float_model(parameters), HERE / "digits_float.onnx")
    onnx.save(int8_model(parameters, train_x), HERE / "digits_int8.onnx")


if __name__ == "__main__":
    main()
