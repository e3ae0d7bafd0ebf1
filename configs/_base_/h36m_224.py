# Tests on Human3.6M, subjects S9 and S11, from mmhuman3d's preprocessed files: 14 joints of keypoints3d, as SPIN.
test_pipeline = [
    dict(type="mion.LoadImageFromFile"),
    dict(type="mion.MeshAffine", img_res=224),
    dict(type="mion.Normalize"),
    dict(type="mion.PackBodyInputs"),
]
test_dataloader = dict(
    batch_size=8,  # 5 candidates of each make 40 sequences of 3,136 tokens
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="mion.joined_collate"),
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(
        type="mion.HumanDataset",
        dataset_name="h36m",
        data_prefix="data",  # mmhuman3d's layout: data/preprocessed_datasets/ANN_FILE, data/datasets/h36m/IMAGE
        ann_file="h36m_valid_protocol2.npz",  # protocol 2: every fifth frame of the frontal camera
        keypoints2d_convention="smpl_54",  # every joint that one of the sets annotates; stage 1 takes its COCO joints
        keypoints2d_source="detected",  # HRNet-W48's, as keypoints2d_detected in the file; see mion.HumanDataset
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(
    type="mion.MeshMetric",
    errors=("MPJPE", "PA-MPJPE"),
    ground_truth="keypoints3d",
    body=dict(type="mion.SMPLBody", model_path="data/body_models/smpl"),
)
test_cfg = dict()
