"""Parts that were cast to 16 bits."""

import pytest
import torch
from support.tiny_mion import make_body_pool, make_images, make_mion, make_samples

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.fitting import KeypointFit, StartPrior
from mion_plugin.samples import input_keypoints


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_they_are_refused_and_autocast_is_named(dtype: torch.dtype) -> None:
    body = SMPLBody()
    selector = CandidateSelector(make_body_pool(body), num_candidates=2)
    model = make_mion(body, selector=selector, fit=KeypointFit(body, StartPrior(pool_share=0)))
    image, keypoints2d = make_images(), input_keypoints(make_samples(body), "coco", torch.device("cpu"))
    candidates = model.selector(keypoints2d)
    bodies = model.refiner(image, candidates, keypoints2d)
    model.to(dtype)
    for part, arguments in (
        (model.estimate, (image, keypoints2d)),
        (model.selector, (keypoints2d,)),
        (model.refiner, (image, candidates, keypoints2d)),
        (model.fit, (bodies, keypoints2d)),
    ):
        with pytest.raises(
            ValueError, match=rf"weights of this \w+ are {dtype}, expected float32.* under torch.autocast"
        ):
            part(*arguments)
