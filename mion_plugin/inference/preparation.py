"""From a photograph and a person in it to the crop that the networks are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mion_plugin.geometry.keypoints import convert_keypoints

_CONVENTION = "coco"  # of the keypoints of a ``CocoPerson``


@dataclass(frozen=True)
class PersonCropper:
    """Cuts people out of photographs. It holds no network, so the workers of a data loader can have one.

    Attributes:
        image_size: Pixels, side of the crop.
        convention: Order of the keypoints that the networks read.
        use_depths: Hand on the depths of those who come with some.
    """

    image_size: int
    convention: str
    use_depths: bool = True

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """A sample of numpy arrays for the steps after the crop.

        Args:
            results: ``img`` (H, W, 3) uint8 RGB, ``known``, a ``CocoPerson``, ``place``, a ``CropPlace``, and
                ``image_name``; whatever else is in it is handed on.
        """
        person, place, image = results["known"], results["place"], results["img"]
        keypoints2d = place.to_crop(person.keypoints2d, self.image_size)
        keypoints2d[person.keypoints2d[:, 2] == 0] = 0
        known = {}
        if self.use_depths and person.depths is not None:
            known["depths_input"] = convert_keypoints(person.depths, _CONVENTION, self.convention)[0]
        return {
            **results,
            "img": place.cut(image, self.image_size),
            "keypoints2d": convert_keypoints(keypoints2d, _CONVENTION, self.convention)[0],
            **known,
            "keypoints2d_convention": self.convention,
            "crop_size": self.image_size,
            "ori_shape": image.shape[:2],
            "image_path": results["image_name"],
        }
