"""Cells to hashes, for the digest `rows128-v1`: 128 bits per cell, vectorised, and the same in every release.

This module and `digest.py` are the algorithm, and `deploy/docs/rows128.md` describes it. Whatever changes a hash needs
another name than `rows128-v1`: digests are stored and compared years later. Engines' own hashes are no substitute,
because they change between releases. Imports numpy and pyarrow: import it inside functions.

A cell becomes two words of 64 bits, `h` and `g`, by its value and by its column's name and type. The hash finds
accidents, not forgeries: stored bytes are protected by SHA-256.
"""

import sys
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mcml_assets.domain.errors import ContractViolation

ALGORITHM = "rows128-v1"
Words: TypeAlias = npt.NDArray[np.uint64]
Hashes: TypeAlias = tuple[Words, Words]

# SplitMix64's finalizer with the constants of Stafford's "Mix13": a bijection of 64-bit words in which every input bit
# moves every output bit (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
M1, M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
ONE, GOLDEN = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
NAN = np.float64(np.nan)

if sys.byteorder != "little":  # words are read from Arrow's buffers as they lie there
    raise ImportError("rows128-v1 is implemented for little-endian machines only")


@dataclass(frozen=True, slots=True)
class Seed:
    """What a column's name and type add to its cells; `null_h` and `null_g` are the hashes of a missing value."""

    first: np.uint64
    second: np.uint64
    null_h: np.uint64
    null_g: np.uint64


@cache
def seed_of(path: str, type_name: str) -> Seed:
    """The seed of a column, by its name (a nested field's: `parent.child`) and the name of its type."""
    digest = blake2b(f"{ALGORITHM}\0{path}\0{type_name}".encode(), digest_size=32).digest()
    first, second, null_h, null_g = (np.uint64(int.from_bytes(digest[at : at + 8], "little")) for at in range(0, 32, 8))
    return Seed(first, second, null_h, null_g)


def type_name(kind: pa.DataType) -> str:
    """A type by what its values are, not by how they lie in memory: a dictionary of text is text, as is large text."""
    of = pa.types
    if of.is_dictionary(kind) or of.is_run_end_encoded(kind):
        return type_name(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return type_name(kind.storage_type)
    if of.is_large_string(kind) or of.is_string_view(kind):
        return "string"
    if of.is_large_binary(kind) or of.is_binary_view(kind):
        return "binary"
    if of.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if of.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {type_name(field.type)}' for field in kind)}>"
    return str(kind)


class Buffers:
    """Where hashes are written, for blocks of up to `rows`; shared by columns, so that it stays in a core's cache."""

    def __init__(self, rows: int) -> None:
        self.h, self.g, self.t = (np.empty(rows, "u8") for _ in range(3))


class Hasher:
    """Hashes the cells of one column, block by block; what it returns is overwritten by the next use of its buffers."""

    def __init__(self, path: str, kind: pa.DataType, buffers: Buffers) -> None:
        """Raises `ContractViolation` for a type that has no hash."""
        self.path = path
        self.seed = seed_of(path, type_name(kind))
        self._h, self._g, self._t = buffers.h, buffers.g, buffers.t
        self._of_dictionary: tuple[pa.Array, Hashes] | None = None
        _check_supported(path, kind)

    def hash(self, array: pa.Array) -> Hashes:
        """`h` and `g` of each cell, uint64 of shape (rows,)."""
        array = plain(array)
        kind = array.type
        if pa.types.is_null(kind):
            return self._nulls(len(array))
        if pa.types.is_dictionary(kind):
            h, g = self._dictionary(array)
        elif (words := _one_word(array, self._t)) is not None:
            h, g = self._mix_words(words)
        else:
            h, g = _many_words(array, self.path, self.seed)
        if array.null_count:
            missing = _missing(array)
            h[missing], g[missing] = self.seed.null_h, self.seed.null_g
        return h, g

    def _nulls(self, rows: int) -> Hashes:
        h, g = self._h[:rows], self._g[:rows]
        h[:], g[:] = self.seed.null_h, self.seed.null_g
        return h, g

    def _mix_words(self, words: Words) -> Hashes:
        """One-word cells: `h` is a bijection of the word; `g` is no linear function of it, so that sums are independent."""
        h, g, t = self._h[: len(words)], self._g[: len(words)], self._t[: len(words)]
        np.bitwise_xor(words, self.seed.first, out=h)
        mix(h, t)
        np.right_shift(h, S32, out=t)
        np.bitwise_or(t, ONE, out=t)
        np.multiply(h, t, out=g)
        return h, g

    def _dictionary(self, array: Any) -> Hashes:
        """Distinct values are hashed once, and looked up by the cells."""
        values = array.dictionary
        if self._of_dictionary is None or not self._of_dictionary[0].equals(values):
            self._of_dictionary = values, _own_hashes(self.path, values)
        of_h, of_g = self._of_dictionary[1]
        if not len(values):
            return self._nulls(len(array))
        indices = array.indices
        if indices.null_count:
            indices = indices.fill_null(0)
        positions = _numbers(indices)
        h, g = self._h[: len(array)], self._g[: len(array)]
        np.take(of_h, positions, out=h, mode="clip")
        np.take(of_g, positions, out=g, mode="clip")
        return h, g


def _own_hashes(path: str, array: pa.Array) -> Hashes:
    """The hashes of a whole array, in buffers that nothing else uses."""
    return Hasher(path, array.type, Buffers(max(1, len(array)))).hash(array)


def mix(h: Words, t: Words) -> None:
    """Mix words in place; `t` is scratch of the same shape."""
    np.right_shift(h, S30, out=t)
    np.bitwise_xor(h, t, out=h)
    np.multiply(h, M1, out=h)
    np.right_shift(h, S27, out=t)
    np.bitwise_xor(h, t, out=h)
    np.multiply(h, M2, out=h)
    np.right_shift(h, S31, out=t)
    np.bitwise_xor(h, t, out=h)


def mixed(words: Words) -> Words:
    """Mixed words, the given ones untouched."""
    h = words.copy()
    mix(h, np.empty_like(h))
    return h


def _check_supported(path: str, kind: pa.DataType) -> None:
    of = pa.types
    if of.is_union(kind):
        raise ContractViolation(f"column {path!r} has type {kind}, whose values cannot be compared: {ALGORITHM} has no unions")
    if of.is_dictionary(kind) or of.is_run_end_encoded(kind):
        _check_supported(path, kind.value_type)
    elif of.is_nested(kind):
        for index in range(kind.num_fields):
            _check_supported(path, kind.field(index).type)


def plain(array: pa.Array) -> pa.Array:
    """The same values in one of the layouts that are hashed, where each null counts as one."""
    kind, of = array.type, pa.types
    if isinstance(array, pa.ExtensionArray):
        return plain(array.storage)
    if of.is_dictionary(kind):
        values = array.dictionary  # pyright: ignore[reportAttributeAccessIssue] - the type says it is a DictionaryArray
        return plain(array.dictionary_decode()) if values.null_count or of.is_nested(values.type) else array
    if of.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))  # pyright: ignore[reportAttributeAccessIssue] - pyarrow makes its functions at import
    if of.is_string(kind) or of.is_string_view(kind):
        return array.cast(pa.large_string())
    if of.is_binary(kind) or of.is_binary_view(kind):
        return array.cast(pa.large_binary())
    if of.is_fixed_size_list(kind) or of.is_list(kind):
        return array.cast(pa.large_list(kind.value_type))
    return array


