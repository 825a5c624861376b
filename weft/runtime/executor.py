"""Runs a module: operators of the host by the NumPy kernels, of the CPU by machine code, of a GPU by its kernels, the rest by launches on a `Device`."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from weft.isa import WeftError
from weft.isa.quantise import QNT_LANE

from . import cpu, gpu, kernels
from .agreement import compare
from .device import Bases, Device, open_device
from .kernels.view import rearrange
from .layout import activation_shape, gather, pack_activation, pack_qnt, pack_weight, unpack_activation
from .module import Launch, Module, Operator
from .report import LayerReport, RunReport, finish
from .team import team

Progress = Callable[[int, int, str], None]  # (steps done, steps in all, name of the step that begins)


def run(module: Module, inputs: Sequence[np.ndarray], device: "str | Device" = "functional", *, check: bool = True,
        trace: bool = False, progress: Progress = lambda done, total, name: None, threads: int | None = None, **device_options):
    """Runs `module` once on a device, which it makes and closes where `device` is a name, and the module has launches.

    Parameters
    ----------
    inputs: one array for each of module.inputs, of its shape and dtype.
    device: 'functional', 'rtl', or a `Device` that is kept for further runs.
    check: compare every output with the integer reference (`bit_exact` and `agrees` of the report).
    trace: keep the events of every launch even where the device has no clock.
    threads: of the CPU's part, as many as cores where it is None.
    device_options: for a device by name, such as latency=64 or stall_seed=1.

    Returns
    -------
    (outputs: dict of name to array, RunReport)
    """
    given = dict(check=check, trace=trace, progress=progress)
    if not isinstance(device, str) or not module.launches:
        return Executor(module, None if isinstance(device, str) else device, threads=threads).run(inputs, **given)
    opened = open_device(device, module.config, module.memory_size, **device_options)
    try:
        return Executor(module, opened, threads=threads).run(inputs, **given)
    finally:
        opened.close()


def reference(module: Module, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The integer reference: every operator by its NumPy kernel, on logical layouts."""
    values = {**module.constants, **checked_inputs(module, inputs)}
    for operator in module.operators:
        values |= zip(operator.outputs, _kernel(operator, values))
    return {name: values[name] for name in module.outputs}


