# Tests on people in photographs, from HumanData files; which set and which truth: h36m_224.py, pw3d_224.py.
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
        data_prefix="data",  # mmhuman3d's layout: data/preprocessed_datasets/ANN_FILE, data/datasets/NAME/IMAGE
        keypoints2d_convention="smpl_54",  # every joint that one of the sets annotates; stage 1 takes its COCO joints
        keypoints2d_source="detected",  # HRNet-W48's, as keypoints2d_detected in the file; see mion.HumanDataset
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(type="mion.MeshMetric", body=dict(type="mion.SMPLBody", model_path="data/body_models/smpl"))
test_cfg = dict()
