"""The steps of a library, taken one by one over bytes, do what the executor does with arrays."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from weft.export import steps
from weft.export.steps import CONSTANTS, FIRST, SCRATCH, Plan, Step, inside, merged, weight_parts
from weft.isa import DEFAULT, PRESETS, Config, WeftError
from weft.runtime.kernels.view import rearrange
from weft.runtime.layout import GatherAxis, activation_shape, gather, pack_activation, pack_weight, unpack_activation, weight_shape
from weft.runtime.module import CpuFunction, Launch, Module, Operator, TensorInfo

SEEDS = st.integers(0, 2**32 - 1)
WIDE = PRESETS["2x16x16"]


def take(plan: Plan, inputs: list[np.ndarray], written: dict[int, bytes], read: dict[int, bytes]) -> list[np.ndarray]:
    """What C does, one byte after the other. written: what the device got, by address; read: what it answers."""
    module = plan.module
    outputs = [np.full(module.tensors[n].shape, 85, module.tensors[n].dtype) for n in module.outputs]
    places = {SCRATCH: np.full(plan.scratch, 170, np.uint8), CONSTANTS: np.frombuffer(bytes(plan.constants), np.uint8)}
    places |= {FIRST + k: a.reshape(-1).view(np.uint8) for k, a in enumerate([*map(np.ascontiguousarray, inputs), *outputs])}
    for step in plan.steps:
        base, start = step.place
        here = places[base][start:start + step.size]
        if step.kind == steps.FILL:
            here[:] = step.number
        elif step.kind == steps.WRITE:
            written[step.number] = here.tobytes()
        elif step.kind == steps.READ:
            here[:] = np.frombuffer(read[step.number], np.uint8)
        elif step.kind == steps.COPY:
            for copy in plan.copies[step.number:step.number + step.size]:
                for turn in itertools.product(*(range(n) for n, _, _ in copy.loops)):
                    to, source = (sum(t * loop[side] for t, loop in zip(turn, copy.loops)) for side in (1, 2))
                    a, b = copy.to[1] + to, copy.source[1] + source
                    places[copy.to[0]][a:a + copy.item] = places[copy.source[0]][b:b + copy.item] ^ copy.flip
    return outputs


def module_of(shape: tuple[int, ...], views: tuple, accel: Operator | None, out: tuple[int, ...], *, config: Config = DEFAULT,
              dtypes: tuple[str, str] = ("int8", "int8")) -> Module:
    """A module that takes x, sees it by `views` as `seen`, and has the accelerator make y of that."""
    operators = [Operator("v", "view", ("x",), ("seen",), {"steps": views}, "view")] + ([accel] if accel else [])
    tensors = {"x": TensorInfo(shape, dtypes[0]), "seen": TensorInfo(out, dtypes[1]), "y": TensorInfo(out, "int8")}
    launches = [Launch((1,), 4096, 1, np.zeros(1, np.int32))] if accel else []
    return Module("m", config, tensors, operators, launches, {}, np.zeros(64, np.uint8), 8192, {"seen": 256, "y": 512}, ["x"],
                  ["y" if accel else "seen"])


def random_views(rng, shape: tuple[int, ...], steps_: int) -> tuple[tuple, tuple[int, ...]]:
    """(steps of a view, shape afterwards); the last is of four axes."""
    views = []
    for _ in range(steps_):
        kind = rng.integers(0, 3)
        if kind == 0:
            perm = tuple(int(k) for k in rng.permutation(len(shape)))
            views.append(("transpose", perm))
            shape = tuple(shape[k] for k in perm)
        elif kind == 1:
            size, new = math.prod(shape), []
            for _ in range(3):
                new.append(int(rng.choice([d for d in range(1, size + 1) if size % d == 0])))
                size //= new[-1]
            shape = (*new, size)
            views.append(("reshape", shape))
        else:
            views.append(("flip",))
    return tuple(views), shape


def values(rng, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("config", [DEFAULT, WIDE], ids=lambda c: c.name)
@given(seed=SEEDS)
def test_views_are_packed(config, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 6, 4)) if rng.integers(2) else (1, int(rng.integers(1, 40)), 2, 3)
    views, out = random_views(rng, shape, int(rng.integers(0, 4)))
    x = values(rng, shape)
    seen = rearrange(x, views)
    module = module_of(shape, views, Operator("r", "relu", ("seen",), ("y",), {}, "accel"), out, config=config, dtypes=("int8", str(seen.dtype)))
    made, written = values(rng, activation_shape(out, config)), {}
    y, = take(steps.plan(module), [x], written, {512: made.tobytes()})
    assert written == {256: pack_activation(seen.view(np.int8) if seen.dtype == np.uint8 else seen, config).tobytes()}
    assert np.array_equal(y, unpack_activation(made, out, config))


@given(seed=SEEDS)
def test_views_of_any_dtype_as_outputs(seed):
    rng = np.random.default_rng(seed)
    views, out = random_views(rng, (2, 3, 4), 4)
    views = tuple(v for v in views if v[0] != "flip")
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    module = module_of(x.shape, views, None, out, dtypes=("float32", "float32"))
    assert np.array_equal(take(steps.plan(module), [x], {}, {})[0], rearrange(x, views))


@given(seed=SEEDS)
def test_gathered(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 7, 4))
    axes = tuple(tuple(int(n) for n in (rng.integers(1, 4), rng.integers(1, 3), rng.integers(1, 3), rng.integers(-2, 2), rng.integers(1, 8)))
                 for _ in range(2))
    conv = Operator("c", "conv2d", ("seen", "w", "q"), ("y",), {"gather": axes, "pad_value": int(rng.integers(-128, 128))}, "accel")
    module = module_of(shape, (), conv, shape)
    module.constants.update(w=np.zeros(1), q=np.zeros(1))
    x, written = values(rng, shape), {}
    take(steps.plan(module), [x], written, {512: bytes(math.prod(activation_shape(shape, DEFAULT)))})
    assert written[256] == pack_activation(gather(x, axes, conv.attrs["pad_value"]), DEFAULT).tobytes()


@given(o=st.integers(1, 40), c=st.integers(1, 40), seed=SEEDS)
def test_computed_weights(o, c, seed):
    dense = Operator("d", "dense", ("a", "seen", "q"), ("y",), {}, "accel")
    module = module_of((o, c), (), dense, (o, c))
    module.constants.update(a=np.zeros(1), q=np.zeros(1))
    x, written = values(np.random.default_rng(seed), (o, c)), {}
    take(steps.plan(module), [x], written, {512: bytes(math.prod(activation_shape((o, c), DEFAULT)))})
    assert written[256] == pack_weight(x, DEFAULT).tobytes()


@given(shape=st.tuples(*[st.integers(1, 35)] * 2, *[st.integers(1, 3)] * 2))
def test_weight_parts_are_pack_weight(shape):
    w = np.arange(math.prod(shape)).astype(np.int8).reshape(shape)
    packed = np.zeros(weight_shape(shape, DEFAULT), np.int8)
    for part, place in weight_parts(packed, w):
        place[...] = part
    assert np.array_equal(packed, pack_weight(w, DEFAULT))


@given(parts=st.integers(1, 4), step=st.integers(1, 3), apart=st.integers(1, 3), first=st.integers(-9, 9), size=st.integers(1, 9),
       image=st.integers(1, 9))
def test_inside(parts, step, apart, first, size, image):
    axis = GatherAxis(parts, step, apart, first, size)
    for part in range(parts):
        to, source = inside(axis, part, image)
        expected = [(q, r) for q, r in enumerate(axis.rows()[part].tolist()) if 0 <= r < image]
        assert list(zip(range(size)[to], range(image)[source])) == expected


def test_merged():
    assert merged([(2, 12, 24), (3, 4, 8), (1, 9, 9), (4, 1, 2)], 1) == ((24, 1, 2),)
    assert merged([(2, 12, 6), (3, 4, 8)], 1) == ((2, 12, 6), (3, 4, 8))
    assert merged([(1, 5, 5)], 4) == ((1, 4, 4),)


def test_functions_work_in_the_caller_s_arrays_where_they_can():
    f = Operator("f", "f", ("x",), ("y", "h"), {}, "cpu")
    tensors = {"x": TensorInfo((2, 3), "float32"), "y": TensorInfo((2, 3), "float32"), "h": TensorInfo((4,), "int8"), "z": TensorInfo((4,), "uint8")}
    function = CpuFunction((0,), "main_0", ("x",), ("y", "h"), 64, np.zeros(4, np.uint8), np.zeros(1, np.int32))
    view = Operator("v", "view", ("h",), ("z",), {"steps": (("flip",),)}, "view")
    module = Module("m", DEFAULT, tensors, [f, view], [], {}, np.zeros(0, np.uint8), 0, {}, ["x"], ["y", "z"], functions=[function])
    plan = steps.plan(module)
    assert plan.calls == [[(FIRST, 0), (FIRST + 1, 0), (SCRATCH, 0)]]
    assert plan.steps == [Step(steps.CALL, 0), Step(steps.COPY, 0, 1)]
    assert plan.copies == [steps.Copy((FIRST + 2, 0), (SCRATCH, 0), 1, 128, ((4, 1, 1),))]


@pytest.mark.parametrize("where", ["host", "gpu"])
def test_operators_elsewhere_are_refused_by_name(where):
    soft = Operator("probabilities", "softmax", ("x",), ("y",), {}, where, "not on the accelerator")
    tensors = {"x": TensorInfo((2, 3), "float32"), "y": TensorInfo((2, 3), "float32")}
    module = Module("m", DEFAULT, tensors, [soft], [], {}, np.zeros(0, np.uint8), 0, {}, ["x"], ["y"])
    with pytest.raises(WeftError) as caught:
        steps.plan(module)
    assert str(caught.value) == (
        f"module 'm': in a library for C each operator runs on the accelerator or the CPU, compiled, but found probabilities (softmax, {where}); try: "
        "`weft compile --target accel,cpu`; `weft import` says why what is left stays on the host, by NumPy")
