# The paper's six training sets (4.1), mixed as SPIN mixes them; validated on Human3.6M, protocol 2.
_base_ = ["./h36m_224.py", "./augmentation_224.py"]

annotated = dict(
    type="mion.HumanDataset",
    data_prefix="data",  # mmhuman3d's layout, as in photographs_224.py
    keypoints2d_convention="smpl_54",  # every joint that one of the sets annotates; stage 1 takes its COCO joints
    keypoints2d_source="detected",  # HRNet-W48's, as keypoints2d_detected in the file; see mion.HumanDataset
    pipeline=_base_.train_pipeline,
)
# Files as mmhuman3d's converters name them. h36m_mosh_train.npz has SMPL, for the paper's L_smpl, h36m_train.npz none;
# LSP, LSPET, MPII and COCO have 2D keypoints alone.
h36m = dict(**annotated, dataset_name="h36m", ann_file="h36m_mosh_train.npz")
lsp = dict(**annotated, dataset_name="lsp", ann_file="lsp_train.npz")
lspet = dict(**annotated, dataset_name="lspet", ann_file="lspet_train.npz")
mpii = dict(**annotated, dataset_name="mpii", ann_file="mpii_train.npz")
coco = dict(**annotated, dataset_name="coco", ann_file="coco_2014_train.npz")
mpi_inf_3dhp = dict(**annotated, dataset_name="mpi_inf_3dhp", ann_file="mpi_inf_3dhp_train.npz")

train_dataloader = dict(
    batch_size=16,  # of each of 4 GPUs: 64 (3.4)
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    pin_memory=True,
    sampler=dict(type="mion.EpochSampler", shuffle=True),
    dataset=dict(
        type="mion.MixedDataset",
        datasets=[h36m, [lsp, mpii, lspet, coco], mpi_inf_3dhp],
        # SPIN's (datasets/mixed_dataset.py of its code); an epoch is as long as the longest set
        ratios=[0.3, 0.6, 0.1],
    ),
)
val_dataloader = _base_.test_dataloader
val_evaluator = _base_.test_evaluator
val_cfg = dict()
