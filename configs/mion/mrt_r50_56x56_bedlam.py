# Stage 2 at the paper's size, trained on BEDLAM alone (Black et al., CVPR 2023): synthetic people, all with SMPL.
#   tools/dist_train.sh configs/mion/mrt_r50_56x56_bedlam.py 4
# Validated as the paper's, on Human3.6M; tested by mion_r50_56x56_{emdb,agora,pw3d}-test.py. Not trained here yet: the
# data need a licence.
_base_ = "mrt_r50_56x56_mixed.py"

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="mion.HumanDataset",
        dataset_name="bedlam",
        data_prefix="data",
        ann_file="bedlam_train.npz",
        keypoints2d_convention="smpl_54",
        keypoints2d_source="detected",  # as the other sets'; see mion.HumanDataset
        pipeline={{_base_.train_pipeline}},
    )
)
