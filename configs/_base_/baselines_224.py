# What mmhuman3d's methods share on the real data: its mixture of six sets and its test on 3DPW.
# Files: mmhuman3d's, as its docs/preprocess_dataset.md names them, below data/preprocessed_datasets and data/datasets;
# data/body_models/smpl as configs/_base_/mrt_r50_56x56.py says; data/body_models/smpl_mean_params.npz, SPIN's.
_base_ = ["./pw3d_224.py", "./augmentation_224.py"]

annotated = dict(
    type="mion.HumanDataset",
    data_prefix="data",
    keypoints2d_convention="smpl_54",
    keypoints3d_convention="smpl_54",
    pipeline=_base_.train_pipeline,
)
train_dataloader = dict(
    batch_size=32,  # of each of 8 GPUs
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    pin_memory=True,
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(
        type="mion.MixedDataset",
        datasets=[
            dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz"),
            dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="mpi_inf_3dhp_train.npz"),
            dict(**annotated, dataset_name="lsp", ann_file="lsp_train.npz"),
            dict(**annotated, dataset_name="lspet", ann_file="lspet_train.npz"),
            dict(**annotated, dataset_name="mpii", ann_file="mpii_train.npz"),
            dict(**annotated, dataset_name="coco", ann_file="coco_2014_train.npz"),
        ],
        ratios=[0.35, 0.15, 0.1, 0.1, 0.1, 0.2],
    ),
)
test_dataloader = dict(batch_size=32, dataset=dict(keypoints2d_source="annotated"))  # only MION reads keypoints
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(**{**_base_.test_dataloader.dataset, "keypoints2d_source": "annotated"}),
)
val_evaluator = _base_.test_evaluator
val_cfg = dict()

sync_bn = "torch"  # as in mmhuman3d; has no effect in one process
