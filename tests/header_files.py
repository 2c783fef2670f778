"""Headers of files that were never written, and files of which only the header was."""

import json
import math

from fewstep.lora.header import Header, TensorInfo


def infos(state_dict, prefix=""):
    return {prefix + key: TensorInfo("F16", tuple(t.shape), 0, 0) for key, t in state_dict.items()}


def header_of(state_dict, prefix=""):
    return Header(infos(state_dict, prefix), {}, 0)


def header_with(shapes, metadata=None):
    tensors = {key: TensorInfo("F16", tuple(shape), 0, 0) for key, shape in shapes.items()}
    return Header(tensors, metadata or {}, 0)


def write_sparse(path, shapes, metadata=None):
    """A sound file whose tensors are a hole in it: nothing but the header lies on the disk."""
    entries, end = {"__metadata__": metadata or {}}, 0
    for key, shape in shapes.items():
        begin, end = end, end + math.prod(shape)
        entries[key] = {"dtype": "I8", "shape": list(shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)
    return path
