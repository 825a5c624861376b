"""A small residual network in NumPy, forward and backward.

    x [N, 1, 8, 8]
    a = relu(conv1(x))               3x3, 16 channels      [N, 16, 8, 8]
    b = relu(conv2(a))               3x3, stride 2         [N, 32, 4, 4]
    c = relu(conv3(b) + b)           3x3, residual         [N, 32, 4, 4]
    d = max_pool(c)                  2x2, stride 2         [N, 32, 2, 2]
    e = average over the map                               [N, 32]
    logits = dense(e)                                      [N, 10]
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Parameters = dict[str, np.ndarray]
STRIDES = {"conv1": 1, "conv2": 2, "conv3": 1}


def initial(rng: np.random.Generator) -> Parameters:
    """Weights [O, C, 3, 3] and [O, C] with He's deviation, biases 0; float32."""
    shapes = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "conv3": (32, 32, 3, 3), "dense": (10, 32)}
    parameters: Parameters = {}
    for name, shape in shapes.items():
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        parameters[f"{name}.weight"] = (rng.standard_normal(shape) * deviation).astype(np.float32)
        parameters[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return parameters


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """(y [N, O, H/stride, W/stride], columns that the backward pass needs); 3 by 3, padded by 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    n, c, h, w = windows.shape[:4]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)
    y = columns @ weight.reshape(len(weight), -1).T + bias
    return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2), columns


def conv_backward(grad: np.ndarray, columns: np.ndarray, weight: np.ndarray, shape, stride: int):
    """Gradients of (x, weight, bias)."""
    n, c, h, w = shape
    rows = grad.transpose(0, 2, 3, 1).reshape(-1, len(weight))
    weight_grad, bias_grad = (rows.T @ columns).reshape(weight.shape), rows.sum(0)
    taps = (rows @ weight.reshape(len(weight), -1)).reshape(n, grad.shape[2], grad.shape[3], c, 3, 3)
    x_grad = np.zeros((n, c, h + 2, w + 2), np.float32)
    for i in range(3):
        for j in range(3):
            x_grad[:, :, i:i + h:stride, j:j + w:stride] += taps[..., i, j].transpose(0, 3, 1, 2)
    return x_grad[:, :, 1:-1, 1:-1], weight_grad, bias_grad


def forward(p: Parameters, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor by the name that the drawing above gives it, and the columns of the convolutions."""
    t = {"x": x}

    def conv_of(name, source):
        y, t[f"{name}.columns"] = conv(source, p[f"{name}.weight"], p[f"{name}.bias"], STRIDES[name])
        return y

    t["a"] = np.maximum(conv_of("conv1", x), 0)
    t["b"] = np.maximum(conv_of("conv2", t["a"]), 0)
    t["c.conv"] = conv_of("conv3", t["b"])
    t["c"] = np.maximum(t["c.conv"] + t["b"], 0)
    n, c, h, w = t["c"].shape
    t["d"] = t["c"].reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    t["e"] = t["d"].mean((2, 3))
    t["logits"] = t["e"] @ p["dense.weight"].T + p["dense.bias"]
    return t


def backward(p: Parameters, t: dict[str, np.ndarray], grad: np.ndarray) -> Parameters:
    """The gradients of all parameters, from the gradient of the logits."""
    grads = {"dense.weight": grad.T @ t["e"], "dense.bias": grad.sum(0)}
    e = grad @ p["dense.weight"]
    spread = np.repeat(np.repeat(t["d"], 2, 2), 2, 3) == t["c"]
    c = np.where(spread & (t["c"] > 0), e[:, :, None, None] / 4, 0).astype(np.float32)
    b, grads["conv3.weight"], grads["conv3.bias"] = conv_backward(c, t["conv3.columns"], p["conv3.weight"], t["b"].shape, 1)
    b = np.where(t["b"] > 0, b + c, 0)
    a, grads["conv2.weight"], grads["conv2.bias"] = conv_backward(b, t["conv2.columns"], p["conv2.weight"], t["a"].shape, 2)
    a = np.where(t["a"] > 0, a, 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv_backward(a, t["conv1.columns"], p["conv1.weight"], t["x"].shape, 1)
    return grads


def accuracy(p: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    return float((forward(p, x)["logits"].argmax(1) == y).mean())
