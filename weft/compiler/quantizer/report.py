"""What the quantisation of a network cost, layer by layer."""

from dataclasses import dataclass

from .simulate import LayerNoise


@dataclass(frozen=True)
class QuantisationReport:
    """`outputs`: signal-to-noise ratio in dB of each output of the network; None where int8 and float are equal.

    samples: those that the ranges come from; compared: those on which both networks were run side by side.
    """

    model: str
    ranges: str
    samples: int
    compared: int
    equalised: int
    bias_correction: bool
    layers: tuple[LayerNoise, ...]
    on_float: tuple[str, ...]  # "node (op)" that stay real numbers
    outputs: dict[str, float | None]

    @property
    def worst(self) -> LayerNoise | None:
        """The layer that by itself loses most."""
        return min((x for x in self.layers if x.alone is not None), key=lambda x: x.alone, default=None)

    def to_dict(self) -> dict:
        """For JSON; a ratio of null means no noise at all."""
        layers = [{"name": x.name, "op": x.op, "output": x.output, "low": x.quantisation.low, "high": x.quantisation.high,
                   "scale": x.quantisation.scale, "zero_point": x.quantisation.zero_point, "snr_db": x.snr,
                   "snr_alone_db": x.alone, "mean_error": x.mean_error, "bias_change": x.corrected} for x in self.layers]
        return {"model": self.model, "ranges": self.ranges, "samples": self.samples, "compared": self.compared,
                "equalised_pairs": self.equalised, "bias_correction": self.bias_correction,
                "output_snr_db": self.outputs, "worst_layer": self.worst.name if self.worst else None,
                "on_float": list(self.on_float), "layers": layers}
