# HMR of mmhuman3d on the data, backbone and budget of configs/mion/mrt_tiny_synthetic.py; without the adversarial part.
#   python tools/train.py configs/baselines/hmr_tiny_synthetic.py
#   python tools/test.py configs/baselines/hmr_tiny_synthetic.py work_dirs/hmr_tiny_synthetic/epoch_8.pth
_base_ = ["../_base_/default_runtime.py", "../_base_/synthetic_112.py", "../_base_/hmr.py"]

model = dict(
    architecture=dict(
        # the first three stages of ResNet-18, the backbone of the small MION
        backbone=dict(
            type="ResNet",
            depth=18,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=[2],
            norm_eval=False,
            norm_cfg=dict(type="BN", requires_grad=True),
        ),
        head=dict(type="HMRHead", feat_dim=256),
    ),
    image_size=112,
    bfloat16_features=True,
)

# of 1e-3, 3e-4 and 1e-4 the rate with the lowest error after 350 steps; also the small MION's
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4))
train_dataloader = dict(
    dataset=dict(num_samples=16000, keypoints2d_convention="smpl_54", keypoints3d_convention="smpl_54")
)
# the schedule of the small MION
max_epochs = 8
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=2)
