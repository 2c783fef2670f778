import io
import json
import math
import pickle
import re
import struct
import zipfile

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from fewstep.lora import header
from fewstep.lora.header import TensorInfo, read_header

TORCH_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
# what the library reads and we refuse, and no writer makes
STRICTER = [
    # the format's description forbids both
    "its header does not begin with '{'",
    r"its header has .* twice",
    # unknown fields beside the three, or ["F32", [1], [0, 4]] instead of an object
    "has not just dtype, shape and data_offsets",
    # null
    "__metadata__ is not an object of texts",
    # [0, 2**63, 4], which it refuses as [2**63, 4, 0]
    r"shape \[.*\] does not fill bytes (\d+) to \1 ",
]
ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
SETTINGS = settings(derandomize=True, deadline=None, max_examples=300)


def packed(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def sound():
    tensors = {"b.up": torch.ones(2, 3), "a": torch.ones(5, dtype=torch.uint8), "s": torch.ones(())}
    return save(tensors, {"format": "pt", "ß": '"{'})


def written(folder, content):
    path = folder / "some_lora.safetensors"
    path.write_bytes(content)
    return path


def library(path):
    """Names to dtype and shape, and metadata, as safetensors reads them; None if it refuses."""
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            found = {n: (s.get_dtype(), tuple(s.get_shape())) for n, s in slices.items()}
            return found, file.metadata() or {}
    except SafetensorError:
        return None


def ours(path):
    found = read_header(path)
    return {name: info[:2] for name, info in found.tensors.items()}, found.metadata


def disagreement(path):
    """What the library and we make of a file, where that differs; None where it does not.

    A refusal of ours that is among STRICTER is no disagreement.
    """
    expected = library(path)
    try:
        found = ours(path)
    except ValueError as refusal:
        assert str(refusal).startswith(path.name)
        is_known = any(re.search(reason, str(refusal)) for reason in STRICTER)
        return None if expected is None or is_known else (expected, str(refusal))
    return None if found == expected else (expected, found)


def is_read(path):
    """Whether the library and we read the same from a file."""
    return library(path) is not None and ours(path) == library(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("headers")


def refuses(folder, content, sentence):
    path = written(folder, content)
    with pytest.raises(ValueError, match=f"^some_lora.safetensors {sentence}"):
        read_header(path)
    return library(path)


def test_a_file_is_read_as_written(tmp_path):
    entries = {"a": ONE, "__metadata__": {"rank": "4"}}
    content = packed(entries, b"1234")
    found = read_header(written(tmp_path, content))
    begin = len(content) - 4
    assert found.tensors == {"a": TensorInfo("F32", (1,), begin, begin + 4)}
    assert found.metadata == {"rank": "4"}
    assert found.size == len(content)


names = st.text(max_size=20).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 3), max_size=4)


@given(
    tensors=st.dictionaries(names, st.tuples(st.sampled_from([*TORCH_DTYPES]), shapes), max_size=8),
    metadata=st.none() | st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
)
@example({"a\0b": ("F16", [2]), "": ("BOOL", []), "é" * 5000: ("U8", [0])}, {"": "\ud7ff"})
@SETTINGS
def test_what_the_library_saves_is_read_as_the_library_reads_it(folder, tensors, metadata):
    # safetensors 0.8.0 writes {},"__metadata__":{}} for these, which itself cannot read
    assume(tensors or metadata != {})
    made = {
        name: torch.full(shape, float(i + 1)).to(TORCH_DTYPES[dtype])
        for i, (name, (dtype, shape)) in enumerate(tensors.items())
    }
    path = folder / "saved.safetensors"
    save_file(made, path, metadata)
    assert ours(path) == library(path)
    assert ours(path)[0] == {name: (dtype, tuple(s)) for name, (dtype, s) in tensors.items()}
    content = path.read_bytes()
    for name, info in read_header(path).tensors.items():
        raw = made[name].reshape(-1).view(torch.uint8)
        assert content[info.begin : info.end] == bytes(raw.tolist())


@given(st.binary(max_size=100))
@SETTINGS
def test_any_bytes_are_refused_or_read_as_the_library_reads_them(folder, content):
    for variant in (content, packed(content), packed(b"{" + content)):
        assert disagreement(written(folder, variant)) is None


