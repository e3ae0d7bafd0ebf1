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

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(
        type="mion.SURREALSynthesisDataset",
        num_samples=3200,
        split="train",
        image_size=image_size,
        detected_noise=detected_noise,
        fresh_samples=True,
        looks=dict(recipe="training"),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(
        type="mion.SURREALSynthesisDataset",
        num_samples=256,
        split="test",
        seed=1,
        image_size=image_size,
        detected_noise=detected_noise,
        looks=dict(recipe="plain"),
        pipeline=pipeline,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(
        type="mion.SURREALSynthesisDataset",
        num_samples=1024,
        split="test",
        seed=2,
        image_size=image_size,
        detected_noise=detected_noise,
        looks=dict(recipe="plain"),
        pipeline=pipeline,
    ),
)
val_cfg = dict()
test_cfg = dict()
