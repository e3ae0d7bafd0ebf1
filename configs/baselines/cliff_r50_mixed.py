# CLIFF of mmhuman3d (configs/cliff/resnet50_pw3d_cache.py there), tested on 3DPW.
#   tools/dist_train.sh configs/baselines/cliff_r50_mixed.py 8
#   tools/dist_test.sh configs/baselines/cliff_r50_mixed.py CHECKPOINT 8
# CHECKPOINT may be mmhuman3d's resnet50_cliff-8328e2e2_20230327.pth: MPJPE 76.49, PA-MPJPE 48.65 by its authors, on
# crops of 192 x 256; here they are squares of 224, for which mmhuman3d's losses are written.
# Files, beside those of configs/_base_/baselines_224.py: cliff_coco_train.npz, cliff_mpii_train.npz, pw3d_train.npz and
# the backbone's. Not trained here: the data need licences.
_base_ = ["./hmr_r50_mixed.py"]

model = dict(
    architecture=dict(
        type="CliffImageBodyModelEstimator",
        backbone=dict(init_cfg=dict(checkpoint="data/checkpoints/resnet50_a1h2_176-001a1197.pth")),
        head=dict(type="CliffHead"),
    )
)
annotated = _base_.annotated
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        datasets=[
            dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz"),
            dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="mpi_inf_3dhp_train.npz"),
            dict(**annotated, dataset_name="mpii", ann_file="cliff_mpii_train.npz"),
            dict(**annotated, dataset_name="coco", ann_file="cliff_coco_train.npz"),
            dict(**annotated, dataset_name="pw3d", ann_file="pw3d_train.npz"),
        ],
        ratios=[0.4, 0.1, 0.1, 0.2, 0.2],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=3e-4), clip_grad=dict(max_norm=2.0))
param_scheduler = [dict(type="MultiStepLR", milestones=[100], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=250)
auto_scale_lr = dict(base_batch_size=512)
