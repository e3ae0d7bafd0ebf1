# Synthetic people at 112 x 112, made on the fly; test poses come from recordings that no training pose comes from.
# Training pictures look as cheap cameras make them (photographs, skins, things in front, faults, cameras held freely);
# validation and test pictures are plain, so that figures compare over versions; mion_tiny_synthetic_harsh.py: others.
_base_ = "mesh_evaluator.py"

image_size = 112
pipeline = [
    dict(type="mion.Normalize"),
    dict(type="mion.PackBodyInputs"),
]
# A detector's error; the paper's keypoints are HRNet's, whose typical error is 1-2 % of the person's height.
detected_noise = 1.5

synthetic_loader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
)
synthetic_people = dict(
    type="mion.SURREALSynthesisDataset",
    image_size=image_size,
    detected_noise=detected_noise,
    pipeline=pipeline,
)
train_dataloader = dict(
    **synthetic_loader,
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(
        **synthetic_people,
        num_samples=3200,
        split="train",
        fresh_samples=True,
        looks=dict(recipe="training"),
        keypoints3d_convention="smpl_54",  # the body's own; joints that h36m names alike are regressed elsewhere
    ),
)
val_dataloader = dict(
    **synthetic_loader,
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(**synthetic_people, num_samples=256, split="test", seed=1, looks=dict(recipe="plain")),
)
test_dataloader = dict(
    **synthetic_loader,
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(**synthetic_people, num_samples=1024, split="test", seed=2, looks=dict(recipe="plain")),
)
val_cfg = dict()
test_cfg = dict()
