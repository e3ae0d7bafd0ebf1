"""What weights and pools tell of the body model that they belong to."""

from dataclasses import replace

import numpy as np
import pytest

from mion_plugin.body import BodyFingerprint, SMPLBody, load_body
from mion_plugin.body.export import export_body
from mion_plugin.body.stand_in import stand_in_fingerprints


@pytest.fixture(scope="module")
def body():
    return load_body()


def test_the_same_numbers_from_another_file(body, tmp_path):
    """SMPL's files hold double precision and unsigned faces; the folder is the machine's own matter."""
    export_body(body, tmp_path / "smpl", "neutral")
    read = BodyFingerprint.of(load_body(tmp_path / "smpl"))
    assert read.differences(BodyFingerprint.of(body)) == []
    assert read.name == "SMPL_NEUTRAL.pkl"


def test_a_zero_has_no_sign_and_the_memory_no_order(body):
    other = replace(
        body,
        v_template=np.asfortranarray(np.where(body.v_template == 0, -0.0, body.v_template).astype(">f4")),
        faces=body.faces.astype(np.int16),
    )
    assert BodyFingerprint.of(other).differences(BodyFingerprint.of(body)) == []


CHANGES = {
    "template": lambda body: {"v_template": body.v_template[::-1]},  # the same points in another order
    "faces": lambda body: {"faces": np.roll(body.faces, 1, axis=1)},
    "shape space": lambda body: {"shapedirs": -body.shapedirs},
}


@pytest.mark.parametrize("part", CHANGES)
def test_what_differs_is_named(body, part):
    own, other = (BodyFingerprint.of(each) for each in (body, replace(body, name="other", **CHANGES[part](body))))
    assert own.differences(other) == [part]
    with pytest.raises(ValueError, match=rf"^here and there: they differ in {part}\. Do this$"):
        own.check(other, "here and there", "Do this")
    assert str(own) != str(replace(other, name=own.name))


def test_a_change_of_a_hundredth_of_a_millimetre_shows(body):
    moved = body.v_template.copy()
    moved[1234, 1] += 1e-5
    assert BodyFingerprint.of(replace(body, v_template=moved)).differences(BodyFingerprint.of(body)) == ["template"]


def test_it_goes_through_a_file_as_texts(body):
    own = BodyFingerprint.of(body)
    assert BodyFingerprint.from_record(own.record(), "a.pth") == own
    for record in ({}, {**own.record(), "faces": 3}, "text", [own.record()]):
        with pytest.raises(ValueError, match=r"a\.pth holds no readable fingerprint of a body, expected texts name, "):
            BodyFingerprint.from_record(record, "a.pth")


def test_every_stand_in_is_another_body():
    found = stand_in_fingerprints()
    assert len({(each.template, each.shape_space) for each in found.values()}) == len(found) == 3


def test_a_body_whose_arrays_are_exchanged_has_theirs(body):
    model = SMPLBody()
    assert model.fingerprint == BodyFingerprint.of(body)
    model.arrays = replace(body, v_template=body.v_template * np.float32(2))
    assert model.fingerprint.differences(BodyFingerprint.of(body)) == ["template"]
