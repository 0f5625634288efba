"""Small Parquet files of features in every form that is read: with and without Snappy, both forms of pages, all encodings."""
import struct

BYTE_ARRAY, FLOAT, INT32 = 6, 4, 1
PLAIN, DICTIONARY, LENGTHS, PREFIXES, SPLIT, NUMBERS = 0, 8, 6, 7, 9, 5
ROWS, WIDTH = 3, 4


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def fields(*given):
    """A structure of Thrift's compact protocol, of (number, value): whole numbers are i64 where they are offsets, else i32."""
    out, last = b"", 0
    for number, value in given:
        kind, body = encoded(value)
        out += bytes([(number - last) << 4 | kind]) + body
        last = number
    return out + b"\0"


def encoded(value):
    if isinstance(value, bool):
        return (1 if value else 2), b""
    if isinstance(value, int):
        return 5, zigzag(value)
    if isinstance(value, str):
        return 8, varint(len(value)) + value.encode()
    if isinstance(value, list):
        kind = encoded(value[0])[0] if value else 12
        return 9, bytes([len(value) << 4 | kind]) + b"".join(encoded(part)[1] for part in value)
    if isinstance(value, bytes):  # A structure.
        return 12, value
    return 6, zigzag(value[0])  # An i64, as a tuple of one.


def snappy(data):
    """Snappy of literals alone."""
    out = varint(len(data))
    for at in range(0, len(data), 60):
        part = data[at : at + 60]
        out += bytes([(len(part) - 1) << 2]) + part
    return out


def differences(numbers):
    """DELTA_BINARY_PACKED of numbers whose differences are all equal, but for the first block's."""
    step = numbers[1] - numbers[0]
    assert all(b - a == step for a, b in zip(numbers, numbers[1:]))
    return b"\x80\x01\x04" + varint(len(numbers)) + zigzag(numbers[0]) + zigzag(step) + bytes(4)


def page(kind, count, encoding, body, levels, is_packed, is_second):
    """Levels are pairs of runs: repetition and definition, each may be empty."""
    if kind == 2:
        whole, about = body, (7, fields((1, count), (2, encoding)))
        packed = snappy(whole) if is_packed else whole
    elif is_second:
        kind, head = 3, levels[0] + levels[1]
        packed = head + (snappy(body) if is_packed else body)
        whole = head + body
        about = (8, fields((1, count), (2, 0), (3, ROWS), (4, encoding), (5, len(levels[1])), (6, len(levels[0])), (7, is_packed)))
    else:
        whole = b"".join(struct.pack("<I", len(level)) + level for level in levels if level) + body
        about = (5, fields((1, count), (2, encoding), (3, 3), (4, 3)))
        packed = snappy(whole) if is_packed else whole
    return fields((1, kind), (2, len(whole)), (3, len(packed)), about) + packed


def texts(values, encoding):
    """Pages' bodies of texts: of a dictionary if there is one, and of the values."""
    plain = b"".join(struct.pack("<I", len(text)) + text for text in values)
    if encoding == PLAIN:
        return None, plain
    if encoding == DICTIONARY:
        return plain, bytes([2, 3]) + bytes([0b00100100, 0])
    lengths = differences([len(text) for text in values])
    if encoding == LENGTHS:
        return None, lengths + b"".join(values)
    return None, differences([0] * len(values)) + lengths + b"".join(values)


def file(id_encoding, label_type, feature_encoding, is_packed, is_second, is_optional):
    out, columns = b"PAR1", []
    level = bytes([ROWS << 1, 1]) if is_optional else b""
    numbers = struct.pack(f"<{ROWS * WIDTH}f", *range(ROWS * WIDTH))
    if feature_encoding == SPLIT:
        numbers = b"".join(numbers[i::4] for i in range(4))
    feature_levels = b"".join(bytes([2, 0, (WIDTH - 1) << 1, 1]) for _ in range(ROWS)), bytes([ROWS * WIDTH << 1, 3 if is_optional else 1])
    labels = (None, differences(list(range(ROWS)))) if label_type == INT32 else texts([b"0", b"1", b"2"], PLAIN)
    for kind, encoding, count, levels, (dictionary, body) in (
        (BYTE_ARRAY, id_encoding, ROWS, (b"", level), texts([b"a/1", b"a/2", b"b/3"], id_encoding)),
        (label_type, NUMBERS if label_type == INT32 else PLAIN, ROWS, (b"", level), labels),
        (FLOAT, feature_encoding, ROWS * WIDTH, feature_levels, (None, numbers)),
    ):
        pages = page(2, ROWS, PLAIN, dictionary, None, is_packed, is_second) if dictionary else b""
        at = len(out)
        data = at + len(pages)
        pages += page(0, count, encoding, body, levels, is_packed, is_second)
        out += pages
        places = [(9, (data,))] + ([(11, (at,))] if dictionary else [])
        about = fields((1, kind), (2, [encoding]), (3, ["x"]), (4, int(is_packed)), (5, (count,)), (6, (len(pages),)), (7, (len(pages),)), *places)
        columns.append(fields((2, (at,)), (3, about)))
    repeats = int(is_optional)
    schema = [fields((4, "schema"), (5, 3)), fields((1, BYTE_ARRAY), (3, repeats), (4, "id")), fields((1, label_type), (3, repeats), (4, "label"))]
    schema += [fields((3, repeats), (4, "features"), (5, 1)), fields((3, 2), (4, "list"), (5, 1)), fields((1, FLOAT), (3, repeats), (4, "element"))]
    footer = fields((1, 1), (2, schema), (3, (ROWS,)), (4, [fields((1, columns), (2, (len(out),)), (3, (ROWS,)))]), (5, [fields((1, "k"), (2, "v"))]))
    return out + footer + struct.pack("<I", len(footer)) + b"PAR1"


def files():
    for is_packed in (False, True):
        for is_second in (False, True):
            for id_encoding, label_type, feature_encoding, is_optional in (
                (PLAIN, BYTE_ARRAY, PLAIN, False),
                (DICTIONARY, INT32, SPLIT, True),
                (LENGTHS, BYTE_ARRAY, PLAIN, True),
                (PREFIXES, INT32, PLAIN, False),
            ):
                yield file(id_encoding, label_type, feature_encoding, is_packed, is_second, is_optional)
