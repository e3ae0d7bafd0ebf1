# SPIN of mmhuman3d (configs/spin/resnet50_spin_pw3d.py there), SMPLify in the loop, tested on 3DPW.
#   tools/dist_train.sh configs/baselines/spin_r50_mixed.py 8
#   tools/dist_test.sh configs/baselines/spin_r50_mixed.py CHECKPOINT 8
# CHECKPOINT may be mmhuman3d's resnet50_spin_pw3d-e1d70119_20220708.pth: MPJPE 94.11, PA-MPJPE 57.54 by its authors.
# Files, beside those of configs/_base_/baselines_224.py: mmhuman3d's spin_*.npz, to whose rows data/static_fits belong,
# SMPLify's data/gmm_08.pkl, and data/pretrained/spin_pretrain.pth. Not trained here: the data need licences.
_base_ = ["./hmr_r50_mixed.py", "../_base_/spin_registration.py"]

model = dict(
    architecture=dict(backbone=dict(init_cfg=None), **_base_.spin_architecture), static_fits="data/static_fits"
)
load_from = "data/pretrained/spin_pretrain.pth"
annotated = {**_base_.annotated, "keypoints2d_convention": "smpl_49", "keypoints3d_convention": "smpl_49"}
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz"),
            dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="spin_mpi_inf_3dhp_train.npz"),
            dict(**annotated, dataset_name="lsp", ann_file="spin_lsp_train.npz"),
            dict(**annotated, dataset_name="lspet", ann_file="spin_lspet_train.npz"),
            dict(**annotated, dataset_name="mpii", ann_file="spin_mpii_train.npz"),
            dict(**annotated, dataset_name="coco", ann_file="spin_coco_2014_train.npz"),
        ],
        num_samples=100000,
    )
)
optim_wrapper = dict(optimizer=dict(lr=3e-5))
param_scheduler = [dict(type="MultiStepLR", milestones=[3], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=10, val_interval=1)
