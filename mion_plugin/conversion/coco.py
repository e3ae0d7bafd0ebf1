"""COCO 2014 (Lin et al., ECCV 2014): 2D keypoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mion_plugin.conversion.archives import fields, load_json, safe_relative
from mion_plugin.conversion.people import BOX_SCALE, People
from mion_plugin.datasets.coco import with_confidence
from mion_plugin.datasets.coco_documents import PersonCategories, id_key, require_ids
from mion_plugin.geometry.boxes import scale_boxes


def convert_coco(archive: Path, split: str, progress: Callable[[int, int], None] = lambda done, total: None) -> People:
    """Convert the training set: the people whose 12 joints of the body are all annotated, as SPIN and mmhuman3d.

    The box is the annotated one times 1.2, as SPIN's; mmhuman3d's converter leaves it tight. Keypoints are told by the
    middle of their pixel, as everywhere here; COCO gives its index, from 0, and mmhuman3d's converter leaves it so.

    Args:
        archive: Holds ``annotations/person_keypoints_train2014.json`` and ``train2014``.
        split: ``2014_train`` or ``2014_val``.
        progress: Called with the number of annotations done and of all.

    Raises:
        FileNotFoundError, ValueError: The annotations are missing, or are not COCO's.
    """
    people = People("coco", keypoints2d="coco")
    year, part = split.split("_")
    folder = f"{part}{year}"
    path = archive / "annotations" / f"person_keypoints_{folder}.json"
    content = load_json(path)
    try:
        require_ids(content["images"], content["annotations"], path)
        names = {id_key(image["id"]): safe_relative(str(image["file_name"]), path) for image in content["images"]}
        categories = PersonCategories(content)
        annotations = sorted(
            (annotation for annotation in content["annotations"] if categories.include(annotation)),
            key=lambda annotation: (len(id_key(annotation["image_id"])), id_key(annotation["image_id"])),
        )
        for done, annotation in enumerate(annotations, start=1):
            keypoints2d, bbox = fields(annotation, path, keypoints=(51,), bbox=(4,))
            keypoints2d = with_confidence(keypoints2d.reshape(17, 3))
            if keypoints2d[5:, 2].all():
                name = f"{folder}/{names[id_key(annotation['image_id'])]}"
                people.add(name, scale_boxes(bbox, BOX_SCALE), keypoints2d)
            else:
                people.skip("people with a joint of the body not annotated")
            progress(done, len(annotations))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a COCO keypoint file: {error!r} is missing or of another type") from None
    return people
