# Training images of SPIN's mixtures, as MION (the paper's 3.4) and mmhuman3d's methods see them. The crop is cut before
# anything is done to pixels: a photograph of Human3.6M has 20 times as many as the crop.
train_pipeline = [
    # normal with 30 degrees, cut at the paper's 60 (3.4); that, the scale and the probability are SPIN's
    dict(type="mion.GetRandomScaleRotation", rot_factor=30.0, scale_factor=0.25, rot_prob=0.6),
    dict(type="mion.LoadImageFromFile", crop_size=224),  # large JPEGs at a part of their size; None reads all whole
    dict(type="mion.MeshAffine", img_res=224),
    dict(type="mion.RandomHorizontalFlip", flip_prob=0.5),
    dict(type="mion.RandomChannelNoise", noise_factor=0.4),  # colours times 0.6 to 1.4 (3.4)
    dict(type="mion.Normalize"),
    dict(type="mion.PackBodyInputs"),
]
