import re

import pytest

from weft.isa import DEFAULT, PRESETS, Config, WeftError, load_config


def test_default_sizes_are_those_of_vta():
    c = DEFAULT
    assert (c.uop_depth, c.inp_depth, c.wgt_depth, c.acc_depth, c.qnt_depth) == (8192, 2048, 1024, 2048, 32)
    assert (c.uop_bytes, c.inp_bytes, c.wgt_bytes, c.acc_bytes, c.out_bytes, c.qnt_bytes) == (4, 16, 256, 64, 16, 256)
    assert c.macs_per_cycle == 256


def test_name_takes_no_part_in_the_fingerprint():
    assert Config(name="other").fingerprint == DEFAULT.fingerprint
    assert Config(name="other") == DEFAULT
    assert len({c.fingerprint for c in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize("fields, message", [
    ({"batch": 3}, "config 'default': batch must be a power of two from 1 to 64, but found 3; try: 1, 2, 4, 8, 16, 32 or 64"),
    ({"block_in": 8}, "config 'default': block_in and block_out must be equal, so that an output can be an input, but found 8 and 16; "
                      "try: the same number for both"),
    ({"wgt_buffer": 256}, "config 'default': wgt_buffer must hold two elements of 256 bytes, one in use and one on its way, but found 256 bytes; "
                          "try: wgt_buffer = 65536"),
    ({"inp_buffer": 3000}, "config 'default': inp_buffer must be a power of two, but found 3000; try: inp_buffer = 4096"),
    ({"inp_bits": 7}, "config 'default': inp_bits must be one of (8,), but found 7; try: inp_bits = 8"),
    ({"bus_bits": 48}, "config 'default': bus_bits must be one of (64, 128, 256, 512), but found 48; try: bus_bits = 64"),
    ({"batch": 1.5}, "config 'default': batch must be a whole number, but found 1.5; try: an int such as 16"),
    ({"acc_buffer": 1 << 20, "inp_buffer": 1 << 18}, "config 'default': GEMM must fit 128 bits, but found 140 bits; try: shallower buffers: "
                                                     "the widths of indices follow their depths"),
])
def test_what_cannot_work_is_refused_by_name(fields, message):
    with pytest.raises(WeftError, match="^" + re.escape(message) + "$"):
        Config(**fields)


def test_load_config_from_a_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text("batch = 2\n")
    assert load_config(path) == Config(batch=2) and load_config(path).name == "tiny"
    path.write_text("block_in = ")
    with pytest.raises(WeftError, match="a config file must be TOML"):
        load_config(path)
    path.write_text("blocks = 8")
    with pytest.raises(WeftError, match="a field must be one of acc_bits, acc_buffer, .*, but found 'blocks'"):
        load_config(path)
    with pytest.raises(WeftError, match="^" + re.escape("config 'nope': a config is a preset (default, 1x8x8, 1x32x32, 2x16x16) or a TOML file, "
                                                       "but found neither; try: `weft config` to list the presets") + "$"):
        load_config("nope")
