# What makes mmhuman3d's SPIN of its HMR: SMPLify in the loop.
spin_body_model = dict(type="SMPL", keypoint_src="smpl_54", keypoint_dst="smpl_49", keypoint_approximate=True)
smplify = dict(
    type="SMPLify",
    body_model=spin_body_model,
    num_epochs=1,
    stages=[
        dict(num_iter=50, fit_global_orient=True, fit_transl=True, fit_body_pose=False, fit_betas=False),
        dict(num_iter=50, fit_global_orient=True, fit_transl=False, fit_body_pose=True, fit_betas=True),
    ],
    optimizer=dict(type="Adam", lr=1e-2, betas=(0.9, 0.999)),
    keypoints2d_loss=dict(type="KeypointMSELoss", loss_weight=1.0, reduction="sum", sigma=100),
    shape_prior_loss=dict(type="ShapePriorLoss", loss_weight=5.0**2, reduction="sum"),
    joint_prior_loss=dict(type="JointPriorLoss", loss_weight=15.2**2, reduction="sum"),
    pose_prior_loss=dict(
        type="MaxMixturePrior", prior_folder="data", num_gaussians=8, loss_weight=4.78**2, reduction="sum"
    ),
    ignore_keypoints=[
        "neck_openpose",
        "right_hip_openpose",
        "left_hip_openpose",
        "right_hip_extra",
        "left_hip_extra",
    ],
    # of the 224 crop, whatever the image's size
    camera=dict(
        type="PerspectiveCameras",
        convention="opencv",
        in_ndc=False,
        focal_length=5000,
        image_size=(224, 224),
        principal_point=(112, 112),
    ),
)
spin_architecture = dict(
    body_model_train=spin_body_model,
    registration=dict(mode="in_the_loop", registrant=smplify),
    convention="smpl_49",
    loss_camera=dict(type="CameraPriorLoss", loss_weight=60),
)
