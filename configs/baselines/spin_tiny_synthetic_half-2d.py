# SPIN with SMPLify in the loop: half of the images have 2D keypoints alone, fewer labels than the others learn from.
# mmhuman3d's 50 and 50 iterations, on a subset of the pictures: an image takes a tenth of a second of a CPU to fit.
#   python tools/train.py configs/baselines/spin_tiny_synthetic_half-2d.py --resume
#   python tools/test.py configs/baselines/spin_tiny_synthetic_half-2d.py CHECKPOINT
_base_ = ["./spin_tiny_synthetic.py"]

pipeline = _base_.people.pipeline
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dict(
            _base_.people,
            indices=4096,
            pipeline=[pipeline[0], dict(type="mion.HideLabels", share=0.5), *pipeline[1:]],
        ),
    )
)
