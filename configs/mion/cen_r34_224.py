# Stage 3 as the paper trains it (3.3, 3.4, 4.1): half of it pictures of one stage-1 candidate, scored against others,
# half UP-3D's photographs, scored against stage 1's candidates for them.
#   tools/dist_train.sh configs/mion/cen_r34_224.py 4
#   tools/dist_test.sh configs/mion/cen_r34_224.py work_dirs/cen_r34_224/epoch_100.pth 4
# Tested on stage 1's candidates; on refined bodies with model.refiner (mion.MRT's network) and
# model.refiner_checkpoint, or as a part of mion.MION.
# Files that you provide (docs/data.md): those of configs/_base_/mrt_r50_56x56.py, data/preprocessed_datasets/
# up3d_trainval.npz and its images, data/lsun (a folder of images of rooms and places without people),
# data/surreal_textures (SURREAL's, any sub-folders) and data/body_models/smpl_uv.obj (their layout, from SMPL's site).
# With the package's free stand-ins in all of their places: cen_r34_224_stand-in.py.
_base_ = ["../_base_/default_runtime.py", "../_base_/synthetic_112.py"]

body = dict(type="mion.SMPLBody", model_path="data/body_models/smpl")  # that of stages 1 and 2
pool = "data/amass_pool.npz"
image_size = 224
detected_noise = 3.0  # HRNet's typical error, 1-2 % of the person's height
# poses of the test recordings are neither rendered nor candidates; compatible below 2000 px^2, as far apart as they can
# be in pose parameters (3.4)
selector = dict(
    type="mion.CandidateSelector",
    pool=pool,
    distance="axis_angle",
    max_fit_loss=2000.0,
    num_candidates=5,
    pool_split="train",
)
model = dict(
    type="mion.ConsistencyModel",
    # Image and PNCC in a ResNet-34, one distance per vertex. The paper does not say that it starts from ImageNet;
    # to do so: model.cen.backbone.weights=IMAGENET1K_V1
    cen=dict(
        type="mion.CEN",
        backbone=dict(type="mion.TorchvisionResNet", depth=34),
        image_size=image_size,
        body=body,
    ),
    selector=selector,
    pairs=dict(candidate=1.0),
    num_bodies=4,  # the paper: 1 (cen_r34_224_one-pair.py); making a picture takes much longer than scoring a body
    loss=dict(type="mion.ConsistencyLoss"),  # eq. 10
)

synthetic = dict(image_size=image_size, detected_noise=detected_noise, body=body, poses=dict(pool=pool))
pairs = dict(
    type="mion.CandidatePairDataset",
    # whose keypoints give the candidates
    dataset=dict(
        type="mion.SURREALSynthesisDataset",
        num_samples=32000,  # the paper gives no number; half of each epoch, 1.6 million pictures in all
        split="train",
        fresh_samples=True,
        pictures=False,  # nobody sees them
        looks=dict(recipe="training", skins="plain"),  # for the cameras, and the keypoints that are hidden
        **synthetic,
    ),
    selector=selector,
    num_others=4,
    image_size=image_size,
    body=body,
    # backgrounds of LSUN, textures of SURREAL (3.3); None, None and None are the package's, for the stand-in alone
    looks=dict(
        recipe="training",
        backgrounds="data/lsun",
        skins="data/surreal_textures",
        skin_uv="data/body_models/smpl_uv.obj",
    ),
    pipeline=_base_.pipeline,
)
up3d = dict(
    type="mion.HumanDataset",
    dataset_name="up3d",
    data_prefix="data",
    ann_file="up3d_trainval.npz",
    keypoints2d_source="detected",  # HRNet-W48's (3.4), as keypoints2d_detected in the file
    pipeline=[
        dict(type="mion.LoadImageFromFile"),
        dict(type="mion.MeshAffine", img_res=image_size),
        dict(type="mion.Normalize"),
        dict(type="mion.PackBodyInputs"),
    ],
)
train_dataloader = dict(
    batch_size=16,  # of each of 4 GPUs: 64
    num_workers=4,
    # the paper gives no proportion either
    dataset=dict(_delete_=True, type="mion.MixedDataset", datasets=[pairs, up3d], ratios=[0.5, 0.5]),
)
val_dataloader = dict(dataset=synthetic)
test_dataloader = dict(dataset=synthetic)
val_evaluator = [dict(_base_.val_evaluator, body=body), dict(type="mion.SelectionMetric", body=body)]
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
