# Stage 3 as the paper trains it: pictures of one stage-1 candidate, scored against others (3.3, 3.4).
#   tools/dist_train.sh configs/mion/cen_r34_224.py 4
#   tools/dist_test.sh configs/mion/cen_r34_224.py work_dirs/cen_r34_224/epoch_100.pth 4
# Tested on stage 1's candidates; on refined bodies with model.refiner (mion.MRT's network) and
# model.refiner_checkpoint, or as a part of mion.MION.
_base_ = ["../_base_/default_runtime.py", "../_base_/synthetic_112.py"]

image_size = 224
detected_noise = 3.0  # HRNet's typical error, 1-2 % of the person's height
# poses of the test recordings are neither rendered nor candidates; compatible below 2000 px^2 (3.4)
selector = dict(type="mion.CandidateSelector", max_fit_loss=2000.0, num_candidates=5, pool_split="train")
model = dict(
    type="mion.ConsistencyModel",
    # Image and PNCC in a ResNet-34, one distance per vertex. The paper does not say that it starts from ImageNet;
    # to do so: model.cen.backbone.weights=IMAGENET1K_V1
    cen=dict(type="mion.CEN", backbone=dict(type="mion.TorchvisionResNet", depth=34), image_size=image_size),
    selector=selector,
    pairs=dict(candidate=1.0),
    num_bodies=4,  # the paper: 1; making a picture takes much longer than scoring a body
    loss=dict(type="mion.ConsistencyLoss"),  # eq. 10
)

# The paper also trains on UP-3D, ground truth against candidates. With the file (docs/data.md), the data set is
#   dict(type="mion.MixedDataset", datasets=[pairs, up3d], ratios=[0.5, 0.5])
# where up3d is a mion.HumanDataset with SMPL and keypoints, cropped to 224.
pairs = dict(
    type="mion.CandidatePairDataset",
    # whose keypoints give the candidates
    dataset=dict(
        type="mion.SURREALSynthesisDataset",
        num_samples=32000,  # the paper gives no number; 3.2 million pictures in all, half of SURREAL's frames
        split="train",
        image_size=image_size,
        detected_noise=detected_noise,
        fresh_samples=True,
        looks=dict(recipe="training"),  # for the cameras, and the keypoints that are hidden
    ),
    selector=selector,
    num_others=4,
    image_size=image_size,
    # the paper: backgrounds of LSUN, textures of SURREAL; None are the package's
    looks=dict(recipe="training", backgrounds=None, skins=None),
    pipeline=_base_.pipeline,
)
train_dataloader = dict(
    batch_size=16,  # of each of 4 GPUs: 64
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(_delete_=True, **pairs),
)
val_dataloader = dict(dataset=dict(image_size=image_size, detected_noise=detected_noise))
test_dataloader = dict(dataset=dict(image_size=image_size, detected_noise=detected_noise))
val_evaluator = [
    dict(type="mion.MeshMetric", errors=("MPJPE", "PA-MPJPE"), statistics=("chosen", "mean", "oracle")),
    dict(type="mion.SelectionMetric"),
]
test_evaluator = val_evaluator

optim_wrapper = dict(
    type="OptimWrapper",
    # 0.01 (3.4); momentum and decay are not given: those of ResNet (He et al., 2016)
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [dict(type="MultiStepLR", milestones=[50], gamma=0.1, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
# --auto-scale-lr scales the rate to other batches; the paper gives none
auto_scale_lr = dict(enable=False, base_batch_size=64)
