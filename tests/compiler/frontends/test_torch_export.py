"""Modules of PyTorch through torch.export: what the graph computes is what PyTorch computes, and it compiles.

They run where PyTorch is: `make torch`.
"""

import numpy as np
import pytest

import weft
from weft.compiler import frontends, reference
from weft.compiler.quantizer import quantise_graph
from weft.isa import WeftError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `make torch` installs it and runs these")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

pytestmark = pytest.mark.torch


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.first = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU6())
        self.second = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.down = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.head = nn.Linear(24, 10)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(x + self.second(self.first(x)))
        x = F.max_pool2d(self.down(x), 2)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class SqueezeExcite(nn.Module):
    """A block of a MobileNetV3: depthwise, with a gate a channel."""

    def __init__(self):
        super().__init__()
        self.widen, self.depthwise = nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 5, padding=2, stride=2, groups=24)
        self.reduce, self.expand = nn.Conv2d(24, 8, 1), nn.Conv2d(8, 24, 1)
        self.project = nn.Conv2d(24, 16, 1)

    def forward(self, x):
        x = F.hardswish(self.depthwise(F.silu(self.widen(x))))
        gate = F.hardsigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))))
        return F.leaky_relu(self.project(x * gate), 0.1)


class Transformer(nn.Module):
    """Patches, a position for each, two layers, the mean of all tokens."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        self.position = nn.Parameter(torch.randn(1, 16, 32) * 0.1)
        layer = {"nhead": 4, "dim_feedforward": 64, "batch_first": True, "dropout": 0.0}
        self.first = nn.TransformerEncoderLayer(32, activation="gelu", norm_first=True, **layer)
        self.second = nn.TransformerEncoderLayer(32, activation="relu", **layer)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.second(self.first(tokens)).mean(1)).softmax(-1)


class Upsampler(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ConvTranspose2d(
            8, 4, 3, stride=2, padding=1, output_padding=1
        )

    def forward(self, x):
        low = torch.tanh(self.down(x))
        near = F.interpolate(low, scale_factor=2)
        linear = F.interpolate(low, scale_factor=2, mode="bilinear")
        corners = F.interpolate(low, size=(12, 12), mode="bilinear", align_corners=True)
        return torch.cat([self.up(low), x, near, linear], 1), corners


class Sounds(nn.Module):
    """One spatial axis."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 8, 5, stride=2, padding=2), nn.Conv1d(8, 8, 3, dilation=2, groups=2)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.norm(self.first(x))), 2)
        return F.avg_pool1d(self.second(x), 2)


class Moves(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, 1)
        c = F.pad(a[:, :, 1:, ::2], (1, 0, 0, 2), value=0.5)
        d, e = torch.split(b, [1, 3], 1)
        first, *_ = b.unbind(2)
        stacked = torch.stack([first, x.select(2, -1)[:, :4]], 1)
        return (
            c.permute(0, 2, 3, 1),
            d * 2 - e.clamp(-0.5, 0.25),
            stacked.reshape(1, -1),
            x.sum(1) / 3,
            b.mean((2, 3)).unsqueeze(-1),
        )


class Functions(nn.Module):
    def forward(self, x):
        wide = F.gelu(x) + F.gelu(x, approximate="tanh") + F.log_softmax(x, 1) + F.hardtanh(x, -0.7, 0.2)
        narrow = torch.sigmoid(x) * torch.exp(-x.abs()) + (x * x + 1).sqrt().log() + torch.rsqrt(x ** 2 + 2) + torch.erf(x)
        return torch.maximum(wide, narrow), torch.minimum(wide, x), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


class Attention(nn.Module):
    def forward(self, x):
        mask = torch.zeros(6, 6).masked_fill(torch.ones(6, 6).triu(1) > 0, -1e9)
        by_mask = F.scaled_dot_product_attention(x, x * 2, x + 1, attn_mask=mask)
        allowed = torch.ones(6, 6).tril(2) > 0
        others = F.scaled_dot_product_attention(x, x, x, is_causal=True) * F.scaled_dot_product_attention(
            x, x, x, attn_mask=allowed
        )
        return by_mask - others + torch.addmm(torch.ones(4), torch.ones(6, 3), torch.ones(3, 4))


