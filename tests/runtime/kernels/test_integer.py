"""Every operator that the accelerator can do, against its definition written as loops."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.isa.quantise import pack_lanes, requantise, unpack_lanes
from weft.runtime.kernels import KERNELS

SMALL = st.integers(1, 4)
MULTIPLIER = st.integers(-32768, 32767)


def lanes_for(rng, channels):
    low = rng.integers(-128, 0, channels)
    return pack_lanes(rng.integers(-5000, 5000, channels), rng.integers(1, 1 << 17, channels),
                      rng.integers(20, 30, channels), rng.integers(-128, 128, channels), low,
                      low + rng.integers(1, 128, channels), rng.integers(0, 3, channels))


def int8(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def one(qnt, channel, acc):
    return requantise(acc, **{k: v[channel] for k, v in unpack_lanes(qnt).items()})


def window(x, n, c, i, j, kernel, strides, pads, dilations, fill):
    """The values under one window, as ((ki, kj), value)."""
    for ki, kj in itertools.product(range(kernel[0]), range(kernel[1])):
        h = i * strides[0] + ki * dilations[0] - pads[0]
        w = j * strides[1] + kj * dilations[1] - pads[1]
        inside = 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
        yield (ki, kj), int(x[n, c, h, w]) if inside else fill


def out_size(n, kernel, stride, before, after, dilation=1):
    return (n + before + after - (kernel - 1) * dilation - 1) // stride + 1


@st.composite
def windowed(draw):
    kernel, strides = (draw(SMALL), draw(SMALL)), (draw(SMALL), draw(SMALL))
    pads = tuple(draw(st.integers(0, k - 1)) for k in (*kernel, *kernel))
    dilations = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    size = tuple((k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilations, strict=True))
    return kernel, strides, pads, dilations, size, draw(st.integers(0, 2 ** 31))


@settings(max_examples=40, deadline=None)
@given(windowed(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_conv2d(case, groups, c_group, o_group, batch):
    kernel, strides, pads, dilations, (h, w), seed = case
    rng = np.random.default_rng(seed)
    x, weight = int8(rng, batch, groups * c_group, h, w), int8(rng, groups * o_group, c_group, *kernel)
    qnt, fill = lanes_for(rng, len(weight)), int(rng.integers(-128, 128))
    attrs = dict(strides=strides, pads=pads, dilations=dilations, groups=groups, pad_value=fill)
    (y,) = KERNELS["conv2d"](attrs, x, weight, qnt)
    oh = out_size(h, kernel[0], strides[0], pads[0], pads[2], dilations[0])
    ow = out_size(w, kernel[1], strides[1], pads[1], pads[3], dilations[1])
    assert y.shape == (batch, len(weight), oh, ow) and y.dtype == np.int8
    for n, o, i, j in np.ndindex(y.shape):
        acc = sum(value * int(weight[o, c, ki, kj]) for c in range(c_group) for (ki, kj), value in
                  window(x, n, o // o_group * c_group + c, i, j, kernel, strides, pads, dilations, fill))
        assert y[n, o, i, j] == one(qnt, o, acc)


def test_conv2d_is_exact_where_float32_is_not():
    x, w = np.full((1, 2048, 1, 1), -128, np.int8), np.full((1, 2048, 1, 1), -128, np.int8)
    x[0, 0], w[0, 0] = 1, 1
    qnt = pack_lanes([-2047 * 2 ** 14], 1, 0, 0, -128, 127)
    attrs = dict(strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), groups=1, pad_value=0)
    assert KERNELS["conv2d"](attrs, x, w, qnt)[0].item() == 1


@settings(max_examples=30, deadline=None)
@given(SMALL, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2 ** 31))
def test_dense(n, c, o, seed):
    rng = np.random.default_rng(seed)
    x, w, qnt = int8(rng, n, c), int8(rng, o, c), lanes_for(rng, o)
    (y,) = KERNELS["dense"]({}, x, w, qnt)
    for i, j in np.ndindex(y.shape):
        assert y[i, j] == one(qnt, j, sum(int(a) * int(b) for a, b in zip(x[i], w[j], strict=True)))
    np.testing.assert_array_equal(KERNELS["dense"]({}, x[:, :, None, None], w, qnt)[0], y)


@settings(max_examples=30, deadline=None)
@given(SMALL, st.integers(1, 40), st.integers(1, 20), st.integers(-128, 127), st.integers(0, 2 ** 31))
def test_product_bias_takes_the_zero_point_off(n, c, o, zero_point, seed):
    rng = np.random.default_rng(seed)
    x, w, qnt = int8(rng, n, c), int8(rng, o, c), lanes_for(rng, o)
    (lanes,) = KERNELS["product_bias"]({"zero_point": zero_point}, w, qnt)
    (y,) = KERNELS["dense"]({}, x, w, lanes)
    for i, j in np.ndindex(y.shape):
        assert y[i, j] == one(qnt, j, sum((int(a) - zero_point) * int(b) for a, b in zip(x[i], w[j], strict=True)))
    np.testing.assert_array_equal(KERNELS["product"]({"zero_point": zero_point}, x, w, qnt)[0], y)


@settings(max_examples=30, deadline=None)
@given(st.tuples(SMALL, SMALL, SMALL, SMALL), MULTIPLIER, MULTIPLIER, st.integers(0, 2 ** 31))
def test_add(shape, ma, mb, seed):
    rng = np.random.default_rng(seed)
    a, b, qnt = int8(rng, *shape), int8(rng, *shape), lanes_for(rng, shape[1])
    (y,) = KERNELS["add"]({"multipliers": (ma, mb)}, a, b, qnt)
    for at in np.ndindex(shape):
        assert y[at] == one(qnt, at[1], int(a[at]) * ma + int(b[at]) * mb)


@settings(max_examples=30, deadline=None)
@given(windowed(), SMALL, st.integers(-128, 0), st.integers(1, 127))
def test_max_pool(case, channels, minimum, maximum):
    kernel, strides, pads, _, (h, w), seed = case
    x = int8(np.random.default_rng(seed), 1, channels, h, w)
    attrs = dict(kernel=kernel, strides=strides, pads=pads, minimum=minimum, maximum=maximum)
    (y,) = KERNELS["max_pool"](attrs, x)
    for n, c, i, j in np.ndindex(y.shape):
        largest = max(v for _, v in window(x, n, c, i, j, kernel, strides, pads, (1, 1), -128))
        assert y[n, c, i, j] == min(max(largest, minimum), maximum)


@settings(max_examples=30, deadline=None)
@given(windowed(), SMALL, st.integers(-128, 127))
def test_avg_pool(case, channels, fill):
    kernel, strides, pads, _, (h, w), seed = case
    rng = np.random.default_rng(seed)
    x, qnt = int8(rng, 2, channels, h, w), lanes_for(rng, channels)
    (y,) = KERNELS["avg_pool"](dict(kernel=kernel, strides=strides, pads=pads, pad_value=fill), x, qnt)
    for n, c, i, j in np.ndindex(y.shape):
        assert y[n, c, i, j] == one(qnt, c, sum(v for _, v in window(x, n, c, i, j, kernel, strides, pads, (1, 1), fill)))


@settings(max_examples=30, deadline=None)
@given(st.lists(SMALL, min_size=2, max_size=4), st.integers(0, 2 ** 31))
def test_requantise(shape, seed):
    rng = np.random.default_rng(seed)
    x, qnt = int8(rng, *shape), lanes_for(rng, shape[1])
    (y,) = KERNELS["requantise"]({}, x, qnt)
    for at in np.ndindex(*shape):
        assert y[at] == one(qnt, at[1], int(x[at]))


def test_uint8_and_int8_are_128_apart():
    x = np.arange(256).astype(np.uint8)
    (y,) = KERNELS["uint8_to_int8"]({}, x)
    assert y.dtype == np.int8 and (y.astype(int) == x.astype(int) - 128).all()
    np.testing.assert_array_equal(KERNELS["int8_to_uint8"]({}, y)[0], x)


def test_quantize_rounds_ties_as_it_is_told():
    x = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 300, -300])
    attrs = dict(scale=1.0, zero_point=3, dtype="int8")
    assert KERNELS["quantize"](attrs, x)[0].tolist() == [1, 1, 3, 3, 5, 5, 5, 127, -128]
    assert KERNELS["quantize"]({**attrs, "rounding": "half_away"}, x)[0].tolist() == [0, 1, 2, 4, 5, 6, 5, 127, -128]


def test_dequantize_along_an_axis():
    (y,) = KERNELS["dequantize"](dict(scale=(0.5, 2.0), zero_point=(0, 1), axis=0), np.int8([[2, 4], [2, 4]]))
    assert y.dtype == np.float32 and y.tolist() == [[1, 2], [2, 6]]


@given(st.integers(1, 5), st.integers(0, 2 ** 31))
def test_mul(channels, seed):
    rng = np.random.default_rng(seed)
    a, b, qnt = int8(rng, 2, channels, 2, 3), int8(rng, 2, channels, 1, 1), lanes_for(rng, channels)
    za, zb = (int(z) for z in rng.integers(-128, 128, 2))
    (y,) = KERNELS["mul"]({"zero_points": (za, zb)}, a, b, qnt)
    for n, c, i, j in np.ndindex(a.shape):
        assert y[n, c, i, j] == one(qnt, c, (int(a[n, c, i, j]) - za) * (int(b[n, c, 0, 0]) - zb))


def test_lut():
    table = np.random.default_rng(0).integers(-128, 128, 256).astype(np.int8)
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8)
    (y,) = KERNELS["lut"]({}, x, table)
    assert y.shape == x.shape and all(y.reshape(-1)[k] == table[int(v) & 255] for k, v in enumerate(x.reshape(-1)))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2 ** 31))
def test_dense_of_several_parts(parts, outputs, depth, seed):
    rng = np.random.default_rng(seed)
    x, w, qnt = int8(rng, 2, depth), int8(rng, outputs, depth, parts, 1), lanes_for(rng, outputs)
    (y,) = KERNELS["dense"]({"parts": parts} if parts > 1 else {}, x, w if parts > 1 else w[:, :, 0, 0], qnt)
    for n, o in np.ndindex(y.shape):
        assert y[n, o] == one(qnt, o, sum(int(x[n, c]) * int(w[o, c, p, 0]) for c in range(depth) for p in range(parts)))
