# PARE of mmhuman3d (configs/pare/hrnet_w32_conv_pare_mix_cache.py there) on a ResNet-50, tested on 3DPW.
#   tools/dist_train.sh configs/baselines/pare_r50_mixed.py 8
#   tools/dist_test.sh configs/baselines/pare_r50_mixed.py CHECKPOINT 8
# mmhuman3d publishes it on HRNet-W32 alone: MPJPE 81.79, PA-MPJPE 49.35; see pare_hrnet-w32_mixed.py. Left out: the
# synthetic occlusions of training, which need Pascal's objects.
# Files, beside those of configs/_base_/baselines_224.py: eft_coco_all.npz, eft_lspet.npz, eft_mpii.npz. Not trained
# here: the data need licences.
_base_ = ["./hmr_r50_mixed.py"]

body_model = dict(type="SMPL", keypoint_src="smpl_54", keypoint_dst="smpl_49", keypoint_approximate=True)
model = dict(
    architecture=dict(
        head=dict(
            _delete_=True,
            type="PareHead",
            num_joints=24,
            num_input_features=2048,
            smpl_mean_params="data/body_models/smpl_mean_params.npz",
            num_deconv_layers=3,
            num_deconv_filters=[256] * 3,
            num_deconv_kernels=[4] * 3,
            use_heatmaps="part_segm",
            use_keypoint_attention=True,
            backbone="resnet50",
        ),
        body_model_train=body_model,
        convention="smpl_49",
        loss_keypoints3d=dict(_delete_=True, type="MSELoss", loss_weight=300),
        loss_keypoints2d=dict(_delete_=True, type="MSELoss", loss_weight=300),
        loss_vertex=None,
        loss_smpl_pose=dict(type="MSELoss", loss_weight=60),
        loss_smpl_betas=dict(type="MSELoss", loss_weight=60 * 0.001),
        loss_segm_mask=dict(type="CrossEntropyLoss", loss_weight=60),
        loss_camera=dict(type="CameraPriorLoss", loss_weight=1),
    ),
    keypoint_flags=True,
)
annotated = {**_base_.annotated, "keypoints2d_convention": "smpl_49", "keypoints3d_convention": "smpl_49"}
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz"),
            dict(**annotated, dataset_name="coco", ann_file="eft_coco_all.npz"),
            dict(**annotated, dataset_name="lspet", ann_file="eft_lspet.npz"),
            dict(**annotated, dataset_name="mpii", ann_file="eft_mpii.npz"),
            dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="mpi_inf_3dhp_train.npz"),
        ],
        ratios=[0.5, 0.233, 0.046, 0.021, 0.2],
    )
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_epochs=200)
find_unused_parameters = True