numbers = st.sampled_from([0, 1, 2, 4, 8, 2**32, 2**63, 2**64 - 1, 2**64, -1, 1.0, 1e300, True])
values = st.recursive(
    st.none() | numbers | st.sampled_from(["F32", "F4", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
faults = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "U8", "F4", "F6_E2M3", "I64", "F", None]),
        "shape": st.lists(st.integers(0, 4), max_size=3) | st.lists(numbers, max_size=3) | values,
        "data_offsets": st.tuples(st.integers(0, 9), st.integers(0, 9)) | values,
        "more": st.just("x"),
    },
)


def rarely(strategy, usual):
    return st.integers(0, 9).flatmap(lambda n: strategy if n == 9 else st.just(usual))


@st.composite
def nearly_sound(draw):
    """Tensors side by side, most of the time; a few entries and the size of the data may be off."""
    entries, reached = {}, 0
    for name in draw(st.permutations("abc"))[draw(st.integers(0, 3)) :]:
        dtype, bits = draw(st.sampled_from([("F32", 32), ("U8", 8), ("F4", 4), ("F6_E3M2", 6)]))
        shape = draw(st.lists(st.integers(0, 4), max_size=2))
        begin = reached + draw(rarely(st.integers(-2, 2), 0))
        end = begin + bits * math.prod(shape) // 8 + draw(rarely(st.sampled_from([-1, 1]), 0))
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        entries[name] |= draw(rarely(faults, {}))
        reached = end
    entries |= draw(rarely(st.fixed_dictionaries({"__metadata__": values}), {}))
    entries |= draw(rarely(st.dictionaries(st.sampled_from("ad"), values, min_size=1), {}))
    return packed(entries, bytes(max(0, reached + draw(rarely(st.integers(-2, 2), 0)))))


@given(nearly_sound())
@settings(SETTINGS, max_examples=1000)
def test_any_json_is_refused_or_read_as_the_library_reads_it(folder, content):
    assert disagreement(written(folder, content)) is None


@given(st.data())
@SETTINGS
def test_a_file_with_some_bytes_changed_is_refused_or_read_as_the_library_reads_it(folder, data):
    content = bytearray(sound())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert disagreement(written(folder, bytes(content))) is None


def test_a_file_with_any_one_byte_of_its_header_changed_is_read_as_the_library_reads_it(folder):
    content = sound()
    accepted = 0
    for at in range(len(content) - 33):
        for byte in b'\x00\n "\\[]{},:-.0129eENu\x7f\x80\xff':
            changed = content[:at] + bytes([byte]) + content[at + 1 :]
            path = written(folder, changed)
            assert disagreement(path) is None
            accepted += library(path) is not None
    assert accepted > 100


def test_a_file_cut_anywhere_is_refused_as_cut_off(folder):
    content = sound()
    for size in range(1, len(content)):
        path = written(folder, content[:size])
        with pytest.raises(ValueError, match="^some_lora.safetensors is cut off: .* Download it"):
            read_header(path)
        assert library(path) is None


# 640 and 896 are lengths whose first bytes are those of a pickle of protocol 2 and 3
@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_whose_length_looks_like_a_pickle_is_read(folder, length):
    content = packed(json.dumps({"a": ONE}).encode().ljust(length), b"1234")
    assert pickle.PROTO == content[:1] and 2 <= content[1] <= 5
    assert is_read(written(folder, content))
    refuses(folder, content[:8], "is cut off: 0 of the")
    refuses(folder, content[:300], f"is cut off: 292 of the {length} bytes of its header")


@pytest.mark.parametrize("dtype", sorted(header.DTYPES))
def test_the_size_of_a_dtype_is_the_librarys(folder, dtype):
    bits = header.DTYPES[dtype]
    entry = {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, bits]}
    assert is_read(written(folder, packed({"a": entry}, bytes(bits))))


