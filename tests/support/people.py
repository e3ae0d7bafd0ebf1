"""A person as a photograph gives one."""

import numpy as np
import roma
import torch

from mion_plugin.inference.cropping import CropPlace
from mion_plugin.inference.image_camera import PinholeCamera, equivalent_camera, fit_to_camera, image_camera
from mion_plugin.inference.results import PersonBodies

CROP = PinholeCamera(5000.0, (112.0, 112.0))


def make_person(body, angle=0.0, center=(320.0, 240.0), depth=45.0, number=0, paths=2):
    """Someone whose left elbow is bent by ``angle``, in the second of two paths."""
    pose = torch.zeros(paths, 24, 3)
    pose[:, 0, 0] = torch.pi
    pose[-1, 18, 1] = angle
    betas, transl = torch.full((paths, 10), angle), torch.tensor([[0.05, 0.1, depth]]).expand(paths, 3)
    place = CropPlace(np.array(center), 300.0)
    in_image, target = equivalent_camera(place, 5000.0, 224), image_camera(480, 640)
    vertices = body(pose, betas, transl).vertices
    image_transl, image_error = fit_to_camera(vertices, transl, in_image, target)
    return PersonBodies(
        image_name="a.jpg",
        person=number,
        valid=True,
        selected=paths - 1,
        keypoints2d=np.ones((17, 3)),
        crop=place,
        image_size=224,
        pose=roma.rotvec_to_rotmat(pose).numpy(),
        betas=betas.numpy(),
        transl=transl.clone().numpy(),
        vertices=vertices.numpy(),
        crop_camera=CROP,
        crop_camera_in_image=in_image,
        image_camera=target,
        image_transl=image_transl.float().numpy(),
        image_error=image_error.float().numpy(),
        scores=np.arange(paths, dtype=np.float32),
    )