MODULES = {
    "residual": (Residual, (1, 3, 16, 16)),
    "squeeze and excite": (SqueezeExcite, (1, 8, 14, 14)),
    "transformer": (Transformer, (1, 3, 16, 16)),
    "upsampler": (Upsampler, (1, 4, 12, 12)),
    "one axis": (Sounds, (1, 4, 40)),
    "moves": (Moves, (1, 8, 6, 10)),
    "functions": (Functions, (1, 4, 9, 9)),
    "attention": (Attention, (1, 2, 6, 4)),
}


def module_of(name: str) -> tuple[nn.Module, torch.Tensor]:
    """In the state of one that has been trained: its batch norms have seen data."""
    kind, shape = MODULES[name]
    torch.manual_seed(0)
    module = kind()
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    return module.eval(), torch.randn(shape)


def outputs_of(module, x) -> list[np.ndarray]:
    with torch.no_grad():
        y = module(x)
    return [part.numpy() for part in (y if isinstance(y, tuple) else (y,))]


def assert_equal(graph, module, x):
    (name,) = graph.inputs
    ours = list(reference.run(graph, {name: x.numpy()}).values())
    theirs = outputs_of(module, x)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODULES)
def test_computes_what_pytorch_does(name):
    module, x = module_of(name)
    assert_equal(frontends.load((module, (x,))), module, x)


TAKEN_APART = {"transformer": "aten.eq.Scalar", "attention": "aten.eq.Scalar"}


@pytest.mark.parametrize("name", MODULES)
def test_a_program_of_core_operators(name):
    """Attention that PyTorch has taken apart holds comparisons, which are refused by name; as exported it is not."""
    module, x = module_of(name)
    program = torch.export.export(module, (x,)).run_decompositions()
    if name not in TAKEN_APART:
        assert_equal(frontends.load(program), module, x)
        return
    with pytest.raises(WeftError) as caught:
        frontends.load(program)
    assert caught.value.found == TAKEN_APART[name] and caught.value.rule == "an operator must be one that weft can import"


def test_a_file(tmp_path):
    module, x = module_of("residual")
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "net.pt2")
    graph = frontends.load(tmp_path / "net.pt2")
    assert graph.name == "net"
    assert_equal(graph, module, x)


def test_a_damaged_file(tmp_path):
    (tmp_path / "net.pt2").write_bytes(b"PK and no more")
    with pytest.raises(WeftError, match=r"model net\.pt2: the file must be one of torch\.export\.save, but found "):
        frontends.load(tmp_path / "net.pt2")


def test_quantised_here_and_compiled():
    module, x = module_of("residual")
    graph = frontends.load((module, (x,)))
    data = np.random.default_rng(0).standard_normal((64, 3, 16, 16)).astype(np.float32)
    model, report = quantise_graph(graph, {graph.inputs[0]: data[:48]})
    (output,) = report.outputs
    assert report.outputs[output] > 20
    compiled = weft.compile(frontends.onnx.load(model.SerializeToString(), "residual"))
    assert {o.op for o in compiled.operators if o.where == "host"} <= {"quantize", "dequantize"}
    real = outputs_of(module, torch.from_numpy(data[48:]))[0]
    noise = 0.0
    for image, expected in zip(data[48:], real, strict=True):
        outputs, run = compiled.run(image[None])
        assert run.bit_exact
        noise += ((next(iter(outputs.values())) - expected) ** 2).sum()
    assert noise < (real ** 2).sum() / 100


