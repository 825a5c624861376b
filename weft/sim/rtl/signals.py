"""Every signal of a verilated model by name: the C tables and functions that PyVerilator's class asks of a library."""

import re
from pathlib import Path

_PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);")
_INTERNAL = re.compile(r"^\s+(?:CData|SData|IData|QData|VlWide<\d+>)/\*(\d+):0\*/ (\w+);", re.M)
_OWN = re.compile(r"__V|__BRA__|__0(?![0-9A-F]{2})")  # Verilator's own, and what PyVerilator's class cannot decode


def signals_header(folder: Path, top: str) -> str:
    """C++ to be included at the end of harness.cpp, from the headers that Verilator wrote into `folder`."""
    inputs, outputs = [], []
    for direction, name, high, low in _PORT.findall((folder / "Vtop.h").read_text()):
        (inputs if direction == "IN" else outputs).append((name, int(high) - int(low) + 1))
    ports = inputs + outputs
    known = {f"{top}__DOT__{name}" for name, _ in ports}
    internals = [(name, int(high) + 1) for high, name in _INTERNAL.findall((folder / "Vtop___024root.h").read_text())
                 if name.startswith(f"{top}__DOT__") and name not in known and not _OWN.search(name)]
    lines = ['extern "C" {', f'const char* _pyverilator_module_name = "{top}";', 'const char* _pyverilator_json_data = "null";']
    for kind, signals in (("input", inputs), ("output", outputs), ("internal_signal", internals)):
        names = ", ".join(f'"{name}"' for name, _ in signals) or "nullptr"
        widths = ", ".join(str(width) for _, width in signals) or "0"
        lines += [f"uint32_t _pyverilator_num_{kind}s = {len(signals)};",
                  f"const char* _pyverilator_{kind}s[] = {{{names}}};",
                  f"uint32_t _pyverilator_{kind}_widths[] = {{{widths}}};"]
    lines += [_getter(name, width, f"m->top.{name}") for name, width in ports]
    lines += [_getter(name, width, f"m->top.rootp->{name}") for name, width in internals]
    lines += [_setter(name, width, f"m->top.{name}") for name, width in inputs]
    lines += [_setter(name, width, f"m->top.rootp->{name}") for name, width in internals]
    return "\n".join([_INCLUDES, *lines, _MODEL, "}"])


def _getter(name: str, width: int, place: str) -> str:
    if width > 64:
        return f"uint32_t get_{name}(Machine* m, int word) {{ return {place}[word]; }}"
    return f"{_word(width)} get_{name}(Machine* m) {{ return {place}; }}"


def _setter(name: str, width: int, place: str) -> str:
    if width > 64:
        return f"int set_{name}(Machine* m, uint64_t word, uint32_t value) {{ return {place}[word] = value, 0; }}"
    return f"int set_{name}(Machine* m, {_word(width)} value) {{ return {place} = value, 0; }}"


def _word(width: int) -> str:
    return "uint64_t" if width > 32 else "uint32_t"


_INCLUDES = '#include "Vtop___024root.h"'
_MODEL = """
Machine* construct() { return new Machine; }
int destruct(Machine* m) { return delete m, 0; }
int eval(Machine* m) { return m->top.eval(), 0; }
Machine* start_vcd_trace(Machine* m, const char* path) { return m->open_vcd(path), m; }
int add_to_vcd_trace(Machine* m, int) { return m->dump(), 0; }
int flush_vcd_trace(Machine* m) { return m->vcd->flush(), 0; }
int stop_vcd_trace(Machine* m) { return m->close_vcd(), 0; }
bool get_finished() { return Verilated::gotFinish(); }
void set_finished(bool finished) { Verilated::gotFinish(finished); }
void set_vl_finish_callback(void*) {}
void set_command_args(int, char**) {}
"""
