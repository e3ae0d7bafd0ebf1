# Synthetic people at 112 x 112, trained on written pictures; validation and test people are those of synthetic_112.py.
#   python tools/synthesize.py --out data/synthetic_112 --num-images 36000 --image-size 112 \
#       --detected-noise 1.5 --exchange-prob 0.2
_base_ = "synthetic_112.py"

train_dataloader = dict(
    batch_size=64,
    drop_last=True,  # a batch of few would spoil the statistics of the batch normalisation
    dataset=dict(
        _delete_=True,
        type="mion.HumanDataset",
        ann_file="train.npz",
        data_root="data/synthetic_112",
        dataset_name="synthetic_112",
        keypoints3d_convention="smpl_54",  # as synthetic_112.py
        pipeline=[
            dict(type="mion.LoadImageFromFile"),
            dict(type="mion.ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
            dict(type="mion.RandomChannelNoise", noise_factor=0.2),
            dict(type="mion.RandomHorizontalFlip", flip_prob=0.5),
            dict(type="mion.MeshAffine", img_res=112),  # nothing to do for pictures of that size
            dict(type="mion.Normalize"),
            dict(type="mion.PackBodyInputs"),
        ],
    ),
)
