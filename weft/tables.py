"""What the command line shows a person: tables of configurations, placements, runs, quantisation and conformance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from weft.isa import Config
from weft.isa.manual import field_rows, size_rows
from weft.report.figures import loss_label
from weft.runtime.account import main_wait
from weft.runtime.losses import LIMIT
from weft.runtime.module import Module
from weft.runtime.report import LayerReport, RunReport
from weft.sim.conform import ConformReport

if TYPE_CHECKING:  # importing these takes ONNX along
    from weft.bench.measure import Measurement
    from weft.compiler.pipeline import Placement
    from weft.compiler.quantizer.report import QuantisationReport
    from weft.fpga.reports import FmaxReport


def _table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:  # numbers stay whole; words fold
        table.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in right)
    return table


def _number(value: float | None, form: str = ",") -> str:
    return "" if value is None else f"{value:{form}}"


def _milliseconds(seconds: float | None) -> str:
    return _number(None if seconds is None else 1000 * seconds, ".3f")


def config_tables(config: Config) -> list[Table]:
    """Derived sizes, then field widths."""
    sizes = _table(f"{config.name}: {config.batch} x {config.block_in} x {config.block_out}, {config.macs_per_cycle} MACs a cycle, "
                   f"{config.bus_bits}-bit bus, fingerprint {config.fingerprint}",
                   "memory", "bytes of an element", "elements", "bytes", right=("bytes of an element", "elements", "bytes"))
    for row in size_rows(config):
        sizes.add_row(row[0], *(f"{n:,}" for n in row[1:]))
    fields = _table("fields", "instruction", "bits", "field", "", right=("bits",))
    for row in field_rows(config):
        fields.add_row(*row)
    return [sizes, fields]


def fmax_tables(report: FmaxReport) -> list[Table]:
    """The clock and resources of a placed and routed accelerator; what became of its memories; the path that sets the clock."""
    resources = _table(f"{report.part} of {report.config} on {report.device}, seed {report.seed}: {report.fmax_mhz:.1f} MHz", "resource", "used", "of", "%",
                       right=("used", "of", "%"))
    for name, resource in report.resources.items():
        resources.add_row(name, f"{resource.used:,}", f"{resource.available:,}", f"{100 * resource.used / resource.available:.0f}")
    resources.caption = f"{report.harness_registers} FF are the harness's"
    memories = _table("memories", "memory", "becomes", "memories", right=("memories",))
    for name, stores in report.memories.items():
        for store, count in stores.items():
            memories.add_row(name, store, str(count))
    path = _table(f"critical path: {report.ns('clk-to-q') + report.ns('logic') + report.ns('setup'):.1f} ns of logic, {report.ns('routing'):.1f} of routing",
                  "through", "cell", "ns", right=("ns",))
    for hop in report.path:
        path.add_row(hop.kind, hop.cell, f"{hop.ns:.2f}")
    return [resources, memories, path]


def placement_table(module: "Module | Placement") -> Table:
    """Which operator runs where, and why not on the accelerator."""
    table = _table(f"{module.name} for {module.config.name}", "operator", "kind", "where", "shape", "MACs", "why not on the accelerator, or what does it",
                   right=("MACs",))
    for o in module.operators:
        table.add_row(o.name, o.attrs.get("operator", o.op), o.where, "x".join(map(str, module.tensors[o.outputs[0]].shape)), f"{o.macs:,}" if o.macs else "",
                      o.reason, style={"host": "yellow", "cpu": "cyan", "gpu": "cyan"}.get(o.where))
    return table


def arena_line(module: Module) -> str:
    """What the arena of activations takes, beside the bound that no plan can beat."""
    peak, least = (module.options[f"activation_{key}"] for key in ("peak", "lower_bound"))
    return f"{peak:,} bytes at their peak, no plan takes less than {least:,}"


def run_table(report: RunReport) -> Table:
    """A row a layer, and the whole."""
    right = ("MACs", "cycles", "utilisation", "DRAM bytes", "host ms")
    table = _table(f"{report.device}, {report.config}", "layer", "operator", "shape", "MACs", "cycles", "utilisation", "DRAM bytes",
                   "main wait", "host ms", right=right)
    for layer in report.layers:
        kind = layer.op if layer.where == "accel" else f"{layer.op}, {layer.where}"
        used = _number(layer.utilisation if layer.macs else None, ".1%")
        table.add_row(layer.name, kind, "x".join(map(str, layer.shape)), _number(layer.macs or None), _number(layer.cycles), used,
                      _number(_moved([layer])), _main_wait([layer]), _milliseconds(layer.seconds))
    table.add_section()
    table.add_row("packing", "host", "", "", "", "", "", "", _milliseconds(report.packing))
    on_host = report.packing + sum(layer.seconds or 0 for layer in report.layers)
    table.add_row("all", "", "", f"{report.macs:,}", _number(report.cycles), _number(report.utilisation, ".1%"),
                  _number(_moved(report.accelerated)), _main_wait(report.accelerated), _milliseconds(on_host), style="bold")
    return table


def seconds_table(report: RunReport) -> Table:
    """A row a layer and the whole, of a run without the accelerator."""
    right = ("MACs", "ms", "share", "GMAC/s")
    table = _table(f"{report.device}, {1000 * report.seconds:.3f} ms", "layer", "operator", "shape", "MACs", "ms", "share", "GMAC/s", right=right)
    whole = sum(layer.seconds or 0 for layer in report.layers)
    for layer in report.layers:
        share = layer.seconds / whole if layer.seconds is not None and whole else None
        speed = layer.macs / layer.seconds / 1e9 if layer.macs and layer.seconds else None
        table.add_row(layer.name, layer.op if layer.where == "cpu" else f"{layer.op}, {layer.where}", "x".join(map(str, layer.shape)),
                      _number(layer.macs or None), _milliseconds(layer.seconds), _number(share, ".1%"), _number(speed, ".1f"))
    table.add_section()
    table.add_row("all", "", "", f"{report.macs:,}", _milliseconds(whole), "", _number(report.macs / whole / 1e9 if whole else None, ".1f"),
                  style="bold")
    return table


def _moved(layers: list[LayerReport]) -> int | None:
    counts = [layer.bytes_read + layer.bytes_written for layer in layers if layer.bytes_read is not None]
    return sum(counts) if counts else None


def _main_wait(layers: list[LayerReport]) -> str:
    """What the layers waited for longest, and its share of their cycles."""
    causes = sum((Counter(layer.causes) for layer in layers if layer.causes), Counter())
    wait = main_wait(causes)
    return f"{wait[0].removeprefix('waits for ')} {wait[1] / sum(causes.values()):.1%}" if wait else ""


def causes_table(shown: dict) -> Table:
    """What the compute module's cycles went to, a row a cause and a column a run. shown: as of weft.report.page.data."""
    runs = shown["runs"]
    labels = [run["label"] for run in runs]
    table = _table(f"{shown['network']}: cycles of the compute module", "cause", *labels, right=tuple(labels))
    for cause in shown["causes"]:
        counts = [run["stalls"]["compute"].get(cause["key"], 0) for run in runs]
        if any(counts):
            table.add_row(cause["label"], *(f"{n:,} {n / run['cycles']:6.1%}" for n, run in zip(counts, runs)))
    table.add_section()
    table.add_row("all", *(f"{run['cycles']:,} {1:6.1%}" for run in runs), style="bold")
    return table


