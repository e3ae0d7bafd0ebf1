# SPIN with SMPLify in the loop: half of the images have 2D keypoints alone, fewer labels than the others learn from.
#   python tools/train.py configs/baselines/spin_tiny_synthetic_half-2d.py
#   python tools/test.py configs/baselines/spin_tiny_synthetic_half-2d.py CHECKPOINT
_base_ = ["./spin_tiny_synthetic.py"]

train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type="mion.HideLabels", share=0.5), *_base_.pipeline],
    )
)
