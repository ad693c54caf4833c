"""An ONNX model that hardly ends, written without the onnx package: one Loop node of 2^40 turns."""

VARINT, BYTES = 0, 2
"""Wire types of protobuf."""

INT64, BOOL = 7, 9
"""Element types of ONNX."""

TURNS = 1 << 40


def endless_model() -> bytes:
    """Return the model: an int64[1] goes in and comes out, after 2^40 additions to itself."""
    body = _graph(
        [_node("Identity", ["going"], ["goes_on"]), _node("Add", ["sum", "sum"], ["doubled"])],
        [_value("turn", INT64, []), _value("going", BOOL, []), _value("sum", INT64, [1])],
        [_value("goes_on", BOOL, []), _value("doubled", INT64, [1])],
    )
    attribute = _text(1, "body") + _number(20, 5) + _bytes(6, body)  # 5: a graph
    loop = _node("Loop", ["turns", "", "number"], ["result"], attribute)
    turns = _number(1, 1) + _number(2, INT64) + _text(8, "turns") + _bytes(9, TURNS.to_bytes(8, "little"))
    graph = _graph([loop], [_value("number", INT64, [1])], [_value("result", INT64, [1])]) + _bytes(5, turns)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 17))  # IR 8, opset 17


def _graph(nodes: list[bytes], inputs: list[bytes], outputs: list[bytes]) -> bytes:
    parts = [_bytes(1, node) for node in nodes] + [_text(2, "graph")]
    return b"".join(parts + [_bytes(11, one) for one in inputs] + [_bytes(12, one) for one in outputs])


def _node(kind: str, inputs: list[str], outputs: list[str], attribute: bytes = b"") -> bytes:
    names = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
    return b"".join(names) + _text(4, kind) + (_bytes(5, attribute) if attribute else b"")


def _value(name: str, kind: int, shape: list[int]) -> bytes:
    dimensions = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dimensions)))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])