def losses_table(columns: dict[str, dict[str, int]]) -> Table:
    """The physical limit, and what the cycles beyond it went to; those that took most first. columns: `losses` by name."""
    table = _table("cycles beyond the physical limit, by cause", "cause", *columns, right=tuple(columns))
    every = sum(map(Counter, columns.values()), Counter())
    for cause in (LIMIT, *(cause for cause, _ in every.most_common() if cause != LIMIT)):
        table.add_row(loss_label(cause), *(_number(found.get(cause)) for found in columns.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(found.values()):,}" for found in columns.values()), style="bold")
    return table


def conform_table(report: ConformReport, device: str) -> Table:
    """One row; failures are listed behind it by the command."""
    table = _table(f"conformance on {device}", "passed", "failed", "cycles", "cycles a second", right=("passed", "failed", "cycles", "cycles a second"))
    table.add_row(str(report.passed), str(report.failed), _number(report.cycles), _number(report.cycles_per_second, ",.0f"))
    return table


def bench_table(rows: list[Measurement]) -> Table:
    """A row a network; how far each is from its goal, if it has one."""
    right = ("MMAC", "cycles", "utilisation", "of goal", "compile s", "run s", "exact")
    title = "networks on the CPU" if rows[0].device == "cpu" else \
        f"networks on {rows[0].device}, {rows[0].config}, virtual threads: {rows[0].virtual_threads}"
    table = _table(title, "network", *right, right=right)
    table.columns[0].min_width = 12  # of a published network; longer ones fold
    for row in rows:
        share = row.cycles / row.goal if row.cycles and row.goal else None
        table.add_row(row.network, f"{row.macs / 1e6:,.1f}", _number(row.cycles), _number(row.utilisation, ".1%"), _number(share, ".1%"),
                      f"{row.compile_seconds:.1f}", f"{row.seconds:.4f}" if row.device == "cpu" else f"{row.seconds:.3f}",
                      "yes" if row.bit_exact else "near" if row.agrees else "NO")
    return table


def quantisation_table(report: QuantisationReport) -> Table:
    """A row a layer: its range and how much of its signal is left; the layer that by itself loses most is marked."""
    bias = "" if report.bias_correction else ", no bias correction"
    equalised = f", {report.equalised} pairs equalised" if report.equalised else ""
    table = _table(f"{report.model}: ranges by {report.ranges} of {report.samples} samples{bias}{equalised}", "layer", "operator",
                   "low", "high", "SNR dB", "of the layer alone", right=("low", "high", "SNR dB", "of the layer alone"))
    for x in report.layers:
        table.add_row(x.name, x.op, f"{x.quantisation.low:.4g}", f"{x.quantisation.high:.4g}", _decibels(x.snr), _decibels(x.alone),
                      style="yellow" if x is report.worst else None)
    table.add_section()
    for name, snr in report.outputs.items():
        table.add_row(f"output {name}", "", "", "", _decibels(snr), "", style="bold")
    return table


def _decibels(ratio: float | None) -> str:
    return "exact" if ratio is None else f"{ratio:.1f}"
