# Stage 2 in a project of mmpose 1.x (mmcv 2.x): mmpose's HRNet-W32 below the mesh refinement transformer. HRNet's
# finest map of a 224 px image is 56 x 56, the paper's resolution, so no deconvolution is needed. Trained on synthetic
# people, which need no files; by mmpose's own launcher or by ours:
#   mim train mmpose configs/mmpose/mrt_hrnet-w32_56x56_synthetic.py
#   python tools/train.py configs/mmpose/mrt_hrnet-w32_56x56_synthetic.py
_base_ = ["mmpose::_base_/default_runtime.py", "../_base_/mesh_evaluator.py"]

custom_imports = dict(imports=["mion_plugin"], allow_failed_imports=False)

model = dict(
    type="mion.MRT",
    network=dict(
        type="mion.RefinementNetwork",
        backbone=dict(
            type="mmpose.HRNet",
            in_channels=3,
            extra=dict(
                stage1=dict(num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(4,), num_channels=(64,)),
                stage2=dict(num_modules=1, num_branches=2, block="BASIC", num_blocks=(4, 4), num_channels=(32, 64)),
                stage3=dict(
                    num_modules=4, num_branches=3, block="BASIC", num_blocks=(4,) * 3, num_channels=(32, 64, 128)
                ),
                stage4=dict(
                    num_modules=3, num_branches=4, block="BASIC", num_blocks=(4,) * 4, num_channels=(32, 64, 128, 256)
                ),
            ),
            # ImageNet weights of mmpose's model zoo, if they are at hand:
            # init_cfg=dict(type="Pretrained", checkpoint="hrnet_w32-36af842e.pth"),
        ),
        neck=dict(type="mion.DeconvNeck", in_channels=32, channels=384, num_layers=0),  # a 1 x 1 convolution
        position_encoding=dict(type="mion.PNCCEncoding"),
        transformer=dict(width=384, num_heads=8, num_encoder_layers=2, num_decoder_layers=6, feedforward=2048),
        renderer=dict(type="mion.PNCCRenderer", size=56),
        head=dict(rotation="residual"),
        queries=dict(candidate=True),
    ),
    selector=dict(type="mion.CandidateSelector", num_candidates=5, pool_split="train"),
)

pipeline = [dict(type="mion.Normalize"), dict(type="mion.PackBodyInputs")]
people = dict(
    type="mion.SURREALSynthesisDataset",
    image_size=224,
    detected_noise=3.0,  # pixels, of a detector
    pipeline=pipeline,
)
loader = dict(batch_size=16, num_workers=4, persistent_workers=True, collate_fn=dict(type="mion.joined_collate"))
train_dataloader = dict(
    **loader,
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(**people, num_samples=32000, split="train", fresh_samples=True, looks=dict(recipe="training")),
)
val_dataloader = dict(
    **loader,
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(**people, num_samples=1024, split="test", seed=1, looks=dict(recipe="plain")),
)
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(type="AdamW", lr=5e-5))
param_scheduler = [dict(type="MultiStepLR", milestones=[20], gamma=0.1, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=10)
val_cfg = dict()
test_cfg = dict()

# checkpoints of tensors and plain values, which load with weights_only=True; drops that depend on the epoch alone; an
# end when the loss is no number
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="mion.EpochSeedHook"),
    dict(type="mion.PlainCheckpointHook"),
    dict(type="mion.BodyFingerprintHook"),
    dict(type="mion.StopOnInvalidLossHook", interval=50),  # as often as mmpose logs
]
# mmpose's visualizer draws its own data samples; pictures of bodies come from tools/test.py --show-dir
visualizer = dict(_delete_=True, type="mmengine.Visualizer", vis_backends=[dict(type="LocalVisBackend")])