def test_the_dtypes_are_the_librarys(folder):
    path = written(folder, packed({"a": {**ONE, "dtype": "?"}}, b"1234"))
    with pytest.raises(SafetensorError) as refusal:
        safe_open(path, "pt")
    known = str(refusal.value).split("expected one of")[1].split(" at line")[0]
    assert set(re.findall("`(.*?)`", known)) == set(header.DTYPES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty. Download it again"),
        (b"1234567", "is cut off: it has 7 bytes, and 8 come before the header"),
        (packed({"a": ONE})[:20], "is cut off: 12 of the [0-9]+ bytes of its header are there"),
        (packed({"a": ONE}, b"123"), "is cut off: [0-9]+ of its [0-9]+ bytes are there"),
        (packed({"a": ONE}, b"12345"), "is damaged: 1 bytes follow its last tensor"),
        (packed({}, b"1"), "is damaged: 1 bytes follow"),
        (packed(b"{}", length=2**33), "is damaged .* header of 8589934592 bytes, and at most 1000"),
        (packed(b"{}", length=2**64 - 1), "is damaged .* announces a header of 18446744073709551"),
        (packed(b""), "is damaged or no safetensors file: its header does not begin with '{'"),
        (packed([ONE]), "is damaged or no safetensors file: its header does not begin with '{'"),
        (packed(b'{"\xff": 1}'), "is damaged: its header is not UTF-8 at byte 2"),
        (packed(b'{"a": }'), "is damaged: its header is not JSON at character 6"),
        (packed(b"{}\0"), "is damaged: its header is not JSON at character 2"),
        (packed(b'{"a":' * 10**5), "is damaged: its header is nested too deeply"),
        (packed(b'{"a":' + b"[" * 10**6), "is damaged: its header is nested too deeply"),
        (packed(b'{"__metadata__": {"a": "\\ud800"}}'), "is damaged: .* half a surrogate pair"),
        (packed(b'{"\\udc00": 1}'), "is damaged: its header has half a surrogate pair"),
        (packed(b'{"__metadata__": {"\\udc00": "a"}}'), "is damaged: .* half a surrogate pair"),
        (packed(b'{"b": 1, "a": 1, "a": 1}'), "is damaged: its header has 'a' twice"),
        (packed({"__metadata__": []}), "is damaged: its __metadata__ is not an object of texts"),
        (packed({"__metadata__": {"a": 1}}), "is damaged: its __metadata__ is not an object"),
        (packed({"__metadata__": {"a": None}}), "is damaged: its __metadata__ is not an object"),
        (packed({"a": "F32"}, b"1234"), "is damaged: its tensor 'a' has not just dtype, shape"),
        (packed({"a": {"dtype": "F32"}}), "is damaged: its tensor 'a' has not just dtype, shape"),
    ],
)
def test_a_damaged_file_is_refused_with_its_fault(folder, content, sentence):
    assert refuses(folder, content, sentence) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dtype": "F31"}, "is damaged: its tensor 'a' has the dtype 'F31', and known are F64"),
        ({"dtype": ["F32"]}, "is damaged: its tensor 'a' has the dtype .*F32.*, and known are"),
        ({"dtype": 3}, "is damaged: its tensor 'a' has the dtype 3, and known are"),
        ({"shape": 1}, "is damaged: its tensor 'a' has a shape or data_offsets that are not whole"),
        ({"shape": [True]}, "is damaged: its tensor 'a' has a shape or data_offsets that are not"),
        ({"shape": ["1"]}, "is damaged: its tensor 'a' has a shape or data_offsets that are not"),
        ({"shape": [[1]]}, "is damaged: its tensor 'a' has a shape or data_offsets that are not"),
        ({"data_offsets": [False, 4]}, "is damaged: its tensor 'a' has a shape or data_offsets"),
        ({"data_offsets": [0, 4, 4]}, "is damaged: its tensor 'a' has a shape or data_offsets"),
        ({"data_offsets": {"0": 0}}, "is damaged: its tensor 'a' has a shape or data_offsets"),
        ({"shape": [1.0]}, "is damaged: its header has the number 1.0, and only whole numbers"),
        ({"shape": [-1]}, "is damaged: its header has the number -1, and only whole numbers"),
        ({"shape": [float("nan")]}, "is damaged: its header has the number NaN, and only"),
        ({"data_offsets": [0, float("inf")]}, "is damaged: its header has the number Infinity"),
        ({"data_offsets": [-4, 0]}, "is damaged: its header has the number -4, and only"),
        ({"shape": [10**30]}, "is damaged: its header has the number 10+.*, and only"),
        ({"shape": [2]}, r"is damaged: its tensor 'a' of dtype F32 .* \[2\] does not fill bytes 0"),
        ({"shape": [2**62, 4]}, "is damaged: its tensor 'a' of dtype F32 .* does not fill bytes"),
        ({"shape": [2**63, 4, 0]}, "is damaged: its tensor 'a' of dtype F32 .* does not fill"),
        ({"shape": [2**64, 0]}, "is damaged: its tensor 'a' of dtype F32 .* does not fill bytes"),
        ({"data_offsets": [4, 0]}, "is damaged: its tensor 'a' .* does not fill bytes 4 to 0"),
        ({"data_offsets": [1, 5]}, "is damaged: its tensor 'a' leaves a gap before it"),
        ({"dtype": "F4", "shape": [7]}, "is damaged: its tensor 'a' of dtype F4 .* does not fill"),
        ({"data_offsets": [2**60, 2**60 + 4]}, "is damaged: its tensor 'a' leaves a gap"),
        ({"shape": [2**40], "data_offsets": [0, 2**42]}, "is cut off: [0-9]+ of its 43980465"),
    ],
)
def test_a_damaged_tensor_is_refused_with_its_fault(folder, change, sentence):
    assert refuses(folder, packed({"a": {**ONE, **change}}, b"1234"), sentence) is None


