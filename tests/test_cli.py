"""The command line, as a user types it."""

import json
import re
import sys

import numpy as np
import pytest

from tests.conformance import FOLDER
from tests.conftest import ROOT
from weft.cli import main


@pytest.fixture
def weft(capsys, monkeypatch):
    """Runs `weft ...`; returns (status, stdout, stderr)."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["weft", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()
    return call


def test_config_lists_presets_and_sizes(weft):
    assert weft("config")[1].split() == ["default", "1x8x8", "1x32x32", "2x16x16"]
    status, out, _ = weft("config", "1x8x8")
    assert status == 0 and "fingerprint" in out and "uop_bgn" in out
    sizes = json.loads(weft("config", "default", "--json")[1])
    assert sizes["sizes"]["wgt"] == {"element_bytes": 256, "elements": 1024, "bytes": 262144}


def test_conform_json(weft, tmp_path):
    for name in ("000_single_gemm_00.npz", "b1k8s_000_single_gemm_00.npz", "index.json", "index_b1k8s.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    status, out, _ = weft("conform", tmp_path, "--device", "functional", "--json")
    assert status == 0 and json.loads(out) == {"passed": 2, "failed": 0, "failures": [], "cycles": None, "cycles_per_second": None,
                                               "device": "functional", "against": None, "instructions": 0, "seconds": json.loads(out)["seconds"]}


def test_conform_against_compares_cycles(weft, tmp_path):
    for name in ("000_single_gemm_00.npz", "b1k8s_000_single_gemm_00.npz", "index.json", "index_b1k8s.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    status, out, _ = weft("conform", tmp_path, "--device", "timing", "--against", "rtl", "--json")
    found = json.loads(out)
    assert status == 0 and (found["passed"], found["failed"], found["device"], found["against"]) == (2, 0, "timing", "rtl")
    assert found["instructions"] == 25 and found["cycles"] > 400


def test_conform_fails_on_a_wrong_byte(weft, tmp_path):
    with np.load(FOLDER / "000_single_gemm_00.npz") as arrays:
        changed = dict(arrays)
    changed["dram_after"] = changed["dram_after"].copy()
    changed["dram_after"][5] ^= 1
    np.savez(tmp_path / "p.npz", **changed)
    status, out, _ = weft("conform", tmp_path, "--json")
    assert status == 1 and json.loads(out)["failures"][0]["name"] == "p"
    assert re.fullmatch(r"1 of \d+ bytes differ, first at 0x1005: 0x.. instead of 0x..", json.loads(out)["failures"][0]["difference"])


def test_disasm_asm_check(weft, tmp_path):
    source, program = tmp_path / "p.s", tmp_path / "p.npz"
    assert weft("disasm", FOLDER / "042_conv2d_04.npz", "-o", source)[0] == 0
    assert weft("asm", source, "-o", program)[0] == 0
    with np.load(program) as new, np.load(FOLDER / "042_conv2d_04.npz") as old:
        assert all(np.array_equal(new[k], old[k]) for k in ("insns", "dram_before", "dram_after"))
    status, out, _ = weft("check", program, "--json")
    assert status == 0 and json.loads(out)["errors"] == 0
    source.write_text(source.read_text().replace("pop_prev", "", 1))
    weft("asm", source, "-o", program)
    status, out, _ = weft("check", program)
    assert status == 1 and "error: " in out


def test_quantize(weft, tmp_path):
    model, data, made = ROOT / "examples" / "digits" / "digits_float.onnx", tmp_path / "digits.npz", tmp_path / "int8.onnx"
    np.savez(data, image=np.random.default_rng(0).uniform(size=(8, 1, 8, 8)))
    status, out, _ = weft("quantize", model, "--data", data, "-o", made, "--ranges", "percentile", "--percentile", "99.9", "--equalise", "--json")
    report = json.loads(out)
    assert status == 0 and (report["ranges"], report["samples"], report["equalised_pairs"]) == ("percentile 99.9", 8, 1)
    assert [layer["name"] for layer in report["layers"] if layer["op"] == "Conv"] == ["conv1", "conv2", "conv3"]
    status, out, _ = weft("quantize", model, "--data", data, "-o", made, "--no-bias-correction", "--samples", "4")
    text = " ".join(out.split())  # the terminal of tests is narrow
    assert status == 0 and "ranges by minmax of 4 samples, no bias correction" in text and "8 operators in int8; in real numbers: none" in text
    status, out, _ = weft("compile", made, "-o", tmp_path / "digits.weft")
    assert status == 0 and re.search(r"activations: [\d,]+ bytes at their peak, no plan takes less than [\d,]+$", " ".join(out.split()))
    before = made.read_bytes()
    message = "weft: refused: model int8: it must be a float network, but found node 'image.quantize' (quantize), already quantised\n" \
              "try: the float model that it was made from\n"
    assert weft("quantize", made, "--data", data, "-o", made) == (1, "", message)
    assert made.read_bytes() == before and {path.name for path in tmp_path.iterdir()} == {"digits.npz", "int8.onnx", "digits.weft"}


DIGITS = FOLDER.parents[1] / "examples" / "digits" / "digits_int8.onnx"


def test_import_says_what_would_run_where(weft):
    status, text, _ = weft("import", DIGITS, "--json")
    placed = json.loads(text)
    assert status == 0 and (placed["model"], placed["config"]) == ("digits_int8", "default")
    assert placed["inputs"] == [{"name": "image", "shape": [1, 1, 8, 8], "dtype": "float32", "scale": None, "zero_point": None}]
    on_cpu = {o["op"]: o["reason"] for o in placed["operators"] if o["where"] == "cpu"}
    assert on_cpu == {"quantize": "makes int8 of real numbers", "dequantize": "makes real numbers of int8"}
    assert placed["macs"] == sum(o["macs"] for o in placed["operators"] if o["where"] == "accel") > 0
    status, text, _ = weft("import", DIGITS)
    total = len(placed["operators"])
    assert status == 0 and text.endswith(f"\n{total - 2} of {total} operators and {placed['macs']:,} of {placed['macs']:,} MACs "
                                         f"on the accelerator\n2 of {total} operators and 0 of {placed['macs']:,} MACs on the CPU, compiled\n")


@pytest.mark.parametrize("arguments, message", [
    (("import", "/no/such.onnx"), "weft: refused: model such.onnx: a model must be a file that can be read, but found No such file or "
                                  "directory\ntry: to check the path\n"),
    (("conform", "/no/such"), "weft: refused: folder /no/such: raw programs are read from a folder, but found no such folder\ntry: a path to .npz files\n"),
    (("conform", FOLDER, "--device", "gpu"), "weft: refused: device 'gpu': a device is one of functional, reference, rtl, timing, but found 'gpu'\ntry: one of these names\n"),
    (("conform", FOLDER, "--device", "timing", "--against", "functional"),
     "weft: refused: device 'functional': it has no clock, so it has no cycles to compare, but found --device timing --against functional\n"
     "try: --device timing --against rtl\n"),
    (("conform", FOLDER, "--latency", "3"), "weft: refused: device 'functional': it has no clock, so no DRAM timing, but found latency\ntry: --device timing or rtl\n"),
    (("config", "nope"), "weft: refused: config 'nope': a config is a preset (default, 1x8x8, 1x32x32, 2x16x16) or a TOML file, but found neither\n"
                         "try: `weft config` to list the presets\n"),
    (("run", "/no/such.weft", "x.npy"), "weft: refused: module /no/such.weft: a module file must be readable, but found No such file or directory\n"
                                        "try: `weft compile MODEL -o FILE.weft`\n"),
    (("asm", "/no/such.s", "-o", "p.npz"), "weft: refused: assembly /no/such.s: a source is a text file, but found [Errno 2] No such file or directory: '/no/such.s'\n"
                                           "try: `weft disasm` to see one\n"),
])
def test_refusals_are_one_message_and_status_1(weft, arguments, message):
    status, out, err = weft(*arguments)
    assert (status, out, err) == (1, "", message)


def test_compiling_for_a_gpu_says_what_proved_it_and_running_without_one_what_is_missing(weft, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda", None)
    status, text, _ = weft("compile", DIGITS, "-o", tmp_path / "d.weft", "--target", "gpu")
    assert status == 0 and re.search(r"PTX of \d+ kernels for sm_80 and later GPUs, "
                                     r"(accepted by ptxas for sm_80, sm_90|with no ptxas on PATH to prove it)\n$", text)
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    status, text, error = weft("run", tmp_path / "d.weft", tmp_path / "x.npy")
    assert (status, text) == (1, "") and re.fullmatch(
        r"weft: refused: module 'digits_int8': its operators on the GPU need an NVIDIA GPU, but found no bindings of the CUDA driver "
        r"\((ptxas accepted its \d+ kernels for sm_80, sm_90|no ptxas has seen its \d+ kernels)\)\n"
        r"try: pip install 'weft\[gpu\]', and a machine with an NVIDIA GPU and its driver; `--target accel,cpu` needs none\n", error)
    status, text, _ = weft("import", DIGITS, "--target", "accel,gpu")
    assert status == 0 and re.search(r"\d+ of \d+ operators and 0 of [\d,]+ MACs on a GPU\n$", text)
