"""What a safetensors file says it holds, read without its tensors and checked like hostile input.

A file is 8 bytes with the length N of the header, N bytes of JSON, and the bytes of the tensors
without a hole between them. Read are the first 8 + N bytes; nothing in a file is ever executed.
The checks are those of the safetensors library 0.8.0. It lets pass what the description of the
format forbids (space before "{", a key twice) or no writer makes; that is refused here.

Source: section "Format" of https://github.com/huggingface/safetensors.
"""

import json
import os
import reprlib
from pathlib import Path
from typing import NamedTuple

# bytes; the library's own limit
HEADER_LIMIT = 100_000_000
# bits of one element
DTYPES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
AGAIN = "Download it again."
CODE = "which can run code when it is loaded"
CONVERT = "Download its safetensors version, or convert it to safetensors."
# how files of other kinds begin, in lower case, and what to say of them
OTHER_KINDS = {
    b"pk\x03\x04": f"is a zip archive, as of a PyTorch checkpoint with a pickle, {CODE}. {CONVERT}",
    **dict.fromkeys(
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        f"is a pickle, {CODE}. {CONVERT}",
    ),
    b"gguf": "is a GGUF file, which needs its own loader. Download its safetensors version.",
    b"version https://git-lfs": "is a Git LFS pointer, a note in place of the file. Run git lfs "
    "pull in its folder, or download the file itself.",
    **dict.fromkeys(
        (b"<!doctype", b"<html", b"<head", b"<!--", b"<?xml"),
        "is a web page, often one that asks to log in. Download the file again, logged in or with "
        "an access token.",
    ),
}
# bytes of a file without a sound header that are looked at for those beginnings
SNIFFED = 64

_short = reprlib.Repr()
_short.maxstring = 120


class TensorInfo(NamedTuple):
    """One tensor: dtype as the file spells it ("F16"), first byte in the file, one past last."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """Tensors by name in the order of the header, metadata, and the size of the file in bytes."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    size: int


def read_header(path):
    """Read and check the header of a safetensors file.

    Returns:
        a Header, whose tensors lie side by side from the header to the end of the file.

    Raises:
        ValueError: the file is damaged, cut off or of another kind; says what to do.
        OSError: the file is missing or cannot be read.
    """
    # unbuffered, because a buffer would be filled up with the bytes of tensors
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        is_plausible = length <= min(HEADER_LIMIT, size - 8)
        header = file.read(length if is_plausible else SNIFFED - 8)
    try:
        if not is_plausible or header[:1] != b"{":
            raise ValueError(_what_else(start + header[: SNIFFED - 8], length, size))
        entries = _parsed(header)
        metadata = _metadata(entries)
        return Header(_tensors(entries, 8 + length, size), metadata, size)
    except ValueError as fault:
        raise ValueError(f"{Path(path).name} {fault}") from None


def _what_else(head, length, size):
    if size == 0:
        return f"is empty. {AGAIN}"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    # the length 640 is spelled 80 02 00 00 ..., and pickles begin with 80 02
    is_cut_header = head[4:9] in (b"\0\0\0\0{", b"\0\0\0\0")
    for beginning, sentence in OTHER_KINDS.items():
        if text.startswith(beginning) and not is_cut_header:
            return sentence
    if size < 8:
        return f"is cut off: it has {size} bytes, and 8 come before the header. {AGAIN}"
    if length > HEADER_LIMIT:
        return (
            "is damaged or no safetensors file: it announces a header of "
            f"{length} bytes, and at most {HEADER_LIMIT} are allowed. {AGAIN}"
        )
    if length > size - 8:
        return f"is cut off: {size - 8} of the {length} bytes of its header are there. {AGAIN}"
    return f"is damaged or no safetensors file: its header does not begin with '{{'. {AGAIN}"


def _parsed(header):
    try:
        return json.loads(
            header.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_int=_whole_number,
            parse_float=_whole_number,
            parse_constant=_whole_number,
        )
    except UnicodeDecodeError as fault:
        raise _damaged(f"its header is not UTF-8 at byte {fault.start}") from None
    except json.JSONDecodeError as fault:
        raise _damaged(f"its header is not JSON at character {fault.pos}") from None
    except RecursionError:
        raise _damaged("its header is nested too deeply") from None


def _damaged(what):
    return ValueError(f"is damaged: {what}. Download it again, from its maker if possible.")


def _without_repeats(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _damaged(f"its header has {_short.repr(twice)} twice")
    return found


def _whole_number(digits):
    # 20 digits hold any 64-bit number, and int() of millions of digits would take minutes
    if not digits.isdigit() or len(digits) > 20:
        raise _damaged(
            f"its header has the number {_short.repr(digits)[1:-1]}, and only whole numbers of 64 "
            "bits, 0 or above, are allowed"
        )
    return int(digits)


def _metadata(entries):
    metadata = entries.get("__metadata__", {})
    if type(metadata) is not dict or any(type(text) is not str for text in metadata.values()):
        raise _damaged("its __metadata__ is not an object of texts")
    try:
        # JSON can spell half a surrogate pair, which is no text
        "\n".join([*entries, *metadata, *metadata.values()]).encode("utf-8")
    except UnicodeEncodeError:
        raise _damaged("its header has half a surrogate pair") from None
    return metadata


def _tensors(entries, data_begin, size):
    tensors = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        try:
            tensors[name] = _tensor(entry, data_begin)
        except ValueError as fault:
            raise _damaged(f"its tensor {_short.repr(name)} {fault}") from None
    reached = data_begin
    for name, info in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if info.begin != reached:
            fault = "overlaps the one" if info.begin < reached else "leaves a gap"
            raise _damaged(f"its tensor {_short.repr(name)} {fault} before it")
        reached = info.end
    if reached > size:
        raise ValueError(f"is cut off: {size} of its {reached} bytes are there. {AGAIN}")
    if reached < size:
        raise _damaged(f"{size - reached} bytes follow its last tensor")
    return tensors


def _tensor(entry, data_begin):
    if type(entry) is not dict or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("has not just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in DTYPES:
        raise ValueError(f"has the dtype {_short.repr(dtype)}, and known are {', '.join(DTYPES)}")
    if not _are_numbers(shape) or not _are_numbers(offsets) or len(offsets) != 2:
        raise ValueError("has a shape or data_offsets that are not whole numbers")
    begin, end = offsets
    if _bits(dtype, shape) != 8 * (end - begin):
        raise ValueError(
            f"of dtype {dtype} and shape {_short.repr(shape)} does not fill bytes {begin} to {end}"
        )
    return TensorInfo(dtype, tuple(shape), data_begin + begin, data_begin + end)


def _are_numbers(value):
    # True is no number here, though Python counts it among the ints
    return type(value) is list and set(map(type, value)) <= {int}


def _bits(dtype, shape):
    bits = DTYPES[dtype]
    for extent in shape:
        bits *= max(extent, 1)
        # the library counts in 64 bits, and a shape has millions of extents if it likes
        if bits >= 2**64:
            return None
    return 0 if 0 in shape else bits