def test_minus_zero_is_refused_as_by_the_library(folder):
    content = packed(b'{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}')
    assert refuses(folder, content, "is damaged: its header has the number -0") is None


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        ([4, 8], None),
        ([0, 4], "is damaged: its tensor '[ab]' overlaps the one before it"),
        ([3, 7], "is damaged: its tensor 'b' overlaps the one before it"),
        ([5, 9], "is damaged: its tensor 'b' leaves a gap before it"),
    ],
)
def test_tensors_lie_side_by_side(folder, second, sentence):
    content = packed({"b": {**ONE, "data_offsets": second}, "a": ONE}, bytes(max(8, second[1])))
    if sentence is None:
        assert is_read(written(folder, content))
    else:
        assert refuses(folder, content, sentence) is None


def test_an_empty_tensor_lies_between_others_and_not_inside_one(folder):
    for at in (0, 4):
        content = packed({"a": ONE, "b": {**EMPTY, "data_offsets": [at, at]}}, b"1234")
        assert is_read(written(folder, content))
    content = packed({"a": ONE, "b": {**EMPTY, "data_offsets": [2, 2]}}, b"1234")
    assert refuses(folder, content, "is damaged: its tensor 'b' overlaps") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b' {"a": %s}', "is damaged or no safetensors file: its header does not begin with '{'"),
        (b'{"a": %s, "a": %s}', "is damaged: its header has 'a' twice"),
        (b'{"a": %s, "\\u0061": %s}', "is damaged: its header has 'a' twice"),
        (b'{"a": %s, "__metadata__": {"x": "1", "x": "2"}}', "is damaged: its header has 'x' twic"),
        (b'{"a": %s, "__metadata__": null}', "is damaged: its __metadata__ is not an object of t"),
        (b'{"a": ["F32", [1], [0, 4]]}', "is damaged: its tensor 'a' has not just dtype"),
        (
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": "y"}}',
            "is damaged: its tensor 'a' has not just dtype",
        ),
        (
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1.5}}',
            "is damaged: its header has the number 1.5",
        ),
        (
            b'{"a": %s, "b": {"dtype": "F32", "shape": [0, 9223372036854775808, 4],'
            b' "data_offsets": [0, 0]}}',
            r"is damaged: its tensor 'b' of dtype F32 and shape \[0, .*\] does not fill bytes 0 to",
        ),
    ],
)
def test_what_no_writer_makes_is_refused_though_the_library_reads_it(folder, text, sentence):
    content = packed(text.replace(b"%s", json.dumps(ONE).encode()), b"1234")
    assert refuses(folder, content, sentence) is not None


