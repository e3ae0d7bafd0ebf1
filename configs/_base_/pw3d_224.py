# Tests on 3DPW's test set from mmhuman3d's preprocessed file: SMPL of the true gender, as SPIN.
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
        dataset_name="pw3d",
        data_prefix="data",  # mmhuman3d's layout: data/preprocessed_datasets/ANN_FILE, data/datasets/pw3d/IMAGE
        ann_file="pw3d_test.npz",
        keypoints2d_convention="smpl_54",
        keypoints2d_source="detected",  # HRNet-W48's, as keypoints2d_detected in the file; see mion.HumanDataset
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(
    type="mion.MeshMetric",
    ground_truth="smpl",
    body=dict(type="mion.SMPLBody", model_path="data/body_models/smpl"),
)
test_cfg = dict()
