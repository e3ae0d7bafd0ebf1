# Stage 2, small, on synthetic people: for a laptop without a GPU.
#   python tools/train.py configs/mion/mrt_tiny_synthetic.py
#   python tools/test.py configs/mion/mrt_tiny_synthetic.py work_dirs/mrt_tiny_synthetic/epoch_8.pth
_base_ = ["../_base_/default_runtime.py", "../_base_/synthetic_112.py"]

model = dict(
    type="mion.MRT",
    # three of ResNet-18's four stages: 7 x 7 features of 112 x 112 images, so that a step is short
    backbone=dict(type="mion.TorchvisionResNet", depth=18, num_stages=3),
    neck=dict(type="mion.DeconvNeck", in_channels=256, channels=144, num_layers=0),  # 7 x 7 tokens
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
    # the paper's form collapses the paths in short trainings; these options keep them apart
    rotation="residual",
    add_2d_position=True,
    candidate_in_queries=True,
    sample_at_joints=True,
    # not in the paper: lifting the keypoints again from each candidate is most of what a short training learns
    keypoints_in_queries=True,
    train_candidates=4,
    # a shape that tight clothes at 112 px hardly show would otherwise be more than half of the loss
    loss=dict(type="mion.MeshLoss", betas_weight=0.04),
    image_size=112,
    focal_length=2500.0,  # the camera of 5000 px at 224
    # 500 px^2 at 112 are 2000 px^2 at 224; the poses of test recordings are not candidates
    selector=dict(type="mion.CandidateSelector", max_fit_loss=500.0, pool_split="train"),
    bfloat16_features=True,
    bfloat16_transformer=True,
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),  # twenty times the paper's: a small model, few steps
)
train_dataloader = dict(dataset=dict(num_samples=16000))  # 500 steps an epoch
max_epochs = 8
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=2)