def zipped():
    file = io.BytesIO()
    torch.save({"a": torch.ones(3)}, file)
    assert zipfile.is_zipfile(file)
    return file.getvalue()


def legacy():
    file = io.BytesIO()
    torch.save({"a": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (zipped(), "is a zip archive, .* which can run code .* convert it to safetensors"),
        (legacy(), "is a pickle, which can run code .* convert it to safetensors"),
        *[
            (pickle.dumps(value, protocol), "is a pickle, which can run code when it is loaded")
            for protocol in (2, 3, 4, 5)
            for value in ({}, {"a": 1}, list(range(1000)), b"x" * 10**5)
        ],
        (b"GGUF\3\0\0\0" + bytes(100), "is a GGUF file, .* Download its safetensors version"),
        (b"<!DOCTYPE html><html>", "is a web page, .* Download the file again, logged in or with"),
        (b"\xef\xbb\xbf\n  <html lang=en>", "is a web page, .* Download the file again"),
        (b'<?xml version="1.0"?><Error>', "is a web page, .* Download the file again"),
        (b"<html>", "is a web page, .* Download the file again"),
        (b"<head><title>Sign in</title>", "is a web page, .* Download the file again"),
        (b"<!-- Sign in --><html>", "is a web page, .* Download the file again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a Git LFS pointer, .* Run git lfs pull in its folder, or download the file itself",
        ),
        (b'{"error": "Unauthorized"}', "is damaged or no safetensors file: .* Download it again"),
    ],
)
def test_a_file_of_another_kind_is_named(folder, content, sentence):
    assert refuses(folder, content, sentence) is None


def test_a_small_frame_of_a_pickle_is_not_taken_for_the_length_of_a_header(folder):
    # a frame of 4 bytes reads as a header of 76,874,880 bytes, and the file is long enough
    path = folder / "long.ckpt"
    path.write_bytes(b"\x80\x04\x95" + struct.pack("<Q", 4) + b"K\x01K\x02")
    with open(path, "r+b") as file:
        file.truncate(80_000_000)
    with pytest.raises(ValueError, match=r"^long\.ckpt is a pickle"):
        read_header(path)


@pytest.fixture
def asked(monkeypatch):
    """How many bytes each read of a file asked for."""
    sizes = []

    class Recorder(io.FileIO):
        # every other way to read is closed
        readall = readinto = None

        def __init__(self, path, mode, *, buffering):
            assert buffering == 0
            super().__init__(path, mode)

        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(header, "open", Recorder, raising=False)
    return sizes


def sparse(path, size, content):
    path.write_bytes(content)
    with open(path, "r+b") as file:
        file.truncate(size)
    return path


def test_nothing_but_the_header_is_read_of_a_file_of_seven_gigabytes(tmp_path, asked):
    size = 7 * 10**9
    text = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path = sparse(tmp_path / "big.safetensors", 8 + len(text) + size, packed(text))
    info = read_header(path).tensors["a"]
    assert info.end - info.begin == size
    assert asked == [8, len(text)]


@pytest.mark.parametrize("length", [100_000_001, 6 * 10**9])
def test_a_header_above_the_limit_is_not_read_though_the_file_is_long_enough(
    tmp_path, asked, length
):
    path = sparse(tmp_path / "big.safetensors", 7 * 10**9, packed(b"{}", length=length))
    assert library(path) is None
    with pytest.raises(ValueError, match=f"a header of {length} bytes, and at most 100000000 are"):
        read_header(path)
    assert asked == [8, 56]


def test_a_header_at_the_limit_is_read(tmp_path, asked):
    path = written(tmp_path, packed(b"{}".ljust(100_000_000)))
    assert is_read(path)
    assert asked == [8, 100_000_000]


def test_a_message_stays_short_whatever_the_file_holds(folder):
    long = "x" * 10**6
    for entry in (1, {**ONE, "dtype": long}, {**ONE, "shape": [1] * 10**6 + [2]}):
        with pytest.raises(ValueError) as refusal:
            read_header(written(folder, packed({long: entry}, b"1234")))
        assert len(str(refusal.value)) < 700


def test_a_missing_file_is_left_to_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none.safetensors")
