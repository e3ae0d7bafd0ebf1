# The small model on synthetic people, made on the fly: no file is needed, no GPU, by mmhuman3d's own tools.
#   python tools/train.py configs/mmhuman3d/mion_tiny_synthetic.py --work-dir work_dirs/mion_tiny --device cpu
#   python tools/test.py configs/mmhuman3d/mion_tiny_synthetic.py work_dirs/mion_tiny/latest.pth \
#       --work-dir work_dirs/mion_tiny --device cpu --metrics mpjpe pa-mpjpe pve
# The consistency network is the package's; it was trained with the package's own stage 2.
import mion_plugin

_base_ = ["./_base_/default_runtime.py"]
custom_imports = dict(imports=["mion_plugin"], allow_failed_imports=False)

img_res = 112
camera = dict(image_size=img_res, focal_length=2500.0)  # the camera of 5000 px at 224

model = dict(
    type="MIONEstimator",
    backbone=dict(type="TorchvisionResNet", depth=18, num_stages=3),
    neck=dict(type="DeconvNeck", in_channels=256, channels=144, num_layers=0),  # 7 x 7 tokens
    head=dict(
        type="MRT",
        transformer=dict(
            width=144,
            num_heads=4,
            num_encoder_layers=1,
            num_decoder_layers=2,
            feedforward=512,
            dropout=0.0,
            norm_first=True,
        ),
        renderer=dict(type="mion.PNCCRenderer", size=7),
        # as configs/mion/mrt_tiny_synthetic.py
        rotation="residual",
        add_2d_position=True,
        candidate_in_queries=True,
        sample_at_joints=True,
        keypoints_in_queries=True,
        train_candidates=4,
        loss=dict(type="mion.MeshLoss", betas_weight=0.04),
        **camera,
    ),
    # 500 px^2 at 112 are 2000 px^2 at 224; the poses of test recordings are not candidates
    selector=dict(type="CandidateSelector", max_fit_loss=500.0, pool_split="train"),
    cen=dict(
        type="CEN",
        backbone=dict(type="mion.TorchvisionResNet", depth=18, num_stages=2),
        output="local",
        num_anchors=128,
        pooling="body",
    ),
    cen_checkpoint=f"{mion_plugin.__path__[0]}/models/mion_tiny/cen.pth",
)

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
data_keys = [
    "has_smpl",
    "smpl_body_pose",
    "smpl_global_orient",
    "smpl_betas",
    "keypoints2d",
    "keypoints2d_input",
    "keypoints3d",
    "sample_idx",
]
pipeline = [  # the whole picture is the crop
    dict(type="Normalize", **img_norm_cfg),
    dict(type="ImageToTensor", keys=["img"]),
    dict(type="ToTensor", keys=data_keys),
    dict(type="Collect", keys=["img", *data_keys], meta_keys=["dataset_name", "image_path"]),
]
synthetic = dict(type="SURREALSynthesisDataset", image_size=img_res, detected_noise=1.5, pipeline=pipeline)
data = dict(
    samples_per_gpu=32,
    workers_per_gpu=1,
    train=dict(**synthetic, num_samples=16000, split="train"),
    val=dict(**synthetic, num_samples=256, split="test", seed=1),
    test=dict(**synthetic, num_samples=1024, split="test", seed=2),
)
evaluation = dict(interval=2, metric=["mpjpe", "pa-mpjpe"])

optimizer = dict(type="AdamW", lr=1e-3, weight_decay=1e-4)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy="CosineAnnealing", min_lr=1e-5, by_epoch=False, warmup="linear", warmup_iters=50)
runner = dict(type="EpochBasedRunner", max_epochs=8)