def checked_inputs(module: Module, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs by name. WeftError where their number, shape or dtype is not the module's."""
    if len(inputs) != len(module.inputs):
        raise WeftError(f"module '{module.name}'", f"it takes {len(module.inputs)} inputs ({', '.join(module.inputs)})",
                        str(len(inputs)), "one array for each, in this order")
    for name, array in zip(module.inputs, inputs):
        info = module.tensors[name]
        if tuple(array.shape) != info.shape or str(array.dtype) != info.dtype:
            raise WeftError(f"input '{name}' of module '{module.name}'", f"it is {info.dtype} {list(info.shape)}",
                            f"{array.dtype} {list(array.shape)}", "array.astype and reshape, or the model's own preprocessing")
    return dict(zip(module.inputs, inputs))


def _kernel(operator: Operator, values: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    return kernels.run(operator.op, operator.attrs, *(values[name] if name else None for name in operator.inputs))


class Executor:
    """A module with its constants in a device's DRAM, and its machine code in memory, ready to run many inputs.

    device: None for a module without launches. threads: of the CPU's part, as many as cores where it is None.
    """

    def __init__(self, module: Module, device: Device | None, base: int = 0, *, threads: int | None = None):
        if device is None and module.launches:
            raise WeftError(f"module '{module.name}'", "its launches need a device", "none", "a device, by name or open")
        if device is not None and device.config.fingerprint != module.config.fingerprint:
            raise WeftError(f"module '{module.name}'", f"it was compiled for config '{module.config.name}' ({module.config.fingerprint})",
                            f"a device of config '{device.config.name}' ({device.config.fingerprint})",
                            "`weft compile --config` for that device")
        self.module, self.device, self.base = module, device, base
        self.bases = Bases(*(base,) * len(dataclasses.fields(Bases)))
        self.launch_of = {operators: launch for launch in module.launches for operators in launch.operators}
        self.views = {o.outputs[0]: o for o in module.operators if o.where == "view"}
        self.made_inside = {name for o in module.operators if o.where == "accel" for name in o.outputs}
        self._load_functions(threads)
        if device is not None:
            device.write(base, module.image)

    def _load_functions(self, threads: int | None):
        self.function_of: dict[int, cpu.Running] = {}
        self.team = None
        if self.module.functions:
            self.team, code = team(threads), cpu.load(self.module)
            self.function_of = {f.operators[0]: cpu.Running(self.module, f, code) for f in self.module.functions}
        self.gpu_function_of: dict[int, gpu.Running] = {}
        if self.module.gpu_functions:
            opened = gpu.open_gpu(self.module)
            self.gpu_function_of = {f.operators[0]: gpu.Running(self.module, f, opened) for f in self.module.gpu_functions}

    def run(self, inputs: Sequence[np.ndarray], *, check: bool = True, trace: bool = False,
            progress: Progress = lambda done, total, name: None) -> tuple[dict[str, np.ndarray], RunReport]:
        """One input through the network; see `run` of this file."""
        began = time.perf_counter()
        module = self.module
        report = RunReport(self.device.name if self.device else "gpu" if module.gpu_functions else "cpu", module.config.name, [], module.macs)
        values = {**module.constants, **checked_inputs(module, inputs)}
        for index, operator in enumerate(module.operators):
            progress(index, len(module.operators), operator.name)
            if operator.where == "host":
                self._run_host(operator, values, report)
            elif operator.where == "view":
                report.layers.append(self._layer(operator))
            elif operator.where == "cpu":
                if index in self.function_of:
                    self._run_function(self.function_of[index], values, report)
            elif operator.where == "gpu":
                if index in self.gpu_function_of:
                    self._run_gpu_function(self.gpu_function_of[index], values, report)
            elif self.launch_of[index].operators[0] == index:
                self._run_launch(self.launch_of[index], values, report, trace)
        progress(len(module.operators), len(module.operators), "")
        unpacking = time.perf_counter()
        outputs = {name: np.ascontiguousarray(self._value(name, values)) for name in module.outputs}
        report.packing += time.perf_counter() - unpacking
        finish(report, module)
        report.seconds = time.perf_counter() - began
        if check:
            compare(report, module, outputs, reference(module, inputs))
        return outputs, report

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs of one input, in the module's order, and no report: of a network that is one function, its call alone."""
        whole = next(iter(self.function_of.values()), None)
        if whole is None or len(whole.function.operators) < len(self.module.operators) or whole.function.outputs != tuple(self.module.outputs):
            return list(self.run(inputs, check=False)[0].values())
        given = checked_inputs(self.module, inputs)
        return whole.run([given[name] for name in whole.function.inputs], self.team)

    def _value(self, name: str, values: dict[str, np.ndarray]) -> np.ndarray:
        """A tensor on the host, fetched from DRAM the first time that someone asks. A view may be not contiguous."""
        if name not in values:
            if name in self.views:
                view = self.views[name]
                values[name] = rearrange(self._value(view.inputs[0], values), view.attrs["steps"])
            else:
                values[name] = self._fetch(name)
        return values[name]

    def _fetch(self, name: str) -> np.ndarray:
        shape = self.module.tensors[name].shape
        packed = self.device.read(self.base + self.module.addresses[name], math.prod(activation_shape(shape, self.module.config)))
        return unpack_activation(packed.view(np.int8), shape, self.module.config)

    def _is_inside(self, name: str) -> bool:
        """Whether a launch made the tensor, or what it is a view of, so that it is in DRAM already."""
        return name in self.made_inside or name in self.views and self._is_inside(self.views[name].inputs[0])

    def _packed(self, name: str, value: np.ndarray, readers: Sequence[Operator]) -> np.ndarray:
        """A tensor of the host in the physical layout that the accelerator's operators read it in."""
        for operator in readers:
            if "gather" in operator.attrs and operator.inputs[0] == name:
                value = gather(value, operator.attrs["gather"], operator.attrs["pad_value"])
            if operator.op == "dense" and operator.inputs[1] == name:
                return pack_weight(value, self.module.config)
        return (pack_qnt if value.dtype == QNT_LANE else pack_activation)(value, self.module.config)

    def _layer(self, operator: Operator, seconds: float | None = None) -> LayerReport:
        return LayerReport(operator.name, operator.op, operator.where, self.module.tensors[operator.outputs[0]].shape, operator.macs,
                           seconds=seconds, reason=operator.reason)

    def _run_host(self, operator: Operator, values: dict[str, np.ndarray], report: RunReport):
        began = time.perf_counter()
        for name in filter(None, operator.inputs):
            self._value(name, values)
        report.packing += time.perf_counter() - began
        began = time.perf_counter()
        values |= zip(operator.outputs, _kernel(operator, values))
        report.layers.append(self._layer(operator, seconds=time.perf_counter() - began))

    def _run_function(self, running: cpu.Running, values: dict[str, np.ndarray], report: RunReport):
        function = running.function
        began = time.perf_counter()
        inputs = [np.ascontiguousarray(self._value(name, values)) for name in function.inputs]
        ready = time.perf_counter()
        report.packing += ready - began
        values |= zip(function.outputs, running.run(inputs, self.team))
        seconds, shares = time.perf_counter() - ready, running.shares()
        for k, index in enumerate(function.operators):
            taken = None if shares is None else seconds * float(shares[k])
            report.layers.append(self._layer(self.module.operators[index], seconds=taken))

    def _run_gpu_function(self, running: gpu.Running, values: dict[str, np.ndarray], report: RunReport):
        """Packing is what bringing tensors to the GPU and back takes."""
        function = running.function
        began = time.perf_counter()
        inputs = [np.ascontiguousarray(self._value(name, values)) for name in function.inputs]
        values |= zip(function.outputs, running.run(inputs, timed=True))
        taken = running.seconds()
        report.packing += max(time.perf_counter() - began - float(taken.sum()), 0.0)
        report.layers.extend(self._layer(self.module.operators[index], seconds=float(taken[k])) for k, index in enumerate(function.operators))

    def _run_launch(self, launch: Launch, values: dict[str, np.ndarray], report: RunReport, trace: bool):
        operators = [self.module.operators[k] for k in launch.operators]
        for name in dict.fromkeys(n for o in operators for n in o.inputs):
            if not self._is_inside(name) and name not in self.module.constants:
                began = time.perf_counter()
                packed = self._packed(name, self._value(name, values), operators)
                self.device.write(self.base + self.module.addresses[name], packed)
                report.packing += time.perf_counter() - began
        launch_report = self.device.launch(self.base + launch.insn_address, launch.insn_count, self.bases, trace=True)
        report.layers.extend(map(self._layer, operators))
        if not trace and launch_report.cycles is None:
            launch_report.events = None
        report.launches.append((launch, launch_report))
