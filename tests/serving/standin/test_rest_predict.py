"""Predict: the request/response pairs of the public REST documentation, and its errors."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import requests


def post(api: str, model: str, body: Any) -> requests.Response:
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return requests.post(f"{api}/{model}:predict", data=data, timeout=30)


def test_documented_example(api: str) -> None:
    # The documentation's half_plus_three call, with half_plus_two.
    reply = post(api, "half_plus_two", {"instances": [1.0, 2.0, 5.0]})
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    # Character for character what tensorflow/serving issue #1128 shows of the real server.
    assert reply.text == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_every_reply_says_stand_in(server: Any, api: str) -> None:
    urls = [f"{api}/half_plus_two", f"{api}/nothing", f"{server.url}/other"]
    replies = [requests.get(url, timeout=30) for url in urls]
    replies.append(post(api, "half_plus_two", {"instances": [1.0]}))
    for reply in replies:
        assert reply.headers["Server"] == "tensorflow-serving-stand-in"
        assert reply.headers["X-Stand-In"] == "tensorflow-serving"
    assert "stand-in" in server.log.read_text()


def test_column_form_of_one_input(api: str) -> None:
    reply = post(api, "half_plus_two", {"signature_name": "serving_default", "inputs": [3.0, 4.0]})
    assert reply.json() == {"outputs": [3.5, 4.0]}
    assert reply.text == '{\n    "outputs": [\n        3.5,\n        4.0\n    ]\n}'


def test_nested_rows_keep_their_shape(api: str) -> None:
    reply = post(api, "half_plus_two", {"instances": [[1.0, 2.0], [3.0, 4.0]]})
    assert reply.json() == {"predictions": [[2.5, 3.0], [3.5, 4.0]]}
    assert "[[2.5, 3.0], [3.5, 4.0]\n" in reply.text


def test_a_scalar_input(api: str) -> None:
    assert post(api, "half_plus_two", {"inputs": 4}).json() == {"outputs": 4.0}


@pytest.mark.parametrize("path", ["half_plus_two/versions/123", "half_plus_two/labels/stable"])
def test_version_and_label(api: str, path: str) -> None:
    assert post(api, path, {"instances": [2.0]}).json() == {"predictions": [3.0]}


# The tag, signal and sensor example of the documentation.
ROWS = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]


def test_several_inputs_in_row_form(api: str) -> None:
    reply = post(api, "several", {"instances": ROWS})
    assert reply.json() == {
        "predictions": [
            {"sensor": [[1, 2], [3, 4]], "tag": "foo", "total": 15.0},
            {"sensor": [[4, 5], [6, 8]], "tag": "bar", "total": 15.0},
        ]
    }
    assert reply.text.startswith(
        '{\n    "predictions": [\n        {\n            "sensor": [[1, 2]'
    )


def test_several_inputs_in_column_form(api: str) -> None:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    assert post(api, "several", {"inputs": columns}).json() == {
        "outputs": {
            "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
            "tag": ["foo", "bar"],
            "total": [15.0, 15.0],
        }
    }


def test_every_type(api: str) -> None:
    row = {
        "float32_in": 0.1, "float64_in": 0.1, "int8_in": -5, "int16_in": -300, "int32_in": 70000,
        "int64_in": -(2**62), "uint8_in": 200, "uint32_in": 2**32 - 1, "uint64_in": 2**64 - 1,
        "bool_in": True, "string_in": "héllo \"q\" \n",
    }  # fmt: skip
    assert post(api, "kinds", {"instances": [row, row]}).json() == {"predictions": [row, row]}


def test_bytes_in_and_out(api: str) -> None:
    body = {"instances": [{"b64": "aW1hZ2UgYnl0ZXM="}, {"b64": "//4A"}]}
    assert post(api, "echo", body).json() == {
        "predictions": [{"b64": "aW1hZ2UgYnl0ZXM="}, {"b64": "//4A"}]
    }


def test_bytes_that_are_not_utf8_come_back_as_sent(api: str) -> None:
    reply = post(api, "text", b'{"instances": ["\xff\xfe"]}')
    assert reply.content == b'{\n    "predictions": ["\xff\xfe"\n    ]\n}'


def test_non_finite_numbers_stand_bare_both_ways(api: str) -> None:
    reply = post(api, "half_plus_two", '{"instances": [NaN, Infinity, -Infinity, Inf, -Inf]}')
    assert reply.text.startswith(
        '{\n    "predictions": [NaN, Infinity, -Infinity, Infinity, -Infinity'
    )
    assert math.isnan(json.loads(reply.text)["predictions"][0])


@pytest.mark.parametrize(
    ("sent", "shown"),
    # The numbers of json_tensor_test.cc (FromJsonSingleFloatTensorSixDigitPrecision), 9 digits
    # where six do not suffice.
    [("17999996.0", "9e+06"), ("1999994", "999999.0"), ("-3", "0.5"), ("-3.9375", "0.03125"),
     ("1111111", "555557.5"), ("-4", "0.0"), ("-2.6", "0.700000048"), ("0.46913578", "2.23456788")],
)  # fmt: skip
def test_floats_have_six_digits_or_all(api: str, sent: str, shown: str) -> None:
    reply = post(api, "half_plus_two", f'{{"instances": [{sent}]}}')
    text = reply.text.partition("[")[2].partition("\n")[0]
    assert text == shown


BAD = [
    ("half_plus_two", b"", "JSON Parse error: The document is empty"),
    ("half_plus_two", b"instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
    (
        "half_plus_two",
        b'{"instances": [1.0 2.0]}',
        "JSON Parse error: Missing a comma or ] after an array element. at offset: 19",
    ),
    ("half_plus_two", b"[1]", "JSON Value: [\n    1\n] Is not object"),
    ("half_plus_two", b"{}", "Missing 'inputs' or 'instances' key"),
    ("half_plus_two", b'{"instances": []}', "No values in 'instances' array"),
    ("half_plus_two", b'{"instances": 1}', "Excepting 'instances' to be an list/array"),
    (
        "half_plus_two",
        b'{"instances": [1], "inputs": [1]}',
        "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    (
        "half_plus_two",
        b'{"signature_name": 5, "instances": [1]}',
        "'signature_name' key must be a string value.",
    ),
    (
        "half_plus_two",
        b'{"signature_name": "nope", "instances": [1]}',
        'Serving signature name: "nope" not found in signature def',
    ),
    (
        "half_plus_two",
        b'{"instances": ["a"]}',
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value:"
        ' "a" Type: String is not of expected type: float',
    ),
    ("half_plus_two", b'{"inputs": true}', "JSON Value: true Type: True is not of expected type"),
    (
        "half_plus_two",
        b'{"instances": [[1, 2], [3]]}',
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting"
        " tensor size: 2 but got: 1",
    ),
    (
        "half_plus_two",
        b'{"instances": [[1, 2], [[3, 4]]]}',
        "Expecting shape [2] but got: [1,2]",
    ),
    (
        "half_plus_two",
        b'{"inputs": [[1, 2], [3]]}',
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    (
        "half_plus_two",
        b'{"inputs": [16777217]}',
        "Cannot convert JSON value: 16777217 to float without loss of precision.",
    ),
    (
        "half_plus_two",
        b'{"inputs": [1.7e308]}',
        "Cannot convert JSON value: 1.7e+308 to float without loss of precision.",
    ),
    (
        "half_plus_two",
        b'{"instances": [1e999]}',
        "JSON Parse error: Number too big to be stored in double. at offset: 15",
    ),
    (
        "half_plus_two",
        b'{"instances": [{"z": 1}]}',
        "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON"
        " object: does not have named input: z",
    ),
    (
        "several",
        b'{"instances": [[1]]}',
        "instances is a plain list, but expecting list of objects as multiple input tensors"
        " required as per tensorinfo_map",
    ),
    (
        "several",
        b'{"inputs": [1]}',
        "inputs is a plain value/list, but expecting an object as multiple input tensors required"
        " as per tensorinfo_map",
    ),
    (
        "several",
        b'{"inputs": {"tag": ["a"], "signal": [[1, 2, 3, 4, 5]]}}',
        "Missing named input: sensor in 'inputs' object.",
    ),
    (
        "several",
        b'{"instances": [{"tag": "a"}]}',
        'Failed to process element: 0 of \'instances\' list. JSON object: {\n    "tag": "a"\n} keys'
        " must be equal to: sensor,signal,tag",
    ),
    ("echo", b'{"instances": [{"b64": "a"}]}', "Unable to base64 decode"),
    ("echo", b'{"instances": [1]}', "JSON Value: 1 Type: Number is not of expected type: string"),
    ("half", b'{"instances": [1]}', "Failed to write JSON value for tensor type: half"),
    ("constant", b'{"instances": [1]}', "Tensor name: y has no shape information "),
    (
        "ragged",
        b'{"instances": [1]}',
        "Tensor name: b has inconsistent batch size: 2 expecting: 1",
    ),
    # TensorFlow's own words about a wrong shape pass through.
    ("matrix", b'{"instances": [[1, 2]]}', "Matrix size-incompatible: In[0]: [1,2], In[1]: [3,1]"),
]


@pytest.mark.parametrize(("model", "body", "message"), BAD)
def test_bad_requests(api: str, model: str, body: bytes, message: str) -> None:
    reply = post(api, model, body)
    assert reply.status_code == 400
    assert message in reply.json()["error"]
    assert reply.text.startswith('{\n    "error": "')
    # The next request works.
    assert post(api, "half_plus_two", {"instances": [2]}).json() == {"predictions": [3.0]}


def test_a_type_json_cannot_carry_is_501(api: str) -> None:
    reply = post(api, "half_input", {"inputs": [1.5]})
    assert reply.status_code == 501
    assert reply.json() == {"error": "Conversion of JSON Value: 1.5 to type: half"}


def test_unknown_model_as_documented(api: str) -> None:
    reply = post(api, "half", {"instances": [1.0, 5.0]})
    assert reply.status_code == 400  # there is a model of this name here
    reply = post(api, "quarter", {"instances": [1.0, 5.0]})
    assert reply.status_code == 404
    assert reply.json() == {"error": "Servable not found for request: Latest(quarter)"}


def test_unknown_version_and_label(api: str) -> None:
    reply = post(api, "half_plus_two/versions/99", {"instances": [1.0]})
    assert reply.status_code == 404
    error = "Servable not found for request: Specific(half_plus_two, 99)"
    assert reply.json() == {"error": error}
    reply = post(api, "half_plus_two/labels/canary", {"instances": [1.0]})
    assert reply.status_code == 400
    assert reply.json() == {"error": "Unrecognized servable version label: canary"}


def test_body_limit(api: str) -> None:
    reply = post(api, "half_plus_two", b" " * (2**20 + 1))
    assert reply.status_code == 413
    assert "stand-in" in reply.json()["error"]


def test_hostile_bodies_get_an_answer(api: str) -> None:
    bodies = [
        b'{"instances": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"instances": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"instances": [' + b"9" * 100_000 + b"]}",
        b'{"instances": ["\\ud800"]}',
        b"\x00",
    ]
    for body in bodies:
        reply = post(api, "half_plus_two", body)
        assert reply.status_code == 400, body[:40]
        assert reply.json()["error"]