def _missing(array: pa.Array) -> npt.NDArray[np.bool_]:
    return array.is_null().to_numpy(zero_copy_only=False)


def _numbers(array: pa.Array) -> npt.NDArray[Any]:
    """The values of a fixed-width array as they lie in memory, without a copy; what lies under a null is arbitrary."""
    buffer = array.buffers()[1]
    width = array.type.bit_width // 8
    dtype = np.dtype(array.type.to_pandas_dtype()) if pa.types.is_integer(array.type) else np.dtype(f"u{width}")
    if buffer is None:
        return np.zeros(len(array), dtype)
    return np.frombuffer(buffer, dtype, count=len(array), offset=array.offset * width)


def _one_word(array: pa.Array, scratch: Words) -> Words | None:
    """The cells of a type that fits 64 bits, as words; None for any other type. May use `scratch` for them."""
    kind, of = array.type, pa.types
    rows = len(array)
    if of.is_float64(kind):
        return _canonical(_numbers(array).view("f8"), scratch[:rows].view("f8")).view("u8")
    if of.is_float32(kind) or of.is_float16(kind):
        width = kind.bit_width // 8
        numbers = _numbers(array).view(f"f{width}")
        words = scratch[:rows]
        words[:] = _canonical(numbers, np.empty(rows, f"f{width}")).view(f"u{width}")
        return words
    if of.is_boolean(kind):
        words = scratch[:rows]
        words[:] = array.fill_null(False).to_numpy(zero_copy_only=False)
        return words
    if of.is_integer(kind) or of.is_date(kind) or of.is_time(kind) or of.is_timestamp(kind) or of.is_duration(kind):
        numbers = _numbers(array)
        if numbers.dtype.itemsize == 8:
            return numbers.view("u8")
        words = scratch[:rows]
        # Sign and value decide, not the width: the type's name has its own part in the seed.
        words.view("i8")[:] = numbers if of.is_integer(kind) else numbers.view("i4")
        return words
    return None