class Quantised(nn.Module):
    """As PyTorch's quantisers for export write it: int8 weights by channel, activations by tensor, biases in float."""

    def __init__(self, dtype=torch.uint8):
        super().__init__()
        rng, info = np.random.default_rng(1), torch.iinfo(dtype)
        self.limits, self.zero = (info.min, info.max, dtype), 131 if dtype == torch.uint8 else 3
        self.register_buffer("weight", torch.from_numpy(rng.integers(-127, 128, (16, 8, 3, 3)).astype(np.int8)))
        self.register_buffer("scales", torch.from_numpy(rng.uniform(0.002, 0.01, 16).astype(np.float32)))
        self.register_buffer("zeros", torch.zeros(16, dtype=torch.int64))
        self.register_buffer("head", torch.from_numpy(rng.integers(-127, 128, (5, 16)).astype(np.int8)))
        self.bias = nn.Parameter(torch.from_numpy(rng.standard_normal(16).astype(np.float32)))

    def between(self, x, scale, zero):
        q = torch.ops.quantized_decomposed
        stored = q.quantize_per_tensor(x, scale, zero, *self.limits)
        return q.dequantize_per_tensor(stored, scale, zero, *self.limits)

    def forward(self, x):
        q = torch.ops.quantized_decomposed
        weight = q.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        head = q.dequantize_per_tensor(self.head, 0.01, 0, -127, 127, torch.int8)
        x = self.between(x, 0.03, self.zero)
        x = self.between(F.relu(F.conv2d(x, weight, self.bias, padding=1)), 0.05, self.limits[0])
        x = self.between(x + self.between(F.max_pool2d(x, 3, 1, 1), 0.05, self.limits[0]), 0.09, self.limits[0])
        x = self.between(F.adaptive_avg_pool2d(x, 1), 0.04, self.limits[0]).flatten(1)
        return self.between(F.linear(x, head), 0.03, self.zero)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8], ids=str)
def test_quantised_by_pytorch(dtype):
    module, x = Quantised(dtype), torch.randn(1, 8, 12, 12)
    compiled = weft.compile((module, (x,)))
    assert {o.op for o in compiled.operators if o.where == "host"} <= {"quantize", "dequantize"}
    outputs, run = compiled.run(x.numpy())
    assert run.bit_exact
    assert np.abs(next(iter(outputs.values())) - outputs_of(module, x)[0]).max() <= 0.03 * 1.01  # one unit


def refusal(module, *inputs, **options) -> str:
    with pytest.raises(WeftError) as caught:
        frontends.load(torch.export.export(module.eval(), inputs, **options))
    return str(caught.value).partition("; try")[0]


class Applies(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_refusals():
    x = torch.randn(2, 4, 7, 7)
    assert (
        refusal(Applies(torch.sort), x)
        == "node 'sort' (aten.sort.default): an operator must be one that weft can import, but found aten.sort.default"
    )
    assert refusal(Applies(lambda x: F.adaptive_avg_pool2d(x, 3)), x) == (
        "node 'adaptive_avg_pool2d' (aten.adaptive_avg_pool2d.default): its output must divide its input, "
        "but found [7, 7] to [3, 3]"
    )
    assert refusal(Applies(lambda x: F.conv3d(x[None], torch.ones(1, 2, 1, 1, 1))), x) == (
        "node 'convolution' (aten.convolution.default): there must be one or two spatial axes, but found 3")
    assert refusal(Applies(lambda x: x.to(torch.bfloat16)), x).endswith(
        "a dtype must be one of float32, float64, float16, int8, uint8, int16, int32, int64, bool, but found bfloat16")
    found = refusal(Applies(torch.relu), x, dynamic_shapes={"x": {0: torch.export.Dim("batch", min=2, max=8)}})
    assert found.startswith("input 'x': its shape must be static, but found shape [s") and found.endswith(", 4, 7, 7]")


def test_training_is_refused():
    x = torch.randn(2, 4, 7, 7)
    program = torch.export.export(nn.BatchNorm2d(4).train(), (x,))
    with pytest.raises(WeftError) as caught:
        frontends.load(program)
    assert str(caught.value) == (
        "model program: a run must not change the module, but found outputs that update its buffers; "
        "try: to export module.eval()"
    )


def test_a_module_needs_its_inputs():
    with pytest.raises(WeftError) as caught:
        weft.compile(nn.ReLU())
    assert str(caught.value) == (
        "model ReLU: it must be a program of torch.export, or a pair with its inputs, but found an object "
        "without these; try: (module, example_inputs), a tuple of a tuple"
    )
