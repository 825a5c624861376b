"""The data that ranges are measured on: a .npz file or a folder of .npy files, checked before anything runs."""

from pathlib import Path

import numpy as np

from weft.isa import WeftError

Samples = dict[str, np.ndarray]


def load_samples(path: str | Path, names: list[str]) -> Samples:
    """The array of every input, samples along axis 0, as the files hold them.

    A .npz file holds one array for each input, by name; where network and file have one each, the name does not matter.
    A folder holds .npy files, each one sample or several of a network with one input, taken in the order of their names.

    Raises
    ------
    WeftError: where there is no data, or not for every input.
    """
    path = Path(path)
    if path.is_dir():
        return {_only(path, names): _folder(path)}
    if path.suffix != ".npz":
        raise WeftError(f"data {path}", "data must be a .npz file or a folder of .npy files", _kind(path),
                        "np.savez, with an array named as the model's input")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # damaged archives raise many kinds: zipfile's, zlib's, NumPy's
        raise WeftError(f"data {path}", "a .npz file must be readable", f"{type(error).__name__}: {error}",
                        "np.savez, with an array named as the model's input") from None
    if len(names) == 1 and len(arrays) == 1:
        return {names[0]: next(iter(arrays.values()))}
    missing = [name for name in names if name not in arrays]
    if missing:
        raise WeftError(f"data {path}", f"it must hold an array '{missing[0]}', as the model's input is called",
                        ", ".join(arrays) or "no array", "np.savez, with an array named as the model's input")
    return {name: arrays[name] for name in names}


def _kind(path: Path) -> str:
    return f"a file '{path.suffix}'" if path.is_file() else "no such file or folder"


def _only(path: Path, names: list[str]) -> str:
    if len(names) != 1:
        raise WeftError(f"data {path}", "a folder serves a network with one input", f"{len(names)}: {', '.join(names)}",
                        "a .npz file with an array for each input")
    return names[0]


def _folder(path: Path) -> np.ndarray:
    files = sorted(path.glob("*.npy"))
    if not files:
        raise WeftError(f"data {path}", "the folder must hold .npy files", "none", "np.save, a file a sample")
    arrays = []
    for file in files:
        try:
            arrays.append(np.load(file, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise WeftError(f"data {file}", "a .npy file must be readable", f"{type(error).__name__}: {error}",
                            "np.save") from None
        if arrays[-1].shape[1:] != arrays[0].shape[1:] or arrays[-1].ndim != arrays[0].ndim:
            raise WeftError(f"data {file}", f"all samples must have the shape of the first, {list(arrays[0].shape)}",
                            str(list(arrays[-1].shape)), "samples of one shape")
    same = all(array.shape == arrays[0].shape for array in arrays)
    return np.stack(arrays) if same else np.concatenate(arrays)  # `check_samples` knows which of them are batches


def check_samples(samples: Samples, shapes: dict[str, tuple[int, ...]], limit: int | None = None) -> Samples:
    """The samples as float32 [S, ...], at most `limit` of them; S is a multiple of the network's own batch.

    Raises
    ------
    WeftError: for other shapes than the network's, for text or complex numbers, NaN or infinity, or no sample at all.
    """
    checked = {name: _check(name, np.asarray(array), shapes[name]) for name, array in samples.items()}
    counts = {name: len(array) // max(shapes[name][0], 1) for name, array in checked.items()}
    if len(set(counts.values())) > 1:
        raise WeftError("data", "every input must have as many samples",
                        ", ".join(f"{n} of '{name}'" for name, n in counts.items()), "arrays of one length")
    count = min(next(iter(counts.values())), limit or 1 << 62)
    if count < 1:
        raise WeftError("data", "there must be at least one sample", "none", "more data: 100 samples are usual")
    return {name: array[:count * shapes[name][0]] for name, array in checked.items()}


def _check(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    subject = f"data for input '{name}'"
    if array.ndim == len(shape) + 1:  # each file was a batch
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        raise WeftError(subject, f"its shape must be [samples, {', '.join(map(str, shape[1:]))}]", str(list(array.shape)),
                        "to prepare the samples as for the float model")
    if array.dtype.kind not in "fiub":
        raise WeftError(subject, "it must be real numbers", array.dtype.name, "an array of float32")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        worst = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(1)))
        raise WeftError(subject, "all values must be finite", f"NaN or infinity in sample {worst}",
                        "to look at how that sample was made")
    return array
