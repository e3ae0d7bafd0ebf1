# mmhuman3d's HMR without backbone and head, which depend on the image; without the adversarial part.
body_model = dict(type="SMPL", keypoint_src="smpl_54", keypoint_dst="smpl_54", keypoint_approximate=True)
model = dict(
    type="mion.MMHuman3DMethod",
    architecture=dict(
        type="ImageBodyModelEstimator",
        body_model_train=body_model,
        body_model_test=dict(type="SMPL", keypoint_src="h36m", keypoint_dst="h36m"),
        convention="smpl_54",
        # mmhuman3d's weights
        loss_keypoints3d=dict(type="SmoothL1Loss", loss_weight=100),
        loss_keypoints2d=dict(type="SmoothL1Loss", loss_weight=10),
        loss_vertex=dict(type="L1Loss", loss_weight=2),
        loss_smpl_pose=dict(type="MSELoss", loss_weight=3),
        loss_smpl_betas=dict(type="MSELoss", loss_weight=0.02),
    ),
)
