"""A bundle is data from a stranger: what is not just that is refused, in a sentence."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.unit.runtime.drawing import make_contents, make_graph, with_record, write_zip

from etude.core.errors import BundleError
from etude.runtime import load
from etude.runtime.archive import Archive
from etude.runtime.graph import check_graph
from etude.runtime.reference import Reference, drawn_count, drawn_pictures
from etude.runtime.session import Session


def test_a_zip_and_a_folder_open_the_same(tmp_path: Path) -> None:
    contents = make_contents()
    packed = Archive(write_zip(tmp_path / "a.bundle", contents))
    for name, content in contents.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    folder = Archive(tmp_path / "folder")
    assert folder.record == packed.record
    assert folder["model.onnx"] == packed["model.onnx"] == contents["model.onnx"]
    with pytest.raises(BundleError, match=r"no other\.bin"):
        packed["other.bin"]


def _forge(tmp_path: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    """Write a bundle with one more member that the record does not list."""
    path = write_zip(tmp_path / "forged.bundle", make_contents())
    with zipfile.ZipFile(path, "a") as packed:
        member = zipfile.ZipInfo(name)
        if mode:
            member.external_attr = mode << 16
        packed.writestr(member, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "a\\b", "", ".hidden", "a//b", "x" * 300, "evil\x00.txt"],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="bundle"):
        Archive(_forge(tmp_path, name))


def test_links_and_special_files_are_refused(tmp_path: Path) -> None:
    for mode in (stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFDIR | 0o755):
        with pytest.raises(BundleError, match="links or special files"):
            Archive(_forge(tmp_path, "link", b"/etc/passwd", mode))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in make_contents().items():
        (folder / name).write_bytes(content)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="links or special files"):
        Archive(folder)


def test_files_that_are_not_listed_or_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"extra\.bin"):
        Archive(_forge(tmp_path, "extra.bin"))
    contents = make_contents()
    del contents["reference.npz"]
    with pytest.raises(BundleError, match=r"reference\.npz"):
        Archive(write_zip(tmp_path / "b.bundle", contents))
    contents = make_contents()
    del contents["bundle.json"]
    with pytest.raises(BundleError, match=r"with a bundle\.json"):
        Archive(write_zip(tmp_path / "c.bundle", contents))


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    contents = make_contents()
    changed = bytearray(contents["model.onnx"])
    changed[-1] ^= 1
    with pytest.raises(BundleError, match="checksums"):
        Archive(write_zip(tmp_path / "a.bundle", {**contents, "model.onnx": bytes(changed)}))


def test_every_cut_and_many_flips_of_the_file_are_refused_or_harmless(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.bundle", make_contents()).read_bytes()
    path = tmp_path / "b.bundle"
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:at])
        with pytest.raises(BundleError):
            Archive(path)
        flipped = bytearray(whole)
        flipped[at] ^= 0xFF
        path.write_bytes(flipped)
        try:
            Archive(path)
        except BundleError:
            continue


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    contents = make_contents()
    size = len(contents["model.onnx"])
    path = write_zip(tmp_path / "a.bundle", {**contents, "model.onnx": bytes(200 << 20)})
    with pytest.raises(BundleError, match=f"at most {size} bytes"):
        Archive(path)
    many = {f"file{number}": b"" for number in range(100)}
    with pytest.raises(BundleError, match="at most 64 files"):
        Archive(write_zip(tmp_path / "b.bundle", {**contents, **many}))
    huge = with_record(contents)
    record = huge["bundle.json"].replace(f'"bytes": {size}'.encode(), b'"bytes": 99999999999')
    with pytest.raises(BundleError, match="at most 1024 MiB"):
        Archive(write_zip(tmp_path / "c.bundle", {**contents, "bundle.json": record}))


def test_a_length_below_zero_makes_no_room_for_others(tmp_path: Path) -> None:
    contents = make_contents()
    contents["extra.bin"] = b""
    files = json.loads(contents["bundle.json"])["files"]
    files["model.onnx"]["bytes"] = 2 << 30
    files["extra.bin"] = {"sha256": "0" * 64, "bytes": -(2 << 30)}
    with pytest.raises(BundleError, match="0 bytes or more"):
        Archive(write_zip(tmp_path / "a.bundle", with_record(contents, files=files)))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"1" + b"0" * 400])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: bytes) -> None:
    contents = make_contents()
    record = contents["bundle.json"].replace(b'"unsure_below": 0.6', b'"unsure_below": ' + number)
    assert record != contents["bundle.json"]
    with pytest.raises(BundleError, match=r"bundle\.json can be read"):
        Archive(write_zip(tmp_path / "a.bundle", {**contents, "bundle.json": record}))


def test_a_record_of_a_later_format_says_to_update(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="update Étude"):
        Archive(write_zip(tmp_path / "a.bundle", with_record(make_contents(), format=99)))
    for record in (b"[]", b"{", b'{"format": 1}', b"[" * 100_000):
        with pytest.raises(BundleError, match=r"bundle\.json can be read"):
            Archive(write_zip(tmp_path / "a.bundle", {**make_contents(), "bundle.json": record}))


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", tmp_path / "nothing", tmp_path):
        with pytest.raises(BundleError, match="bundle"):
            load(path)


def test_a_study_file_in_place_of_a_bundle_is_told_how_to_become_one(tmp_path: Path) -> None:
    (tmp_path / "breeds.yaml").write_text("study: breeds\n")
    with pytest.raises(BundleError, match=r"a study file.*etude export .*breeds\.yaml --to breeds\.bundle"):
        load(tmp_path / "breeds.yaml")


def test_a_graph_with_data_outside_is_refused() -> None:
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(make_graph("classification", 8))
    tensor = model.graph.initializer[1]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(BundleError, match="external data"):
        check_graph(model.SerializeToString())
    tensor.ClearField("data_location")
    with pytest.raises(BundleError, match="external data"):
        check_graph(model.SerializeToString())


@pytest.mark.parametrize("bits", [32, 33, 40])
def test_a_tag_that_other_readers_would_cut_short_is_refused(bits: int) -> None:
    """onnxruntime keeps 32 bits of a tag: a field that is unknown here would be external data there."""

    def varint(value: int) -> bytes:
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])

    def field(number: int, content: bytes, *, more: int = 0) -> bytes:
        return varint(number << 3 | 2 | more) + varint(len(content)) + content

    inside = field(13, b"x")
    plain = field(7, field(5, inside))  # model > graph > initializer > external data
    with pytest.raises(BundleError, match="external data"):
        check_graph(plain)
    forged = field(7, field(5, field(13, b"x", more=1 << bits)))
    with pytest.raises(BundleError, match="a tag of more than 32 bits"):
        check_graph(forged)


def test_external_data_is_found_in_attributes_and_inner_graphs() -> None:
    import onnx
    from onnx import TensorProto, helper

    hidden = TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "inner", [], [])
    model = onnx.load_from_string(make_graph("classification", 8))
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    with pytest.raises(BundleError, match="external data"):
        check_graph(model.SerializeToString())


def test_operators_and_functions_of_ones_own_are_refused() -> None:
    import onnx
    from onnx import helper

    with pytest.raises(BundleError, match="evil"):
        check_graph(make_graph("classification", 8, domain="evil"))
    model = onnx.load_from_string(make_graph("classification", 8))
    model.functions.append(helper.make_function("own", "f", [], [], [], [helper.make_opsetid("", 18)]))
    with pytest.raises(BundleError, match="function"):
        check_graph(model.SerializeToString())
    check_graph(make_graph("classification", 8))


def make_told(operator: str, numbers: list[float], *, place: int, kind: str) -> bytes:
    """Return a graph of one operator that a constant tells how much to make."""
    from onnx import TensorProto, helper, numpy_helper

    values = np.array(numbers, np.float32 if any(isinstance(number, float) for number in numbers) else np.int64)
    nodes, initial = [], []
    if kind == "raw":
        initial = [numpy_helper.from_array(values, "told")]
    elif kind == "typed":
        dtype = helper.np_dtype_to_tensor_dtype(values.dtype)
        initial = [helper.make_tensor("told", dtype, values.shape, values.tolist())]
    elif kind == "node":
        nodes = [helper.make_node("Constant", [], ["told"], value=numpy_helper.from_array(values))]
    elif kind == "list":
        name = "value_floats" if values.dtype == np.float32 else "value_ints"
        nodes = [helper.make_node("Constant", [], ["told"], **{name: values.tolist()})]
    inputs = ["pictures", *([""] * place)]
    inputs[place] = "told"
    nodes.append(helper.make_node(operator, inputs, ["out"]))
    given = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", 8, 8, 3])
    return helper.make_model(helper.make_graph(nodes, "told", [given], [], initial)).SerializeToString()


@pytest.mark.parametrize("kind", ["raw", "typed", "node", "list"])
@pytest.mark.parametrize(
    ("operator", "numbers", "place"),
    [
        ("ConstantOfShape", [1 << 20, 1 << 20], 0),
        ("Expand", [1, -1, 1 << 40], 1),
        ("Tile", [1 << 31], 1),
        ("Resize", [1.0, 1.0, 1e6, 1e6], 2),
        ("Resize", [1.0, 1.0, float("nan"), 1.0], 2),
        ("Resize", [1, 3, 1 << 20, 1 << 20], 3),
    ],
)
def test_an_operator_that_is_told_to_make_a_huge_value_is_refused(
    kind: str, operator: str, numbers: list[float], place: int
) -> None:
    with pytest.raises(BundleError, match=f"a graph whose {operator} is told to make at most"):
        check_graph(make_told(operator, numbers, place=place, kind=kind))


@pytest.mark.parametrize("kind", ["raw", "typed", "node", "list"])
@pytest.mark.parametrize(
    ("operator", "numbers", "place"),
    [
        ("Expand", [-1, 19, 1024, 2048], 1), ("Tile", [1, 1, 8, 1, 8, 1], 1), ("Resize", [1.0, 1.0, 32.0, 32.0], 2),
        ("Resize", [1, 19, 4096, 4096], 3),
    ],
)  # fmt: skip
def test_what_networks_are_told_is_taken(kind: str, operator: str, numbers: list[float], place: int) -> None:
    check_graph(make_told(operator, numbers, place=place, kind=kind))


@pytest.mark.parametrize("operator", ["Loop", "Scan", "SequenceMap"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_graph_that_loops_is_refused(operator: str, is_inside: bool) -> None:
    """A loop may go round for ever: nothing else in a graph is done more than once for a batch."""
    import onnx
    from onnx import helper

    body = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "body", [], [])
    node = helper.make_node(operator, ["", ""], ["z"], body=body)
    if is_inside:
        branch = helper.make_graph([node], "branch", [], [])
        node = helper.make_node("If", ["which"], ["z"], then_branch=branch, else_branch=body)
    model = onnx.load_from_string(make_graph("classification", 8))
    model.graph.node.append(node)
    with pytest.raises(BundleError, match=f"a graph without loops. Got '?{operator}"):
        check_graph(model.SerializeToString())


def test_a_graph_in_the_format_of_onnxruntime_is_refused(tmp_path: Path) -> None:
    """It would be run in place of the ONNX graph that the same bytes are, and nobody would have looked at it."""
    import onnxruntime as ort

    contents = make_contents()
    (tmp_path / "plain.onnx").write_bytes(contents["model.onnx"])
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "own.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(tmp_path / "plain.onnx"), options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "own.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    with pytest.raises(BundleError, match="an ONNX file"):
        Session(content, "pictures", "probabilities")


@pytest.mark.parametrize("content", [b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x08"])
def test_bytes_that_are_no_graph_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        check_graph(content)


def test_reference_pictures_are_never_unpickled(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, pictures=np.array([{"a": 1}], dtype=object), answers=np.zeros(1))
    path = write_zip(tmp_path / "a.bundle", make_contents(reference=packed.getvalue()))
    with pytest.raises(BundleError, match=r"reference\.npz"):
        load(path).self_test()


def test_a_reference_of_large_pictures_is_read_where_the_record_says_so() -> None:
    """Of 4096 by 4096 pixels one picture with its mask is 64 MiB: more than all arrays of small pictures may be."""
    assert [drawn_count((side, side)) for side in (32, 1024, 2048, 4096, 8192)] == [4, 4, 3, 1, 1]
    assert len(drawn_pictures((16, 16))) == 4
    np.testing.assert_array_equal(drawn_pictures((16, 16), 2), drawn_pictures((16, 16))[:2])
    size_px = (4096, 4096)
    content = Reference(np.zeros((1, *size_px, 3), np.uint8), np.zeros((1, *size_px), np.uint8)).to_bytes()
    assert Reference.from_bytes(content, size_px).pictures.shape == (1, *size_px, 3)
    with pytest.raises(BundleError, match="more than 64 MiB"):
        Reference.from_bytes(content)
    for other in ((16, 16), (4096, 4095)):  # the bound follows the record, and the pictures are held to it
        with pytest.raises(BundleError, match=r"reference\.npz"):
            Reference.from_bytes(content, other)


def test_small_pictures_that_the_record_would_make_large_are_refused(tmp_path: Path) -> None:
    contents = make_contents(reference=_forged_arrays(pictures=np.zeros((1, 1, 1, 3), np.uint8)))
    with pytest.raises(BundleError, match=r"reference\.npz.*\(1, 1, 1, 3\)"):
        load(write_zip(tmp_path / "a.bundle", contents)).self_test()


def _forged_arrays(**arrays: object) -> bytes:
    """Return an `.npz` file of these arrays, beside one picture and its answer."""
    packed = io.BytesIO()
    np.savez(
        packed, **{"pictures": np.zeros((1, 16, 16, 3), np.uint8), "answers": np.ones((1, 3), np.float32), **arrays}
    )
    return packed.getvalue()


def _huge() -> bytes:
    """Return an `.npz` file whose pictures claim 4 PB."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 52, 1, 1, 3)})
    packed = io.BytesIO(_forged_arrays())
    with zipfile.ZipFile(io.BytesIO(_forged_arrays())) as good, zipfile.ZipFile(packed, "w") as forged:
        forged.writestr("pictures.npy", head.getvalue())
        forged.writestr("answers.npy", good.read("answers.npy"))
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no zip file", _huge(),
        _forged_arrays(pictures=np.zeros((0, 16, 16, 3), np.uint8), answers=np.zeros((0, 3), np.float32)),
        _forged_arrays(pictures=np.uint8(3)), _forged_arrays(answers=np.float32(3)),
        _forged_arrays(answers=np.ones((2, 3), np.float32)), _forged_arrays(pictures=np.zeros((1, 16, 16, 4), np.uint8)),
        _forged_arrays(answers=np.array([["red", "green", "blue"]])), _forged_arrays(logits=np.float32(1)),
        _forged_arrays(pictures=np.zeros((300, 1, 1, 3), np.uint8), answers=np.zeros((300, 3), np.float32)),
    ],
)  # fmt: skip
def test_reference_pictures_that_claim_anything_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"reference\.npz"):
        Reference.from_bytes(content)
