# How the networks see a picture, and what inference_image_based_model does with the crop of one person. The crop
# depends on the network: a config puts MeshAffine before.
normalize = dict(type="Normalize", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
person_steps = [
    dict(type="PersonKeypoints"),  # those of mion_plugin.hosts.mmhuman3d.inference.use_keypoints
    normalize,
    dict(type="ImageToTensor", keys=["img"]),
    dict(
        type="Collect",
        keys=["img", "sample_idx"],
        meta_keys=["image_path", "center", "scale", "rotation", "keypoints2d_input"],
    ),
]