def _canonical(numbers: npt.NDArray[Any], into: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """-0.0 as 0.0, which it equals; every NaN as one, whatever its sign and payload."""
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes quiet
        np.add(numbers, 0, out=into)
    if np.isnan(into.min(initial=0)):  # any NaN makes the minimum one, which costs half of asking each
        into[np.isnan(into)] = NAN
    return into


def _many_words(array: pa.Array, path: str, seed: Seed) -> Hashes:
    """Cells of any length: text, bytes, decimals, and nested values by those in them."""
    kind, of = array.type, pa.types
    if of.is_large_string(kind) or of.is_large_binary(kind):
        offsets = np.frombuffer(array.buffers()[1], "i8", count=len(array) + 1, offset=array.offset * 8)
        return _hash_bytes(array.buffers()[2], offsets[:-1], np.diff(offsets), seed)
    if of.is_struct(kind):
        return _hash_struct(array, path, seed)
    if of.is_large_list(kind) or of.is_map(kind):
        return _hash_list(array, path, seed)
    width = kind.bit_width // 8  # decimals, fixed bytes, calendar intervals
    starts = (np.arange(len(array), dtype="i8") + array.offset) * width
    return _hash_bytes(array.buffers()[1], starts, np.full(len(array), width, "i8"), seed)


def _hash_bytes(buffer: pa.Buffer | None, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], seed: Seed) -> Hashes:
    """Each cell's bytes, eight at a time, into two running states; the last word is filled up with zeros.

    A step is a bijection of the state and of the word, so cells of one length that differ in one word never collide.
    """
    a = seed.first ^ (lengths.astype("u8") * GOLDEN)
    b = seed.second + lengths.astype("u8")
    if buffer is not None and len(buffer) and len(lengths):
        data = np.frombuffer(buffer, "u1")
        low, high = int(starts.min()), int((starts + lengths).max())
        # Eight more bytes, so that the last words can be read to their full width; a word begins at every byte.
        padded = np.concatenate([data[low:high], np.zeros(8, "u1")])
        words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
        # The longest first, so that the cells that still have bytes are always a prefix.
        order = np.argsort(-lengths, kind="stable")
        offsets, left = starts[order] - low, lengths[order]
        state_a, state_b = a[order], b[order]
        active = len(order)
        while active := int(np.searchsorted(-left[:active], 0)):
            word = words[offsets[:active]]
            short = left[:active] < 8
            if short.any():
                kept = (left[:active][short] * 8).astype("u8")
                word[short] &= (ONE << kept) - ONE
            state_a[:active] = _step(state_a[:active] ^ word, M1)
            state_b[:active] = _step(state_b[:active] + word * GOLDEN, M2)
            offsets[:active] += 8
            left[:active] -= 8
        a[order], b[order] = state_a, state_b
    return mixed(a), mixed(b)


def _step(state: Words, factor: np.uint64) -> Words:
    state = state * factor
    return state ^ (state >> S32)


def _hash_struct(array: Any, path: str, seed: Seed) -> Hashes:
    """A struct by its fields' cells, which know their names."""
    a, b = np.full(len(array), seed.first), np.full(len(array), seed.second)
    for index, field in enumerate(array.type):
        # `field()` leaves the parent's nulls and offset out; a missing struct gets the hash of null whatever is below.
        child = array.field(index)
        h, g = _own_hashes(f"{path}.{field.name}", child)
        a, b = a + h, b + g
    return mixed(a), mixed(b)


def _hash_list(array: Any, path: str, seed: Seed) -> Hashes:
    """A list by its length, its elements and their positions; a map by its entries as they lie."""
    wide = "i4" if pa.types.is_map(array.type) else "i8"
    offsets = np.frombuffer(array.buffers()[1], wide, count=len(array) + 1, offset=array.offset * np.dtype(wide).itemsize)
    offsets = offsets.astype("i8")
    first, last = int(offsets[0]), int(offsets[-1])
    if pa.types.is_map(array.type):
        entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
    else:
        entries = array.values
    elements = entries.slice(first, last - first)
    lengths = np.diff(offsets)
    positions = (np.arange(last - first) - np.repeat(offsets[:-1] - first, lengths)).astype("u8")
    h, g = _own_hashes(f"{path}[]", elements)
    size = lengths.astype("u8")
    a = _sums(mixed(h ^ (positions * GOLDEN)), offsets - first) ^ seed.first
    b = _sums(mixed(g + positions * GOLDEN), offsets - first) ^ seed.second
    return mixed(a + size * GOLDEN), mixed(b + size)


def _sums(values: Words, offsets: npt.NDArray[np.int64]) -> Words:
    """Sums of consecutive stretches modulo 2^64, of empty ones 0."""
    running = np.zeros(len(values) + 1, "u8")
    np.cumsum(values, out=running[1:])
    return running[offsets[1:]] - running[offsets[:-1]]
