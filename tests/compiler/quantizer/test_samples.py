"""Data in all the forms that are allowed, and what is refused."""

import re

import numpy as np
import pytest

from weft.compiler.quantizer.samples import check_samples, load_samples
from weft.isa import WeftError

SHAPES = {"image": (1, 3, 4, 4)}
RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(5, 3, 4, 4)).astype(np.float32)


def load(path, names=("image",)):
    return check_samples(load_samples(path, list(names)), SHAPES)["image"]


def save(folder, arrays):
    folder.mkdir(exist_ok=True)
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
    return folder


def test_npz_by_name_and_alone(tmp_path):
    np.savez(tmp_path / "a.npz", other=DATA[:1], image=DATA)
    np.savez(tmp_path / "b.npz", whatever=DATA)
    assert np.array_equal(load(tmp_path / "a.npz"), DATA) and np.array_equal(load(tmp_path / "b.npz"), DATA)


@pytest.mark.parametrize("cut",
                         [lambda x: list(x), lambda x: [s[None] for s in x], lambda x: [x[:2], x[2:4]],
                          lambda x: [x[:1], x[1:5]]],
                         ids=["a sample a file", "a batch of 1 a file", "two a file", "files of 1 and 4"])
def test_a_folder_of_samples(tmp_path, cut):
    parts = cut(DATA)
    read = load(save(tmp_path / "d", parts))
    assert read.dtype == np.float32 and np.array_equal(read, DATA[:sum(len(p.reshape(-1, 3, 4, 4)) for p in parts)])


def test_a_sample_of_one_channel_is_no_batch(tmp_path):
    read = check_samples(load_samples(save(tmp_path / "d", DATA[:, :1]), ["image"]), {"image": (1, 1, 4, 4)})
    assert np.array_equal(read["image"], DATA[:, :1])


def test_the_first_of_them_and_whole_batches_only():
    assert np.array_equal(check_samples({"image": DATA}, SHAPES, 2)["image"], DATA[:2])
    assert len(check_samples({"image": DATA}, {"image": (2, 3, 4, 4)})["image"]) == 4


def test_whole_numbers_become_float():
    read = check_samples({"image": np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)}, SHAPES)["image"]
    assert read.dtype == np.float32 and read.max() == 47


def refusal(call) -> str:
    with pytest.raises(WeftError) as error:
        call()
    return str(error.value)


def test_refused_files(tmp_path):
    def message(path, names=("image",)):
        return refusal(lambda: load_samples(path, list(names))).replace(str(tmp_path), "DIR")

    assert message(tmp_path / "x.npz") == ("data DIR/x.npz: a .npz file must be readable, but found FileNotFoundError: "
                                           "[Errno 2] No such file or directory: "
                                           "'DIR/x.npz'; try: np.savez, with an array named as the model's input")
    assert message(tmp_path / "x") == ("data DIR/x: data must be a .npz file or a folder of .npy files, but found no such "
                                       "file or folder; "
                                       "try: np.savez, with an array named as the model's input")
    (tmp_path / "x.txt").write_text("1 2 3")
    assert message(tmp_path / "x.txt") == ("data DIR/x.txt: data must be a .npz file or a folder of .npy files, but found "
                                           "a file '.txt'; "
                                           "try: np.savez, with an array named as the model's input")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut off")
    assert re.fullmatch(r"data DIR/bad.npz: a .npz file must be readable, but found BadZipFile: .*; try: np.savez, with an "
                        r"array named as the model's input",
                        message(tmp_path / "bad.npz"))
    np.savez(tmp_path / "two.npz", a=DATA, b=DATA)
    assert message(tmp_path / "two.npz") == ("data DIR/two.npz: it must hold an array 'image', as the model's input is "
                                             "called, but found a, b; "
                                             "try: np.savez, with an array named as the model's input")
    (tmp_path / "empty").mkdir()
    assert message(tmp_path / "empty") == "data DIR/empty: the folder must hold .npy files, but found none; try: np.save, a file a sample"
    assert message(tmp_path / "empty", ("a", "b")) == ("data DIR/empty: a folder serves a network with one input, but "
                                                       "found 2: a, b; "
                                                       "try: a .npz file with an array for each input")
    save(tmp_path / "mixed", [DATA[0], DATA[0, :, :2]])
    assert message(tmp_path / "mixed") == ("data DIR/mixed/1.npy: all samples must have the shape of the first, [3, 4, 4], "
                                           "but found [3, 2, 4]; "
                                           "try: samples of one shape")


def test_refused_values():
    def message(array, **more):
        return refusal(lambda: check_samples({"image": array}, SHAPES, **more))

    assert message(DATA[:, :2]) == ("data for input 'image': its shape must be [samples, 3, 4, 4], but found [5, 2, 4, 4]; "
                                    "try: to prepare the samples as for the float model")
    assert message(DATA.astype(np.complex64)) == "data for input 'image': it must be real numbers, but found complex64; try: an array of float32"
    assert message(DATA[:0]) == "data: there must be at least one sample, but found none; try: more data: 100 samples are usual"
    bad = DATA.copy()
    bad[3, 1, 2, 0] = np.nan
    assert message(bad) == ("data for input 'image': all values must be finite, but found NaN or infinity in sample 3; "
                            "try: to look at how that sample was made")
    both = {"a": (1, 2), "b": (1, 2)}
    assert refusal(lambda: check_samples({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, both)) == (
        "data: every input must have as many samples, but found 3 of 'a', 4 of 'b'; try: arrays of one length")
