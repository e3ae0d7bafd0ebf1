# Stage 2 as the paper trains it, by mmhuman3d's own tools, from a checkout of mmhuman3d 0.11 with this folder in it:
#   python tools/train.py configs/mmhuman3d/mion_r50_56x56_mixed.py --work-dir work_dirs/mion
# on 4 GPUs with 16 images each (its tools/dist_train.sh does not start on torch 2.0 and newer):
#   PYTHONPATH=. torchrun --nproc_per_node=4 tools/train.py configs/mmhuman3d/mion_r50_56x56_mixed.py \
#       --work-dir work_dirs/mion --launcher pytorch
# Files in mmhuman3d's layout below data: annotations, images, body_models; and the pool of candidates:
#   tools/build_candidate_pool.py --source data/amass --out data/amass_pool.npz --body-model data/body_models/smpl
# The same training on mmengine, with the paper's figures: configs/mion/mrt_r50_56x56_mixed.py.
_base_ = ["./_base_/default_runtime.py"]
custom_imports = dict(imports=["mion_plugin"], allow_failed_imports=False)

img_res = 224
body = dict(type="mion.SMPLBody", model_path="data/body_models/smpl")  # its files need no chumpy

model = dict(
    type="MIONEstimator",
    backbone=dict(
        type="ResNet",
        depth=50,
        out_indices=[3],
        norm_eval=False,
        norm_cfg=dict(type="BN", requires_grad=True),
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    neck=dict(type="DeconvNeck", in_channels=2048, channels=384, num_layers=3),  # 7 x 7 to 56 x 56
    head=dict(
        type="MRT",
        network=dict(
            # DETR's numbers, at the paper's 384 channels; two encoder layers for the paper's running time
            transformer=dict(
                width=384, num_heads=8, num_encoder_layers=2, num_decoder_layers=6, feedforward=2048, dropout=0.1
            ),
            position_encoding=dict(type="mion.PNCCEncoding"),
            renderer=dict(type="mion.PNCCRenderer", size=56),
            head=dict(rotation="absolute"),
            image_size=img_res,
            focal_length=5000.0,
            body=body,
        ),
        train_candidates=1,
        # eq. 7 as printed; w1, w2 of eq. 6
        loss=dict(type="mion.MeshLoss", smpl="printed", smpl_weight=1.0, keypoints_weight=5.0),
    ),
    # 10,000 poses x 30 orientations, fit loss below 2000 (3.1, 3.4); 5 paths are the paper's best (table 1)
    selector=dict(
        type="CandidateSelector",
        pool="data/amass_pool.npz",
        distance="axis_angle",
        num_candidates=5,
        max_fit_loss=2000.0,
    ),
    selection="first",  # without stage 3: the candidate of the lowest fit loss
)

dataset_type = "MIONImageDataset"
keypoints2d_source = "detected"  # HRNet-W48's, as keypoints2d_detected in the file; or "annotated"
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
data_keys = [
    "has_smpl",
    "smpl_body_pose",
    "smpl_global_orient",
    "smpl_betas",
    "has_keypoints2d",
    "has_keypoints3d",
    "keypoints2d",
    "keypoints2d_input",
    "keypoints3d",
    "sample_idx",
]
meta_data_keys = ["dataset_name", "image_path"]
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomChannelNoise", noise_factor=0.4),
    dict(type="RandomHorizontalFlip", flip_prob=0.5, convention="human_data"),
    dict(type="GetRandomScaleRotation", rot_factor=30, scale_factor=0.25),
    dict(type="MeshAffine", img_res=img_res),
    dict(type="CropInputKeypoints"),
    dict(type="Normalize", **img_norm_cfg),
    dict(type="ImageToTensor", keys=["img"]),
    dict(type="ToTensor", keys=data_keys),
    dict(type="Collect", keys=["img", *data_keys], meta_keys=meta_data_keys),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="GetRandomScaleRotation", rot_factor=0, scale_factor=0),
    dict(type="MeshAffine", img_res=img_res),
    dict(type="CropInputKeypoints"),
    dict(type="Normalize", **img_norm_cfg),
    dict(type="ImageToTensor", keys=["img"]),
    dict(type="ToTensor", keys=data_keys),
    dict(type="Collect", keys=["img", *data_keys], meta_keys=meta_data_keys),
]
# Of inference_image_based_model; the keypoints by mion_plugin.hosts.mmhuman3d.inference.use_keypoints
inference_pipeline = [
    dict(type="MeshAffine", img_res=img_res),
    dict(type="PersonKeypoints"),
    dict(type="Normalize", **img_norm_cfg),
    dict(type="ImageToTensor", keys=["img"]),
    dict(
        type="Collect",
        keys=["img", "sample_idx"],
        meta_keys=["image_path", "center", "scale", "rotation", "keypoints2d_input"],
    ),
]

annotated = dict(type=dataset_type, keypoints2d_source=keypoints2d_source, data_prefix="data", pipeline=train_pipeline)
h36m_p2 = dict(
    type=dataset_type,
    keypoints2d_source=keypoints2d_source,
    dataset_name="h36m",
    data_prefix="data",
    pipeline=test_pipeline,
    ann_file="h36m_valid_protocol2.npz",
)
data = dict(
    samples_per_gpu=16,
    workers_per_gpu=4,
    train=dict(
        type="MixedDataset",
        configs=[
            dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz"),
            [
                dict(**annotated, dataset_name="lsp", ann_file="lsp_train.npz"),
                dict(**annotated, dataset_name="lspet", ann_file="lspet_train.npz"),
                dict(**annotated, dataset_name="mpii", ann_file="mpii_train.npz"),
                dict(**annotated, dataset_name="coco", ann_file="coco_2014_train.npz"),
            ],
            dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="mpi_inf_3dhp_train.npz"),
        ],
        # SPIN's (datasets/mixed_dataset.py of its code): 0.6 for all photographs, by the numbers of people in each set
        partition=[0.3, 0.6, 0.1],
    ),
    val=h36m_p2,
    test=h36m_p2,
)
evaluation = dict(interval=5, metric=["mpjpe", "pa-mpjpe"])

# The paper's schedule (3.4): AdamW, 5e-5, a tenth of it after epoch 20, 60 epochs, batches of 64 on 4 GPUs.
optimizer = dict(type="AdamW", lr=5e-5, weight_decay=1e-4)
optimizer_config = dict(grad_clip=dict(max_norm=0.1))
lr_config = dict(policy="step", gamma=0.1, step=[20])
runner = dict(type="EpochBasedRunner", max_epochs=60)
